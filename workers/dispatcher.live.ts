// The dispatcher's ticks against a real ledger and a real Redis: fair, bounded, and able to find what was lost.

import { Redis } from 'ioredis';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { completeJobs } from '../db/attempts.ts';
import { createPool } from '../db/client.ts';
import { insertJobs, type NewJob } from '../db/submissions.ts';
import { completionOf, createLiveSystem, mustClaimJob, newJob } from '../scripts/live-system.ts';
import { setItemsInFlightMax } from '../db/tenant-settings.ts';
import { readConfig } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { createLog } from '../shared/log.ts';
import { createDispatchQueue } from '../shared/queues.ts';
import { createDispatcherTicks } from './dispatcher-ticks.ts';

const system = await createLiveSystem({
  RECONCILE_MS: '200',
  POOL_ITEMS_MAX: '100',
  SHARED_POOL_ITEMS_MAX: '50',
  WINDOW_POOLS_PER_WORKER: '2',
  PRIORITY_FLOOR_PERCENT: '12',
});
const config = readConfig({ REDIS_URL: readConfig().REDIS_URL, ...system.env });
const windowItems = 200;
const redis = new Redis(config.REDIS_URL);
const database = createPool(system.databaseUrl, { role: 'worker', max: 3 });
const queue = createDispatchQueue(config, () => undefined);
const ticks = createDispatcherTicks({
  config,
  log: createLog('dispatcher', 'silent'),
  database,
  owner: system.owner,
  queue,
});
await redis.ping();
while (!queue.isReady()) await redis.ping();

test.before.each(async () => {
  await system.owner.query('TRUNCATE jobs, items, analyses, job_events, idempotency_keys');
  await forgetQueue();
});
test.after(async () => {
  await forgetQueue();
  await queue.close();
  redis.disconnect();
  await database.end();
  await system.close();
});

/** Loses what Redis holds of this queue, as FLUSHALL would of all. */
async function forgetQueue(): Promise<void> {
  const keys = await redis.keys(`${config.QUEUE_PREFIX}*`);
  if (keys.length > 0) await redis.del(...keys);
}

const tenants = ['00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000000b'] as const;

async function insert(count: number, changes: Partial<NewJob> = {}): Promise<NewJob[]> {
  const jobs = Array.from({ length: count }, () => newJob({ texts: ['a'], dispatchId: null, ...changes }));
  await insertJobs(database, jobs);
  return jobs;
}

async function ask<T extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<T[]> {
  return (await system.owner.query<T>(sql, values)).rows;
}

async function statusOf({ id }: NewJob): Promise<string> {
  const rows = await ask<{ status: string }>('SELECT status FROM jobs WHERE id = $1', [id]);
  return rows[0]?.status ?? 'gone';
}

const inWindow = (): Promise<{ tenant: string; items: number }[]> =>
  ask(
    `SELECT tenant_id AS tenant, sum(item_count)::integer AS items FROM jobs WHERE dispatch_id IS NOT NULL GROUP BY 1 ORDER BY 1`,
  );

test('fills the window of a tenant and no more', async () => {
  await insert(500);
  await ticks.topUp();
  assert.equal(await inWindow(), [{ tenant: defaultTenantId, items: windowItems }]);
  await ticks.topUp();
  assert.equal(await inWindow(), [{ tenant: defaultTenantId, items: windowItems }]);
  const oldest = await ask<{ waits: boolean }>(
    'SELECT dispatch_id IS NULL AS waits FROM jobs ORDER BY id LIMIT 200',
  );
  assert.ok(
    oldest.every(({ waits }) => !waits),
    'a younger job went first',
  );
});

