// The ledger keeps its promises: of two attempts one wins, nothing leaves a terminal state, states move only along the
// table of transitions, and each role can do its own work and nothing else.

import { getTableColumns, getTableName, is, Table } from 'drizzle-orm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import {
  claimJob,
  completionOf,
  createDatabase,
  createLiveSystem,
  mustClaimJob,
  newJob,
} from '../scripts/live-system.ts';
import { defaultTenantId, isTerminal, jobStatuses, jobTransitions, packUuid } from '../shared/job.ts';
import { type Claim, completeJobs, renewLeases, retryJobs } from './attempts.ts';
import { asTenant, createPool, type DatabaseRole } from './client.ts';
import { expireJobs, listAbandoned, queueDue } from './dispatch.ts';
import { listJobs } from './jobs.ts';
import { listenToJobs } from './listen.ts';
import { isMigrated, migrate } from './migrate.ts';
import * as schema from './schema.ts';
import { insertJobs, type NewJob } from './submissions.ts';

const system = await createLiveSystem();
const pools = {
  reader: createPool(system.databaseUrl, { role: 'reader', max: 2 }),
  intake: createPool(system.databaseUrl, { role: 'intake', max: 2 }),
  worker: createPool(system.databaseUrl, { role: 'worker', max: 3 }),
};
test.after(async () => {
  await Promise.all(Object.values(pools).map((pool) => pool.end()));
  await system.close();
});

const otherTenant = '00000000-0000-7000-8000-000000000002';

async function insert(changes: Partial<NewJob> = {}): Promise<NewJob> {
  const job = newJob(changes);
  await insertJobs(pools.intake, [job]);
  return job;
}

const claim = (job: NewJob, more: { leaseMs?: number; attemptsMax?: number } = {}) =>
  claimJob(pools.worker, job, more);
const mustClaim = (job: NewJob, more: { leaseMs?: number } = {}) => mustClaimJob(pools.worker, job, more);
const finished = (of: Claim, label = 'joy') => completionOf(of, { label });

async function look(job: Pick<NewJob, 'tenantId' | 'id'>) {
  const found = await asTenant(pools.reader, job.tenantId, (reader) =>
    listJobs(reader, job.tenantId, [job.id]),
  );
  return found.get(job.id);
}

async function eventsOf(job: NewJob): Promise<{ sequence: number; type: string }[]> {
  const { rows } = await system.owner.query<{ sequence: number; type: string }>(
    'SELECT sequence, type FROM job_events WHERE job_id = $1 ORDER BY sequence',
    [job.id],
  );
  return rows;
}

const retryArgs = { delayMs: 0, attemptsMax: 5, error: { code: 'x', detail: 'y' } };

test('tells a whole life in events that count up by one', async () => {
  const job = await insert();
  const first = await mustClaim(job);
  assert.equal(first.texts, ['one', 'two']);
  await retryJobs(pools.worker, [first], retryArgs);
  const again = v7();
  await system.owner.query('UPDATE jobs SET dispatch_id = $2 WHERE id = $1', [job.id, again]);
  const second = await mustClaim({ ...job, dispatchId: again });
  assert.is(second.attempt, 2);
  await completeJobs(pools.worker, [finished(second)]);
  assert.equal(await eventsOf(job), [
    { sequence: 1, type: 'job.queued' },
    { sequence: 2, type: 'job.started' },
    { sequence: 3, type: 'job.retrying' },
    { sequence: 4, type: 'job.started' },
    { sequence: 5, type: 'job.succeeded' },
  ]);
});

test('lets one of two attempts win', async () => {
  const job = await insert();
  const first = await mustClaim(job, { leaseMs: 1 });
  await system.owner.query(`UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1`, [job.id]);
  const second = await mustClaim(job);
  assert.equal([first.attempt, second.attempt], [1, 2]);
  const ended = await Promise.all([
    completeJobs(pools.worker, [finished(first, 'lost')]),
    completeJobs(pools.worker, [finished(second, 'won')]),
  ]);
  assert.equal([ended[0].length, ended[1].length], [0, 1]);
  assert.equal(await completeJobs(pools.worker, [finished(second, 'late')]), []);
  const found = await look(job);
  assert.equal(
    found?.results.map(({ output }) => output),
    [{ label: 'won' }, { label: 'won' }],
  );
  assert.is((await eventsOf(job)).filter(({ type }) => type === 'job.succeeded').length, 1);
});

