// A person's erasure step by step in the ledger: what it takes, what it leaves, and what it waits for.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createLiveSystem, mustClaimJob, newJob } from '../scripts/live-system.ts';
import { type Fact, selfKey } from '../shared/fact.ts';
import { type Claim, completeJobs } from './attempts.ts';
import { asTenant, createPool, inTransaction } from './client.ts';
import { type ErasureStep, eraseSome, requestErasure } from './erase-person.ts';
import { getErasure, listOpenErasures, pruneErasures } from './erasures.ts';
import { checksumGraph, rebuildGraph } from './facts.ts';
import { insertJobs, type NewJob } from './submissions.ts';
import { insertProfile } from './users.ts';

const system = await createLiveSystem();
const pools = {
  reader: createPool(system.databaseUrl, { role: 'reader', max: 2 }),
  intake: createPool(system.databaseUrl, { role: 'intake', max: 2 }),
  worker: createPool(system.databaseUrl, { role: 'worker', max: 4 }),
};
test.after(async () => {
  await Promise.all(Object.values(pools).map((pool) => pool.end()));
  await system.close();
});

const tenantId = v7();
const attemptsMax = 5;

const jobOf = (userId: string, changes: Partial<NewJob> = {}): NewJob =>
  newJob({ tenantId, kind: 'reasoning', userId, texts: ['one'], ...changes });

async function start(job: NewJob): Promise<Claim> {
  await insertJobs(pools.intake, [job]);
  return mustClaimJob(pools.worker, job, { attemptsMax });
}

async function complete(claim: Claim, facts: readonly Fact[] = []): Promise<string | undefined> {
  const completion = {
    ...claim,
    results: [{ index: 0, output: JSON.stringify({ word: 'canary' }) }],
    facts: facts.map((fact, ordinal) => ({ ...fact, itemIndex: 0, ordinal })),
    timing: { batch_wait: 0, tokenize: 0, inference: 0 },
    execution: { worker: 'w' },
  };
  return (await completeJobs(pools.worker, [completion]))[0]?.status;
}

const feels = (label: string): Fact => ({
  type: 'feels',
  source: selfKey,
  target: `emotion:${label}`,
  relation: null,
  strength: 0.5,
});
const request = (userId: string) => requestErasure(pools.worker, { tenantId, userId });
const step = (id: string) => eraseSome(pools.worker, { tenantId, id }, attemptsMax);
const receipt = (id: string) =>
  asTenant(pools.reader, tenantId, (reader) => getErasure(reader, { tenantId, id }));

/** Takes steps until there is none. @returns how many, and how the last one ended. */
async function erase(id: string): Promise<{ steps: number; end: ErasureStep }> {
  for (let steps = 1; ; steps++) {
    const end = await step(id);
    if (end !== 'more') return { steps, end };
  }
}

async function countRows(userId: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ['people', 'jobs', 'analyses', 'facts', 'graph_nodes', 'graph_edges', 'profiles']) {
    const { rows } = await system.owner.query<{ count: number }>(
      `SELECT count(*)::integer AS count FROM ${table} WHERE tenant_id = $1 AND user_id = $2`,
      [tenantId, userId],
    );
    if (rows[0]?.count !== 0) counts[table] = rows[0]?.count ?? 0;
  }
  return counts;
}

test('takes what was there, in steps, and keeps what came after', async () => {
  const userId = 'keeps';
  for (let index = 0; index < 60; index++)
    await complete(await start(jobOf(userId)), [feels('joy'), feels(`old${index}`)]);
  const id = await request(userId);
  const later = await start(jobOf(userId, { id: laterId() }));
  assert.is(await complete(later, [feels('joy'), feels('hope')]), 'succeeded');
  const { steps, end } = await erase(id);
  assert.equal([end, steps > 2], ['completed', true]);
  assert.equal(await countRows(userId), {
    people: 1,
    jobs: 1,
    analyses: 1,
    facts: 2,
    graph_nodes: 3,
    graph_edges: 2,
  });
  const { rows } = await system.owner.query(
    `SELECT target, evidence_count FROM graph_edges WHERE tenant_id = $1 AND user_id = $2 ORDER BY target`,
    [tenantId, userId],
  );
  assert.equal(rows, [
    { target: 'emotion:hope', evidence_count: 1 },
    { target: 'emotion:joy', evidence_count: 1 },
  ]);
  const before = await checksumGraph(system.owner, tenantId);
  assert.equal((await rebuildGraph(pools.worker, tenantId)).edges, 0);
  assert.equal(await checksumGraph(system.owner, tenantId), before);
  const done = await receipt(id);
  assert.equal([done?.userId, done?.jobsErased, done?.textsErased], [null, 60, 60]);
});

