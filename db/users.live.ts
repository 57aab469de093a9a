// A person's history, read by one index in the order of time, and the versions of their profile.

import { drizzle } from 'drizzle-orm/node-postgres';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { createLiveSystem } from '../scripts/live-system.ts';
import { uuidTime } from '../shared/job.ts';
import { asTenant, createPool, inTransaction } from './client.ts';
import * as schema from './schema.ts';
import { getProfile, insertProfile, listEmotions, listHistory } from './users.ts';

const system = await createLiveSystem();
const pools = {
  reader: createPool(system.databaseUrl, { role: 'reader', max: 2 }),
  worker: createPool(system.databaseUrl, { role: 'worker', max: 8 }),
};
test.after(async () => {
  await Promise.all(Object.values(pools).map((pool) => pool.end()));
  await system.close();
});

const [tenantA, tenantB] = [v7(), v7()];
const dayMs = 86_400_000;
await system.owner.query(`SELECT ensure_partitions((now() - interval '1 month')::date, 3)`);

interface Seed {
  readonly userId: string;
  readonly jobId: string;
  readonly tenantId?: string;
  readonly itemIndex?: number;
  readonly kind?: string;
  readonly output?: object;
  readonly error?: object;
}

/** Stores analyses as they are, without the jobs that would have made them. */
async function seed(rows: readonly Seed[]): Promise<void> {
  const whole = rows.map((row) => ({
    tenantId: tenantA,
    itemIndex: 0,
    kind: 'emotion',
    ...(row.error === undefined ? { output: { valence: 0 } } : {}),
    ...row,
  }));
  await system.owner.query(
    `INSERT INTO analyses (tenant_id, job_id, item_index, kind, model_version, user_id, output, error, created_at)
     SELECT "tenantId", "jobId", "itemIndex", kind, '1', "userId", output, error, now() FROM json_to_recordset($1)
       AS x("tenantId" uuid, "jobId" uuid, "itemIndex" integer, kind text, "userId" text, output json, error jsonb)`,
    [JSON.stringify(whole)],
  );
}

const history = (
  userId: string,
  range: Omit<Parameters<typeof listHistory>[2], 'kind'>,
  tenantId = tenantA,
) =>
  asTenant(pools.reader, tenantId, (reader) =>
    listHistory(reader, { tenantId, userId }, { kind: 'emotion', ...range }),
  );

const placeOf = ({ jobId, itemIndex }: { jobId: string; itemIndex: number }) => ({ jobId, itemIndex });

test('pages through a history without gap or repeat, newest first', async () => {
  const now = Date.now();
  // Several items in a job, and several jobs in a millisecond.
  const jobIds = Array.from({ length: 60 }, (_, index) => v7({ msecs: now - Math.floor(index / 3) }));
  const rows = jobIds.flatMap((jobId, job) =>
    Array.from({ length: 1 + (job % 5) }, (_, itemIndex) => ({ userId: 'paged', jobId, itemIndex })),
  );
  await seed([
    ...rows,
    { userId: 'paged', jobId: v7(), error: { code: 'x', detail: 'y' } },
    { userId: 'paged', jobId: v7(), kind: 'reasoning' },
    { userId: 'other', jobId: v7() },
    { userId: 'paged', jobId: v7(), tenantId: tenantB },
  ]);
  const expected = rows
    .map(placeOf)
    .sort((a, b) => (a.jobId === b.jobId ? b.itemIndex - a.itemIndex : a.jobId < b.jobId ? 1 : -1));
  const found: ReturnType<typeof placeOf>[] = [];
  for (;;) {
    const page = (await history('paged', { limit: 7, after: found.at(-1) })).map(placeOf);
    found.push(...page);
    if (page.length < 7) break;
  }
  assert.equal(found, expected);
});

test('lists emotions from their columns, from the output of analyses that have none, and no others', async () => {
  const whole = { valence: 0.5, arousal: 0.25, intensity: 0.75, primary_emotion: 'joy' };
  const [stored = '', old = '', partial = '', reasoning = ''] = [0, 1, 2, 3].map((step) =>
    v7({ msecs: Date.now() + step }),
  );
  await seed([
    { userId: 'felt', jobId: stored, output: whole },
    { userId: 'felt', jobId: old, output: whole },
    { userId: 'felt', jobId: partial },
    { userId: 'felt', jobId: reasoning, kind: 'reasoning', output: whole },
  ]);
  await system.owner.query(
    `UPDATE analyses SET valence = -1, arousal = 1, intensity = 0, primary_emotion = 'grief' WHERE job_id = $1`,
    [stored],
  );
  const person = { tenantId: tenantA, userId: 'felt' };
  const found = await asTenant(pools.reader, tenantA, (reader) =>
    listEmotions(reader, person, { limit: 10 }),
  );
  assert.equal(found, [
    { jobId: old, modelVersion: '1', ...whole },
    { jobId: stored, modelVersion: '1', valence: -1, arousal: 1, intensity: 0, primary_emotion: 'grief' },
  ]);
  const [newest] = await asTenant(pools.reader, tenantA, (reader) =>
    listEmotions(reader, person, { limit: 1 }),
  );
  assert.is(newest?.jobId, old);
});

