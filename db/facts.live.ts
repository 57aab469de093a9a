// Facts that add up to a person's graph whoever states them at once, each tenant for itself, and nothing of who was
// erased; and the views that stand in for the tables of the former system.

import { sql } from 'drizzle-orm';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createLiveSystem } from '../scripts/live-system.ts';
import { type Fact, selfKey } from '../shared/fact.ts';
import { defaultTenantId } from '../shared/job.ts';
import { type Claim, completeJobs, type StatedFact, startJobs } from './attempts.ts';
import { asTenant, createPool, inTransaction } from './client.ts';
import { createPostgresGraph } from './graph-postgres.ts';
import { insertJobs, type NewJob } from './submissions.ts';
import { insertProfile } from './users.ts';

const system = await createLiveSystem();
const pools = {
  reader: createPool(system.databaseUrl, { role: 'reader', max: 2 }),
  intake: createPool(system.databaseUrl, { role: 'intake', max: 4 }),
  worker: createPool(system.databaseUrl, { role: 'worker', max: 8 }),
};
const graph = createPostgresGraph(pools.reader);
test.after(async () => {
  await Promise.all(Object.values(pools).map((pool) => pool.end()));
  await system.close();
});

const [tenantA, tenantB] = [v7(), v7()];

function insertOf(person: { tenantId: string; userId: string }, profile: object): Promise<number> {
  return inTransaction(pools.worker, (tx) => insertProfile(tx, { ...person, jobId: v7(), profile }));
}

function newJob(changes: Partial<NewJob> = {}): NewJob {
  return {
    tenantId: tenantA,
    id: v7(),
    kind: 'reasoning',
    modelVersion: '1',
    modelDigest: 'd',
    class: 1,
    status: 'queued',
    userId: null,
    customId: null,
    metadata: {},
    tags: [],
    options: {},
    storeInput: true,
    texts: ['one', 'two'],
    characterCount: 6,
    dispatchId: v7(),
    notBefore: null,
    deadlineAt: null,
    createdAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    idempotency: null,
    ...changes,
  };
}

async function start(changes: Partial<NewJob>): Promise<Claim> {
  const job = newJob(changes);
  await insertJobs(pools.intake, [job]);
  const jobs = [{ tenantId: job.tenantId, id: job.id, dispatchId: job.dispatchId ?? v7() }];
  const [claim] = await startJobs(pools.worker, { jobs, worker: 'w', leaseMs: 60_000, attemptsMax: 5 });
  if (claim === undefined) throw new Error('the job was not to be had');
  return claim;
}

async function complete(
  claim: Claim,
  facts: readonly Fact[],
  output: object = {},
): Promise<string | undefined> {
  const stated = facts.map((fact, ordinal): StatedFact => ({ ...fact, itemIndex: ordinal % 2, ordinal }));
  const [ended] = await completeJobs(pools.worker, [
    {
      ...claim,
      results: claim.texts.map((_, index) => ({ index, output: JSON.stringify(output) })),
      facts: stated,
      timing: { batch_wait: 0, tokenize: 0, inference: 0 },
      execution: { worker: 'w' },
    },
  ]);
  return ended?.status;
}

function causes(source: string, target: string, strength: number, relation = 'causal'): Fact {
  return { type: 'causes', source: `concept:${source}`, target: `concept:${target}`, relation, strength };
}

const feels = (label: string, strength: number): Fact => ({
  type: 'feels',
  source: selfKey,
  target: `emotion:${label}`,
  relation: null,
  strength,
});

const edgeOf = async (person: { tenantId: string; userId: string }, target: string) =>
  (await graph.subgraph({ ...person, limit: 1000 })).edges.find((edge) => edge.target === target);