test('keeps a tenant to its items in flight, over all its classes', async () => {
  await setItemsInFlightMax(system.owner, 'default', 70);
  await ticks.measure();
  await insert(100, { class: 0 });
  await insert(100, { class: 2 });
  await ticks.topUp();
  const inFlight = () =>
    ask(
      `SELECT class, count(*)::integer AS jobs FROM jobs WHERE dispatch_id IS NOT NULL GROUP BY 1 ORDER BY 1`,
    );
  assert.equal(await inFlight(), [
    { class: 0, jobs: 61 },
    { class: 2, jobs: 9 },
  ]);
  await setItemsInFlightMax(system.owner, 'default', null);
  await ticks.measure();
  await ticks.topUp();
  assert.equal(await inFlight(), [
    { class: 0, jobs: 100 },
    { class: 2, jobs: 100 },
  ]);
});

test('hands over as one class better what has waited long, and leaves its own class as it is', async () => {
  const long = new Date(Date.now() - config.PRIORITY_AGE_MS - 1000).toISOString();
  await insert(1, { class: 2 });
  await insert(1, { class: 2, createdAt: long });
  await ticks.topUp();
  const waiting = await Promise.all(
    ['high', 'normal', 'low'].map((name) => redis.llen(`${config.QUEUE_PREFIX}:analysis-${name}:wait`)),
  );
  assert.equal(waiting, [0, 1, 1]);
  assert.equal(await ask('SELECT DISTINCT class FROM jobs'), [{ class: 2 }]);
});

test('tops up what was finished', async () => {
  await insert(300);
  await ticks.topUp();
  await ask(`UPDATE jobs SET status = 'succeeded', dispatch_id = NULL WHERE id IN
    (SELECT id FROM jobs WHERE dispatch_id IS NOT NULL LIMIT 50)`);
  await ticks.topUp();
  assert.equal(await inWindow(), [{ tenant: defaultTenantId, items: windowItems }]);
});

test('hands over the work of tenants by turns', async () => {
  for (const tenantId of tenants) await insert(300, { tenantId });
  await ticks.topUp();
  assert.equal(
    await inWindow(),
    tenants.map((tenant) => ({ tenant, items: 150 })),
  );
  const order = await ask<{ tenant: string }>(
    `SELECT tenant_id AS tenant FROM jobs WHERE dispatch_id IS NOT NULL GROUP BY tenant_id, dispatch_id ORDER BY dispatch_id`,
  );
  const [first, second] = order;
  assert.is.not(first?.tenant, second?.tenant);
  assert.is(new Set(order.slice(2, 4).map(({ tenant }) => tenant)).size, 2);
});

test('does not let large jobs break the limits of a dispatch', async () => {
  await insert(10, { texts: Array.from({ length: 50 }, () => 'a') });
  await ticks.topUp();
  const dispatches = await ask<{ items: number }>(
    'SELECT sum(item_count)::integer AS items FROM jobs WHERE dispatch_id IS NOT NULL GROUP BY dispatch_id',
  );
  assert.ok(dispatches.length > 0);
  for (const { items } of dispatches) assert.ok(items <= 128);
  const total = dispatches.reduce((sum, { items }) => sum + items, 0);
  assert.ok(total >= windowItems && total <= windowItems + 50, `${total} items`);
});

test('hands over again what Redis lost, and nothing else', async () => {
  await insert(100);
  await ticks.topUp();
  const before = await ask<{ id: string }>('SELECT DISTINCT dispatch_id AS id FROM jobs');
  await ask(`UPDATE jobs SET dispatched_at = now() - interval '1 minute'`);
  await ticks.reconcile();
  assert.equal(await ask('SELECT DISTINCT dispatch_id AS id FROM jobs'), before);

  await forgetQueue();
  await ticks.reconcile();
  assert.equal(await inWindow(), []);
  await ticks.topUp();
  const after = await ask<{ id: string }>('SELECT DISTINCT dispatch_id AS id FROM jobs');
  assert.ok(after.every(({ id }) => !before.some((old) => old.id === id)));
  assert.equal(await queue.missing(after.map(({ id }) => id)), []);
});