test('gives a job to one of many workers that ask at once', async () => {
  const job = await insert();
  const claims = await Promise.all(Array.from({ length: 8 }, () => claim(job)));
  assert.is(claims.filter((found) => found !== undefined).length, 1);
});

test('gives nobody a job whose lease runs, whose dispatch is another, or whose attempts are used up', async () => {
  const job = await insert();
  assert.is(await claim({ ...job, dispatchId: v7() }), undefined);
  assert.is(await claim(job, { attemptsMax: 0 }), undefined);
  const held = await mustClaim(job);
  assert.is(await claim(job), undefined);
  assert.equal(await renewLeases(pools.worker, [held], 60_000), new Map([[job.id, 'processing']]));
  assert.equal(await renewLeases(pools.worker, [{ ...held, attempt: 7 }], 60_000), new Map());
});

test('finds and puts back what a dead worker held, and fails it when its attempts are used up', async () => {
  const job = await insert();
  const held = await mustClaim(job);
  await system.owner.query(`UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1`, [job.id]);
  const abandoned = await listAbandoned(pools.worker, 0, 100);
  assert.ok(abandoned.some(({ id }) => id === job.id));
  assert.equal(await retryJobs(pools.worker, [held], retryArgs), [{ id: job.id, status: 'queued' }]);
  assert.equal(await completeJobs(pools.worker, [finished(held)]), []);

  const last = await insert();
  const only = await mustClaim(last);
  await retryJobs(pools.worker, [only], { ...retryArgs, attemptsMax: 1 });
  const found = await look(last);
  assert.equal([found?.job.status, found?.job.failedCount], ['failed', 2]);
  assert.equal(found?.job.error, { code: 'x', detail: 'y' });
});

test('backs off in the ledger and comes back when the time is over', async () => {
  const job = await insert();
  await retryJobs(pools.worker, [await mustClaim(job)], { ...retryArgs, delayMs: 60_000 });
  assert.is((await look(job))?.job.status, 'scheduled');
  await queueDue(pools.worker, 100);
  assert.is((await look(job))?.job.status, 'scheduled');
  await system.owner.query('UPDATE jobs SET not_before = now() WHERE id = $1', [job.id]);
  await queueDue(pools.worker, 100);
  assert.is((await look(job))?.job.status, 'queued');
});

test('ends a job as canceled, without a result, that was canceled in the model', async () => {
  const job = await insert();
  const held = await mustClaim(job);
  await system.owner.query(`UPDATE jobs SET status = 'canceling' WHERE id = $1`, [job.id]);
  const [ended] = await completeJobs(pools.worker, [finished(held)]);
  assert.is(ended?.status, 'canceled');
  const found = await look(job);
  assert.equal([found?.job.statusReason, found?.results.length], ['canceled_by_client', 0]);
  assert.equal([found?.job.succeededCount, found?.job.failedCount], [0, 0]);
});

test('keeps no result of what was erased meanwhile', async () => {
  const job = await insert();
  const ofUser = await insert({ userId: 'u1' });
  const ofOther = await insert({ userId: 'u2' });
  const claims = [await mustClaim(job), await mustClaim(ofUser), await mustClaim(ofOther)];
  await system.owner.query(
    `INSERT INTO erasures (tenant_id, id, job_id, completed_at) VALUES ($1, $2, $3, now())`,
    [defaultTenantId, v7(), job.id],
  );
  await system.owner.query(
    `INSERT INTO erasures (tenant_id, id, user_id, last_job_id) VALUES ($1, $3, 'u1', $4), ($2, $3, 'u2', $4)`,
    [defaultTenantId, otherTenant, v7(), ofUser.id],
  );
  const ended = await completeJobs(
    pools.worker,
    claims.map((held) => finished(held)),
  );
  const statuses = new Map(ended.map(({ id, status }) => [id, status]));
  assert.equal(
    [job, ofUser, ofOther].map(({ id }) => statuses.get(id)),
    ['canceled', 'canceled', 'succeeded'],
  );
  assert.equal([(await look(job))?.results.length, (await look(ofUser))?.job.statusReason], [0, 'erased']);
});