test('counts the evidence of several analyses and gives their mean strength', async () => {
  const person = { tenantId: tenantA, userId: 'facts' };
  const first = await start(person);
  assert.is(
    await complete(first, [causes('rain', 'mud', 0.9), causes('rain', 'mud', 0.6), feels('joy', 0.5)]),
    'succeeded',
  );
  const once = await edgeOf(person, 'concept:mud');
  assert.equal([once?.evidenceCount, once?.strength], [2, 0.75]);
  const second = await start(person);
  await complete(second, [causes('rain', 'mud', 0.3, 'conditional'), causes('mud', 'falls', 0.2)]);
  const twice = await edgeOf(person, 'concept:mud');
  assert.equal([twice?.evidenceCount, twice?.strength, twice?.relation], [3, 0.6, 'causal']);
  assert.equal(twice?.analyses, [`${second.id}:0`, `${first.id}:1`, `${first.id}:0`]);
  assert.equal(twice?.firstAt, once?.firstAt);
  assert.ok((twice?.lastAt ?? 0) >= (once?.lastAt ?? 0));
  assert.is((await edgeOf(person, 'emotion:joy'))?.evidenceCount, 1);
  const stats = await graph.stats(person);
  assert.equal([stats.nodes, stats.edges], [5, 3]);
});

test('loses no evidence of analyses that end at once', async () => {
  const person = { tenantId: tenantA, userId: 'at once' };
  const names = Array.from({ length: 12 }, (_, index) => `c${index}`);
  const claims = await Promise.all(Array.from({ length: 24 }, () => start(person)));
  // Every analysis has all edges, each in another order.
  const statuses = await Promise.all(
    claims.map((claim, turn) => {
      const turned = [...names.slice(turn % 12), ...names.slice(0, turn % 12)];
      return complete(
        claim,
        turned.map((name) => causes(name, 'end', (turn + 1) / 24)),
      );
    }),
  );
  assert.equal([...new Set(statuses)], ['succeeded']);
  const { edges } = await graph.subgraph({ ...person, limit: 1000 });
  assert.equal(
    edges.map(({ evidenceCount }) => evidenceCount),
    names.map(() => 24),
  );
  for (const { strength } of edges) assert.ok(Math.abs(strength - 25 / 48) < 1e-6, String(strength));
  assert.is(edges[0]?.analyses.length, 20);
});

test('states nothing of a text that is nobody’s', async () => {
  const claim = await start({ userId: null });
  assert.is(await complete(claim, [causes('rain', 'mud', 0.9)]), 'succeeded');
  const { rows } = await system.owner.query(
    'SELECT count(*)::integer AS count FROM facts WHERE job_id = $1',
    [claim.id],
  );
  assert.equal(rows, [{ count: 0 }]);
});

test('knows a person once, from the first text on', async () => {
  await Promise.all(Array.from({ length: 10 }, () => insertJobs(pools.intake, [newJob({ userId: 'once' })])));
  const { rows } = await system.owner.query(
    `SELECT count(*)::integer AS count FROM people WHERE user_id = 'once'`,
  );
  assert.equal(rows, [{ count: 1 }]);
});

const tables = [
  'people',
  'jobs',
  'items',
  'analyses',
  'facts',
  'graph_nodes',
  'graph_edges',
  'profiles',
] as const;
const views = ['users', 'emotion_analyses', 'reasoning_extractions', 'user_profiles'] as const;

test('shows a tenant its own rows and no others', async () => {
  for (const [tenantId, effect] of [
    [tenantA, 'mud'],
    [tenantB, 'flood'],
  ] as const) {
    const person = { tenantId, userId: 'same' };
    await complete(await start(person), [causes('rain', effect, 1)], {
      causal_chains: [],
      reasoning_graph: {},
    });
    await complete(await start({ ...person, kind: 'emotion' }), [feels('joy', 0.5)], { valence: 0.5 });
    await insertOf(person, {});
  }
  for (const tenantId of [tenantA, tenantB]) {
    for (const table of [...tables, ...views]) {
      const seen = await asTenant(pools.reader, tenantId, (reader) =>
        reader.execute(sql`SELECT DISTINCT tenant_id FROM ${sql.identifier(table)}`),
      );
      assert.equal(seen.rows, [{ tenant_id: tenantId }], table);
    }
  }
  const effects = async (tenantId: string) =>
    (await graph.neighbours({ tenantId, userId: 'same', node: 'concept:rain' })).map(({ node }) => node.name);
  assert.equal([await effects(tenantA), await effects(tenantB)], [['mud'], ['flood']]);
  const stranger = { tenantId: tenantB, userId: 'facts' };
  assert.equal(await graph.subgraph(stranger), { nodes: [], edges: [], truncated: false });
});