test('takes a job from a worker that stopped renewing its lease', async () => {
  const [job] = await insert(1);
  if (job === undefined) return;
  await ticks.topUp();
  const [{ id: dispatchId } = { id: '' }] = await ask<{ id: string }>('SELECT dispatch_id AS id FROM jobs');
  const claim = await mustClaimJob(database, { ...job, dispatchId });
  await ticks.rescue();
  assert.is(await statusOf(job), 'processing');
  await ask(`UPDATE jobs SET lease_until = now() - interval '1 minute'`);
  await ticks.rescue();
  assert.is(await statusOf(job), 'queued');
  await ticks.topUp();
  assert.equal(await completeJobs(database, [completionOf(claim)]), []);
});

test('expires what has passed its deadline and leaves what runs', async () => {
  const past = new Date(Date.now() - 1000).toISOString();
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const [late, scheduled, early] = [
    ...(await insert(1, { deadlineAt: past })),
    ...(await insert(1, { deadlineAt: past, status: 'scheduled', notBefore: past })),
    ...(await insert(1, { deadlineAt: later })),
  ];
  const [running] = await insert(1, { deadlineAt: past });
  if (!late || !scheduled || !early || !running) return;
  await ask(`UPDATE jobs SET status = 'processing' WHERE id = $1`, [running.id]);
  await ticks.expire();
  assert.equal(await Promise.all([late, scheduled, early, running].map(statusOf)), [
    'expired',
    'expired',
    'queued',
    'processing',
  ]);
});

test('erases the texts of a job that expires or is given up, if they were not to be stored', async () => {
  const past = new Date(Date.now() - 1000).toISOString();
  const [late] = await insert(1, { deadlineAt: past, storeInput: false });
  const [kept] = await insert(1, { deadlineAt: past });
  const [lost] = await insert(1, { storeInput: false });
  if (!late || !kept || !lost) return;
  await ask(
    `UPDATE jobs SET status = 'processing', attempt = 5, dispatch_id = id, lease_until = now() - interval '1 minute',
       attempts = '[{"number": 5}]' WHERE id = $1`,
    [lost.id],
  );
  await ticks.expire();
  await ticks.rescue();
  const texts = (job: NewJob) => ask('SELECT text FROM items WHERE job_id = $1', [job.id]);
  assert.equal(await Promise.all([late, kept, lost].map(statusOf)), ['expired', 'expired', 'failed']);
  assert.equal(await Promise.all([late, kept, lost].map(texts)), [
    [{ text: null }],
    [{ text: 'a' }],
    [{ text: null }],
  ]);
});

test('queues what was scheduled once its time has come', async () => {
  const [due] = await insert(1, {
    status: 'scheduled',
    notBefore: new Date(Date.now() - 1000).toISOString(),
  });
  const [later] = await insert(1, {
    status: 'scheduled',
    notBefore: new Date(Date.now() + 3_600_000).toISOString(),
  });
  if (!due || !later) return;
  await ticks.queueDue();
  assert.equal([await statusOf(due), await statusOf(later)], ['queued', 'scheduled']);
});

test('prunes what is past its retention with all that hangs on it, and never what still runs', async () => {
  const past = new Date(Date.now() - 1000).toISOString();
  const [ended, running] = await insert(2, { expiresAt: past });
  if (!ended || !running) return;
  await ask(`UPDATE jobs SET status = 'succeeded' WHERE id = $1`, [ended.id]);
  await ticks.prune();
  assert.equal([await statusOf(ended), await statusOf(running)], ['gone', 'queued']);
  for (const table of ['items', 'job_events'])
    assert.equal(await ask(`SELECT DISTINCT job_id AS id FROM ${table}`), [{ id: running.id }], table);
});

test('makes the partitions of the months to come, as often as it is asked', async () => {
  await Promise.all([ticks.partitions(), ticks.partitions()]);
  const [row] = await ask<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pg_inherits WHERE inhparent = 'jobs'::regclass`,
  );
  assert.ok((row?.count ?? 0) >= 2, 'the next month has no partition');
});

test('measures without an error', async () => {
  await insert(3);
  await ticks.measure();
});

test.run();