test('records a group whole or not at all', async () => {
  const good = newJob();
  const bad = newJob({ class: 9 });
  const thrown = await insertJobs(pools.intake, [good, bad]).catch((error: unknown) => error);
  assert.instance(thrown, Error);
  assert.is(await look(good), undefined);
});

test('records no second job under an idempotency key until a day has passed', async () => {
  const idempotency = { route: 'r', key: 'k', fingerprint: 'aa' };
  const [first, second, third] = [newJob({ idempotency }), newJob({ idempotency }), newJob({ idempotency })];
  assert.is((await insertJobs(pools.intake, [first])).size, 1);
  assert.is((await insertJobs(pools.intake, [second])).size, 0);
  assert.is((await insertJobs(pools.intake, [newJob({ idempotency, tenantId: otherTenant })])).size, 1);
  await system.owner.query(`UPDATE idempotency_keys SET created_at = now() - interval '25 h'`);
  assert.is((await insertJobs(pools.intake, [third])).size, 1);
  assert.is(await look(second), undefined);
});

test('moves jobs only along the table of transitions', async () => {
  const moves: readonly (readonly [string, (job: NewJob, held: Claim) => Promise<unknown>])[] = [
    ['start', (job) => claim(job)],
    ['complete', (_, held) => completeJobs(pools.worker, [finished(held)])],
    ['retry', (_, held) => retryJobs(pools.worker, [held], retryArgs)],
    ['retry later', (_, held) => retryJobs(pools.worker, [held], { ...retryArgs, delayMs: 1000 })],
    ['give up', (_, held) => retryJobs(pools.worker, [held], { ...retryArgs, attemptsMax: 1 })],
    ['expire', () => expireJobs(pools.worker, 1000)],
    ['queue due', () => queueDue(pools.worker, 1000)],
  ];
  for (const from of jobStatuses) {
    for (const [name, move] of moves) {
      const job = await insert();
      const held = await mustClaim(job);
      const late = name === 'expire';
      await system.owner.query(
        `UPDATE jobs SET status = $2, lease_until = now() - interval '1 s', not_before = now() - interval '1 s',
           deadline_at = CASE WHEN $3 THEN now() - interval '1 s' END WHERE id = $1`,
        [job.id, from, late],
      );
      await move(job, held);
      const statusNow = (await look(job))?.job.status;
      const reached = jobStatuses.find((status) => status === statusNow) ?? from;
      if (reached === from) continue;
      assert.ok(jobTransitions[from].includes(reached), `${name}: ${from} -> ${reached}`);
      assert.not.ok(isTerminal(from), `${name} left ${from}`);
    }
  }
});

test('wakes the listener with the ids of jobs that ended', async () => {
  const job = await insert();
  const late = await insert({ deadlineAt: new Date(Date.now() - 1000).toISOString() });
  const heard = new Set<string>();
  const bothHeard = new Promise<void>((resolve) => {
    const listener = listenToJobs(system.databaseUrl, {
      changed: (ids) => {
        for (const id of ids) heard.add(id);
        if (heard.has(job.id) && heard.has(late.id)) void listener.close().then(resolve);
      },
      reconnected: () =>
        void mustClaim(job).then(async (held) => {
          await completeJobs(pools.worker, [finished(held)]);
          await expireJobs(pools.worker, 100);
        }),
      failed: () => undefined,
    });
  });
  await bothHeard;
  assert.is(packUuid(job.id).length, 22);
});

test('shows a reader the rows of its tenant and no others', async () => {
  const [mine, theirs] = [await insert(), await insert({ tenantId: otherTenant })];
  await completeJobs(pools.worker, [finished(await mustClaim(theirs))]);
  const seen = await asTenant(pools.reader, defaultTenantId, (reader) =>
    listJobs(reader, otherTenant, [mine.id, theirs.id]),
  );
  assert.is(seen.size, 0);
  const stranger = createPool(system.databaseUrl, { role: 'reader', max: 1 });
  for (const table of ['jobs', 'items', 'analyses', 'job_events']) {
    const client = await stranger.connect();
    await client.query(`SELECT set_config('app.tenant', $1, false)`, [defaultTenantId]);
    const { rows } = await client.query(
      `SELECT count(*)::integer AS count FROM ${table} WHERE tenant_id = $1`,
      [otherTenant],
    );
    await client.query(`SELECT set_config('app.tenant', '', false)`);
    const none = await client.query(`SELECT 1 FROM ${table}`);
    client.release();
    assert.equal([rows, none.rowCount], [[{ count: 0 }], 0], table);
  }
  await stranger.end();
});