test('shows nothing to a reader of no tenant, and lets no reader write', async () => {
  const pool = createPool(system.databaseUrl, { role: 'reader', max: 1 });
  try {
    for (const table of [...tables, ...views]) {
      assert.equal(
        (await pool.query(`SELECT count(*)::integer AS count FROM ${table}`)).rows,
        [{ count: 0 }],
        table,
      );
    }
    for (const table of tables) {
      const refused = await pool.query(`DELETE FROM ${table}`).catch((error: unknown) => error);
      assert.match(String(refused), 'permission denied', table);
    }
  } finally {
    await pool.end();
  }
  for (const table of ['facts', 'graph_edges', 'profiles', 'analyses']) {
    const refused = await pools.intake.query(`SELECT FROM ${table}`).catch((error: unknown) => error);
    assert.match(String(refused), 'permission denied', table);
  }
});

test('keeps no result and no fact of a person who was erased meanwhile', async () => {
  const person = { tenantId: tenantA, userId: 'erased' };
  const [before, namesake] = [await start(person), await start({ ...person, tenantId: tenantB })];
  await system.owner.query('INSERT INTO erasures (tenant_id, id, user_id) VALUES ($1, $2, $3)', [
    tenantA,
    v7(),
    person.userId,
  ]);
  assert.is(await complete(before, [causes('rain', 'mud', 1)]), 'canceled');
  assert.is(await complete(namesake, [causes('rain', 'mud', 1)]), 'succeeded');
  for (const table of ['analyses', 'facts', 'graph_nodes', 'graph_edges']) {
    const { rows } = await system.owner.query(
      `SELECT count(*)::integer AS count FROM ${table} WHERE tenant_id = $1 AND user_id = $2`,
      [tenantA, person.userId],
    );
    assert.equal(rows, [{ count: 0 }], table);
  }
  // Who comes back after the erasure begins anew.
  const later = await start({ ...person, createdAt: new Date(Date.now() + 1000).toISOString() });
  assert.is(await complete(later, [causes('sun', 'joy', 1)]), 'succeeded');
  assert.is((await edgeOf(person, 'concept:joy'))?.evidenceCount, 1);
});

const columnsOf: Readonly<Record<(typeof views)[number], readonly string[]>> = {
  users: ['id', 'user_id', 'created_at', 'updated_at'],
  emotion_analyses: ['id', 'user_id', 'text', 'emotions', 'valence', 'arousal', 'created_at'],
  reasoning_extractions: ['id', 'user_id', 'text', 'causal_chains', 'reasoning_graph', 'created_at'],
  user_profiles: ['id', 'user_id', 'profile_data', 'version', 'created_at', 'updated_at'],
};

test('answers SQL that was written for the tables of the former system', async () => {
  const person = { tenantId: defaultTenantId, userId: 'former' };
  const emotion = { all_emotions: { joy: 0.75 }, valence: 0.5, arousal: 0.25, intensity: 0.125 };
  const reasoning = {
    causal_chains: [{ cause: { text: 'rain' } }],
    reasoning_graph: { nodes: [], edges: [] },
  };
  const felt = await start({ ...person, kind: 'emotion', texts: ['What a day!'] });
  await complete(felt, [], emotion);
  await complete(await start({ ...person, texts: ['It rained, so I stayed.'] }), [], reasoning);
  await insertOf(person, { a: 1 });
  await insertOf(person, { a: 2 });
  const select = async (view: (typeof views)[number]) => {
    const { rows } = await system.owner.query<Record<string, unknown>>(
      `SELECT ${columnsOf[view].join(', ')} FROM ${view} WHERE user_id = $1 AND tenant_id = $2`,
      [person.userId, person.tenantId],
    );
    assert.is(rows.length, 1, view);
    const { id, created_at, updated_at = created_at, ...rest } = rows[0] ?? {};
    assert.ok(id !== undefined && created_at instanceof Date && updated_at instanceof Date, view);
    return rest;
  };
  const { userId: user_id } = person;
  assert.equal(await select('users'), { user_id });
  const { all_emotions: emotions, valence, arousal } = emotion;
  assert.equal(await select('emotion_analyses'), {
    user_id,
    text: 'What a day!',
    emotions,
    valence,
    arousal,
  });
  assert.equal(await select('reasoning_extractions'), {
    user_id,
    text: 'It rained, so I stayed.',
    ...reasoning,
  });
  assert.equal(await select('user_profiles'), { user_id, profile_data: { a: 2, version: 2 }, version: 2 });
});

test.run();
