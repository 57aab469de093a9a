// No move of a job forgets its message: every statement that ends or starts a job is walked through, with endpoints,
// with a webhook of the job's own, and without either.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createLiveSystem, mustClaimJob, newJob } from '../scripts/live-system.ts';
import { defaultTenantId } from '../shared/job.ts';
import { toTargetId } from '../shared/webhook.ts';
import { type Claim, completeJobs, retryJobs } from './attempts.ts';
import { createPool, inTransaction } from './client.ts';
import { dueTargetsSql, listDueTargets } from './delivery-work.ts';
import { expireJobs } from './dispatch.ts';
import { cancelJob } from './job-control.ts';
import { insertJobs, type NewJob } from './submissions.ts';
import { insertProfile } from './users.ts';

const system = await createLiveSystem();
const pools = {
  reader: createPool(system.databaseUrl, { role: 'reader', max: 1 }),
  intake: createPool(system.databaseUrl, { role: 'intake', max: 1 }),
  worker: createPool(system.databaseUrl, { role: 'worker', max: 2 }),
};
test.after(async () => {
  await Promise.all(Object.values(pools).map((pool) => pool.end()));
  await system.close();
});

const stranger = '00000000-0000-7000-8000-000000000002';
const hookless = '00000000-0000-7000-8000-000000000003';

async function addEndpoint(tenantId: string, events: readonly string[]): Promise<string> {
  const id = v7();
  await pools.worker.query(
    `WITH secret AS (INSERT INTO webhook_secrets (tenant_id, owner_id, id, key_id, sealed) VALUES ($1, $2, $2, 'k', ''))
     INSERT INTO webhook_endpoints (tenant_id, id, url, events) VALUES ($1, $2, 'https://example.com/', $3)`,
    [tenantId, id, events],
  );
  return id;
}

async function insert(changes: Partial<NewJob> = {}): Promise<NewJob> {
  const job = newJob({ texts: ['one'], ...changes });
  await insertJobs(pools.intake, [job]);
  return job;
}

const claim = (job: NewJob) => mustClaimJob(pools.worker, job);

const completion = (of: Claim, fails = false) => ({
  ...of,
  results: [fails ? { index: 0, error: { code: 'x', detail: 'x' } } : { index: 0, output: '{}' }],
  facts: [],
  timing: { batch_wait: 0, tokenize: 0, inference: 0 },
  execution: {},
});

/** What each way to the end of a job does to it. */
const ways: Readonly<Record<string, (job: NewJob) => Promise<unknown>>> = {
  'job.started,job.succeeded': async (job) => completeJobs(pools.worker, [completion(await claim(job))]),
  'job.started,job.failed': async (job) => completeJobs(pools.worker, [completion(await claim(job), true)]),
  'job.started,job.canceled': async (job) => {
    const claimed = await claim(job);
    await cancelJob(pools.worker, job.tenantId, job.id);
    await completeJobs(pools.worker, [completion(claimed)]);
  },
  'job.started,job.started,job.failed': async (job) => {
    const error = { code: 'x', detail: 'x' };
    await retryJobs(pools.worker, [await claim(job)], { delayMs: 0, attemptsMax: 5, error });
    await pools.worker.query('UPDATE jobs SET dispatch_id = $2 WHERE id = $1', [job.id, job.dispatchId]);
    await retryJobs(pools.worker, [await claim(job)], { delayMs: 0, attemptsMax: 2, error });
  },
  'job.canceled': (job) => cancelJob(pools.worker, job.tenantId, job.id),
  'job.expired': async (job) => {
    await pools.worker.query('UPDATE jobs SET deadline_at = now() WHERE id = $1', [job.id]);
    await expireJobs(pools.worker, 10);
  },
};

interface Made {
  readonly target_id: string;
  readonly type: string;
  readonly sequence: number;
}

async function madeFor(job: NewJob): Promise<Made[]> {
  const { rows } = await pools.worker.query<Made>(
    'SELECT target_id, type, sequence FROM deliveries WHERE subject_id = $1 ORDER BY sequence, target_id',
    [job.id],
  );
  return rows;
}

async function eventsOf(job: NewJob): Promise<Map<number, string>> {
  const { rows } = await pools.worker.query<{ sequence: number; type: string }>(
    'SELECT sequence, type FROM job_events WHERE job_id = $1',
    [job.id],
  );
  return new Map(rows.map(({ sequence, type }) => [sequence, type]));
}

const all = await addEndpoint(defaultTenantId, ['*']);
const ends = await addEndpoint(defaultTenantId, ['job.succeeded', 'job.canceled']);
await addEndpoint(defaultTenantId, ['batch.*']);
const foreign = await addEndpoint(stranger, ['job.*']);
const off = await addEndpoint(defaultTenantId, ['*']);
await pools.worker.query(`UPDATE webhook_endpoints SET status = 'disabled' WHERE id = $1`, [off]);