test('shows each tenant its own rows when they read by turns over one connection', async () => {
  const pool = createPool(system.databaseUrl, { role: 'reader', max: 1 });
  const [mine, theirs] = [await insert(), await insert({ tenantId: otherTenant })];
  const both = [mine.id, theirs.id];
  for (const [tenantId, own] of [
    [defaultTenantId, mine],
    [otherTenant, theirs],
    [defaultTenantId, mine],
  ] as const) {
    const seen = await asTenant(
      pool,
      tenantId,
      async (reader) =>
        [
          await listJobs(reader, tenantId, both),
          await reader.select({ id: schema.jobs.id }).from(schema.jobs),
        ] as const,
    );
    assert.equal([...seen[0].keys()], [own.id]);
    assert.is(
      seen[1].some(({ id }) => id === own.id),
      true,
    );
    assert.is(
      seen[1].some(({ id }) => id !== own.id && both.includes(id)),
      false,
    );
  }
  await pool.end();
});

test('lets no role do more than its work', async () => {
  const refused: readonly (readonly [DatabaseRole, string])[] = [
    ['intake', 'SELECT 1 FROM jobs'],
    ['intake', 'SELECT 1 FROM items'],
    ['intake', 'SELECT 1 FROM analyses'],
    ['intake', `UPDATE jobs SET status = 'failed'`],
    ['intake', 'DELETE FROM jobs'],
    ['intake', 'DELETE FROM idempotency_keys'],
    ['reader', `INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'x')`],
    ['reader', `UPDATE jobs SET status = 'failed'`],
    ['reader', 'DELETE FROM items'],
    ['reader', 'SELECT 1 FROM idempotency_keys'],
    ['reader', 'SELECT 1 FROM processes'],
    ['reader', 'DELETE FROM erasures'],
    ['intake', 'SELECT 1 FROM erasures'],
    ['intake', 'UPDATE api_keys SET revoked_at = NULL'],
    ['worker', 'CREATE TABLE public.x (a integer)'],
    ['worker', 'DROP TABLE jobs'],
    ['worker', `INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'x')`],
    ['worker', 'TRUNCATE jobs'],
    ['reader', 'CREATE TABLE public.x (a integer)'],
  ];
  for (const [role, sql] of refused) {
    const pool = createPool(system.databaseUrl, { role, max: 1 });
    const error = await pool.query(sql).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    await pool.end();
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'none';
    assert.ok(code === '42501', `${role}: ${sql} gave ${code}`);
  }
});

test('has in the database exactly the columns that the typed reads know', async () => {
  const { rows } = await system.owner.query<{ name: string; columns: string[] }>(
    `SELECT c.relname AS name, array_agg(a.attname || ':' || format_type(a.atttypid, NULL) || ':' || a.attnotnull ORDER BY a.attname) AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition GROUP BY 1`,
  );
  const found = new Map(rows.map(({ name, columns }) => [name, columns]));
  const tables = Object.values(schema).filter((value) => is(value, Table));
  assert.ok(tables.length >= 7);
  for (const table of tables) {
    const columns = Object.values(getTableColumns(table)).map(
      (column) => `${column.name}:${column.getSQLType()}:${column.notNull}`,
    );
    assert.equal(columns.toSorted(), found.get(getTableName(table))?.toSorted(), getTableName(table));
  }
});

test('migrates once when six start at the same time', async () => {
  const name = `soma_test_many_${v7().replaceAll('-', '')}`;
  const { url, drop } = await createDatabase(name, false);
  await Promise.all(Array.from({ length: 6 }, () => migrate(url)));
  const pool = createPool(url, { role: 'owner', max: 1 });
  const { rows } = await pool.query('SELECT hash FROM drizzle.__drizzle_migrations');
  assert.is(new Set(rows.map(({ hash }) => hash)).size, rows.length);
  assert.is(await isMigrated(pool), true);
  await pool.end();
  await migrate(url);
  await drop();
});

test.run();