test('bounds a history by the time of its jobs, to the millisecond and inclusive', async () => {
  const start = Date.now() - dayMs;
  const rows = [0, 1, 2, 3, 4].map((step) => ({ userId: 'bounded', jobId: v7({ msecs: start + step }) }));
  await seed(rows);
  const steps = async (from: number | undefined, to: number | undefined) => {
    const at = (step: number | undefined) => (step === undefined ? undefined : new Date(start + step));
    const found = await history('bounded', { from: at(from), to: at(to), limit: 10 });
    return found.map(({ jobId }) => uuidTime(jobId).getTime() - start);
  };
  assert.equal(await steps(1, 3), [3, 2, 1]);
  assert.equal(await steps(undefined, 0), [0]);
  assert.equal(await steps(4, undefined), [4]);
  assert.equal(await steps(5, undefined), []);
  assert.equal(await steps(3, 1), []);
  assert.equal(
    (await history('bounded', { from: new Date(-1e12), to: new Date(Date.UTC(9999, 11, 31)), limit: 10 }))
      .length,
    5,
  );
});

const planRows = z.array(z.object({ 'QUERY PLAN': z.unknown() }));

/** How Postgres runs what `listHistory` asks: the types of the plan's nodes and the indexes that it uses. */
async function planOf(range: Omit<Parameters<typeof listHistory>[2], 'kind'>) {
  const statements: { text: string; values: unknown[] }[] = [];
  const client = await pools.reader.connect();
  try {
    await client.query(`SELECT set_config('app.tenant', $1, false)`, [tenantA]);
    const logger = {
      logQuery: (text: string, values: unknown[]) => {
        statements.push({ text, values });
      },
    };
    const reader = drizzle(client, { schema, logger });
    await listHistory(reader, { tenantId: tenantA, userId: 'many' }, { kind: 'emotion', ...range });
    assert.is(statements.length, 1);
    const [{ text, values } = { text: '', values: [] }] = statements;
    const { rows } = await client.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values);
    const plan = JSON.stringify(planRows.parse(rows));
    const all = (name: string) =>
      [...plan.matchAll(new RegExp(`"${name}":"([^"]+)"`, 'g'))].map(([, value]) => value);
    return { nodes: all('Node Type'), indexes: all('Index Name') };
  } finally {
    client.release();
  }
}

test('reads a page of thousands by the index of histories alone, without sorting', async () => {
  const now = Date.now();
  const many = Array.from({ length: 3000 }, (_, index) => ({
    userId: 'many',
    jobId: v7({ msecs: now - index * 60_000 }),
  }));
  const others = Array.from({ length: 3000 }, (_, index) => ({ userId: `u${index % 30}`, jobId: v7() }));
  await seed([...many, ...others]);
  await system.owner.query('ANALYZE analyses');
  const { rows } = await system.owner.query<{ name: string }>(
    `SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'analyses_history'::regclass`,
  );
  const histories = rows.map(({ name }) => name);
  const after = { jobId: many[1500]?.jobId ?? '', itemIndex: 0 };
  const from = new Date(now - dayMs);
  for (const range of [
    { limit: 21 },
    { limit: 21, after },
    { limit: 21, from, after },
    { limit: 1000, from },
  ]) {
    const { nodes, indexes } = await planOf(range);
    const named = JSON.stringify(nodes);
    assert.not.ok(
      nodes.some((node) => /Sort|Seq Scan|Bitmap/.test(node ?? '')),
      named,
    );
    assert.ok(
      nodes.some((node) => node === 'Index Scan'),
      named,
    );
    assert.ok(
      indexes.length > 0 && indexes.every((index) => histories.includes(index ?? '')),
      String(indexes),
    );
  }
});

function insertOf(person: { tenantId: string; userId: string }, profile: object): Promise<number> {
  return inTransaction(pools.worker, (tx) => insertProfile(tx, { ...person, jobId: v7(), profile }));
}

test('numbers the versions of a profile, whoever stores them at once', async () => {
  const person = { tenantId: tenantA, userId: 'versions' };
  await system.owner.query('INSERT INTO people (tenant_id, user_id) VALUES ($1, $2)', [
    tenantA,
    person.userId,
  ]);
  const versions = await Promise.all(Array.from({ length: 8 }, (_, index) => insertOf(person, { index })));
  assert.equal(
    versions.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
  const get = (version?: number, tenantId = tenantA) =>
    asTenant(pools.reader, tenantId, (reader) => getProfile(reader, { ...person, tenantId }, version));
  assert.is((await get())?.version, 8);
  assert.equal((await get(3))?.profile, { index: versions.indexOf(3), version: 3 });
  assert.is(await get(9), undefined);
  assert.is(await get(undefined, tenantB), undefined);
  assert.is(await insertOf({ ...person, tenantId: tenantB }, {}), 1);
});

test.run();