for (const [types, walk] of Object.entries(ways)) {
  test(`makes a message of each of ${types}`, async () => {
    const url = 'https://example.com/own';
    const job = await insert({ webhook: { url, events: ['job.*'], includeResult: true } });
    await walk(job);
    const made = await madeFor(job);
    const to = (target: string) => made.filter((one) => one.target_id === target);
    assert.is(
      to(all)
        .map(({ type }) => type)
        .join(),
      types,
    );
    assert.equal(
      to(toTargetId(defaultTenantId, url))
        .map(({ type }) => type)
        .join(),
      types,
    );
    const wanted = types.split(',').filter((type) => ['job.succeeded', 'job.canceled'].includes(type));
    assert.equal(
      to(ends).map(({ type }) => type),
      wanted,
    );
    assert.equal([to(foreign), to(off)], [[], []]);
    const events = await eventsOf(job);
    for (const { type, sequence } of made) assert.is(events.get(sequence), type);
  });
}

test('makes none for a tenant without webhooks, and each tenant its own in one statement', async () => {
  const jobs = await Promise.all(
    [defaultTenantId, stranger, hookless].map((tenantId) => insert({ tenantId })),
  );
  const claims = [];
  for (const job of jobs) claims.push(await claim(job));
  await completeJobs(
    pools.worker,
    claims.map((one) => completion(one)),
  );
  const [own = [], strange = [], none] = await Promise.all(jobs.map(madeFor));
  assert.equal(new Set(own.map((one) => one.target_id)), new Set([all, ends]));
  assert.equal(
    strange.map((one) => [one.target_id, one.type]),
    [
      [foreign, 'job.started'],
      [foreign, 'job.succeeded'],
    ],
  );
  assert.equal(none, []);
});

test('tells of a new version of a profile, and not of one that was canceled', async () => {
  const make = async (canceled: boolean) => {
    const job = await insert({ kind: 'profile', userId: 'u', texts: [] });
    const claimed = await claim(job);
    if (canceled) await cancelJob(pools.worker, job.tenantId, job.id);
    await inTransaction(pools.worker, async (tx) => {
      await insertProfile(tx, { tenantId: job.tenantId, userId: 'u', jobId: job.id, profile: {} });
      await completeJobs(tx, [{ ...completion(claimed), results: [{ index: 0, output: '{}' }] }]);
    });
    return (await madeFor(job))
      .filter((one) => one.target_id === all)
      .map(({ type, sequence }) => `${type} ${sequence}`);
  };
  assert.ok((await make(false)).includes('profile.updated 1'));
  const canceled = await make(true);
  assert.ok(canceled.includes('job.canceled 4') && !canceled.some((one) => one.startsWith('profile')));
});

test('wakes the senders of exactly the targets that got something', async () => {
  await pools.worker.query(`UPDATE deliveries SET status = 'succeeded', next_attempt_at = NULL`);
  const job = await insert({ tenantId: stranger });
  const client = await pools.worker.connect();
  const told: string[] = [];
  client.on('notification', ({ payload = '' }) => told.push(payload));
  await client.query('LISTEN soma_deliveries');
  await completeJobs(pools.worker, [completion(await claim(job))]);
  await client.query('SELECT 1');
  client.release(true);
  assert.equal(new Set(told), new Set([foreign]));
  assert.equal(await listDueTargets(pools.worker, new Date(Date.now() + 1000)), [foreign]);
});

test('finds who has messages due without reading all that wait for a dead one', async () => {
  await pools.worker.query(
    `INSERT INTO deliveries (tenant_id, id, target_id, endpoint_id, subject_type, subject_id, type, sequence, at, next_attempt_at)
     SELECT $1, uuid_v7(), $2, $2, 'endpoint', $2, 'webhook.test', 1, now(), now() FROM generate_series(1, 3000)`,
    [stranger, foreign],
  );
  const { rows } = await pools.worker.query<Record<string, string>>(`EXPLAIN (ANALYZE) ${dueTargetsSql}`, [
    new Date(),
  ]);
  const plan = rows.map((row) => row['QUERY PLAN'] ?? '');
  const read = plan.flatMap((line) => /actual .*rows=(\d+)/.exec(line)?.[1] ?? []).map(Number);
  assert.ok(read.length > 3 && Math.max(...read) < 100, plan.join('\n'));
});

test('lets what has events elsewhere make messages of them with one call', async () => {
  const batch = v7();
  await pools.worker.query(
    `SELECT insert_deliveries(ARRAY[ROW($1, 'batch', $2, 'batch.ended', 7, now(), '{"id": "batch_1"}')::webhook_event])`,
    [defaultTenantId, batch],
  );
  const { rows } = await pools.worker.query(
    'SELECT type, sequence, data FROM deliveries WHERE subject_id = $1',
    [batch],
  );
  assert.is(rows.length, 2);
  assert.equal(rows[0], { type: 'batch.ended', sequence: 7, data: { id: 'batch_1' } });
});

test('fires for the role that may only record, and shows secrets and functions to no reader', async () => {
  const job = await insert();
  await pools.intake.query(
    `INSERT INTO job_events (tenant_id, job_id, sequence, type, at) VALUES ($1, $2, 2, 'job.succeeded', now())`,
    [job.tenantId, job.id],
  );
  assert.is((await madeFor(job)).length, 2);
  for (const pool of [pools.reader, pools.intake]) {
    for (const sql of ['SELECT FROM webhook_secrets', 'SELECT insert_deliveries(ARRAY[]::webhook_event[])'])
      assert.match(String(await pool.query(sql).catch((error: unknown) => error)), 'permission denied', sql);
  }
  const { rowCount } = await pools.reader.query('SELECT FROM deliveries');
  assert.is(rowCount, 0);
});

test.run();