/** The id of a job that is submitted a moment later: ids of the same millisecond count as there already. */
function laterId(): string {
  return v7({ msecs: Date.now() + 1000 });
}

test('is one request while it is open, and reaches further when asked again', async () => {
  const userId = 'twice';
  const first = await request(userId);
  await insertJobs(pools.intake, [jobOf(userId, { id: laterId() })]);
  assert.is(await request(userId), first);
  assert.ok((await listOpenErasures(pools.worker, 10)).some(({ id }) => id === first));
  assert.is((await erase(first)).end, 'completed');
  assert.equal(await countRows(userId), {});
  assert.is(await step(first), 'completed');
  assert.is.not(await request(userId), first);
});

test('leaves a step that another process takes alone', async () => {
  const id = await request('busy');
  await inTransaction(pools.worker, async (tx) => {
    await tx.query('SELECT FROM erasures WHERE tenant_id = $1 AND id = $2 FOR UPDATE', [tenantId, id]);
    assert.is(await step(id), 'taken');
  });
  assert.is((await erase(id)).end, 'completed');
});

test('is not done before Neo4j has lost its copy', async () => {
  const userId = 'copied';
  await complete(await start(jobOf(userId)), [feels('joy')]);
  await system.owner.query(`UPDATE graph_edges SET projected_version = 1 WHERE user_id = $1`, [userId]);
  const id = await request(userId);
  assert.is((await erase(id)).end, 'waiting');
  assert.equal(
    [(await receipt(id))?.userId, await countRows(userId)],
    [userId, { people: 1, graph_edges: 1 }],
  );
  // As the graph process does once Neo4j has confirmed.
  await system.owner.query('DELETE FROM graph_edges WHERE user_id = $1 AND evidence_count = 0', [userId]);
  assert.is((await erase(id)).end, 'completed');
  assert.equal(await countRows(userId), {});
});

test('takes profiles that were made of it, also from a job that came after and is being run', async () => {
  const userId = 'profiled';
  await complete(await start(jobOf(userId)), []);
  const id = await request(userId);
  const profile = jobOf(userId, { id: laterId(), kind: 'profile', texts: [], characterCount: 0 });
  const claim = await start(profile);
  await inTransaction(pools.worker, (tx) =>
    insertProfile(tx, { tenantId, userId, jobId: v7(), profile: { word: 'canary' } }),
  );
  assert.is((await erase(id)).end, 'completed');
  assert.is(await complete(claim), undefined);
  assert.equal(await countRows(userId), { people: 1, jobs: 1 });
  const { rows } = await system.owner.query('SELECT status, attempt FROM jobs WHERE id = $1', [profile.id]);
  assert.equal(rows, [{ status: 'queued', attempt: 1 }]);
});

test('keeps receipts for a year', async () => {
  const id = await request('old');
  await erase(id);
  const age = (days: number) =>
    system.owner.query(`UPDATE erasures SET completed_at = now() - make_interval(days => $2) WHERE id = $1`, [
      id,
      days,
    ]);
  await age(364);
  assert.is(await pruneErasures(pools.worker, 10), 0);
  await age(366);
  assert.is(await pruneErasures(pools.worker, 10), 1);
  assert.is(await receipt(id), undefined);
});

test('shows a receipt to its tenant alone', async () => {
  const id = await request('mine');
  const seen = await asTenant(pools.reader, v7(), (reader) => getErasure(reader, { tenantId, id }));
  assert.equal([seen, (await receipt(id))?.userId], [undefined, 'mine']);
});

test.run();
