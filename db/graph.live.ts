// One suite for both stores over the same facts: what Postgres answers, Neo4j answers too, to the last digit and in the
// same order. Tenants are new in every run, so that nothing has to be wiped.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { startNeo4j, whyNoNeo4j } from '../scripts/embedded-neo4j.ts';
import { createDatabase } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { type Fact, selfKey } from '../shared/fact.ts';
import { createPool, isUnavailable, type Pool } from './client.ts';
import { rebuildGraph } from './facts.ts';
import type { GraphStore } from './graph.ts';
import { connectNeo4j, createNeo4jGraph, migrateNeo4j, type Neo4j } from './graph-neo4j.ts';
import { createPostgresGraph } from './graph-postgres.ts';
import { projectEdges } from './projection.ts';

const database = await createDatabase(`soma_test_${randomBytes(6).toString('hex')}`);
const worker = createPool(database.url, { role: 'worker', max: 4 });
const reader = createPool(database.url, { role: 'reader', max: 4 });
const neo4j = await findNeo4j();
const stores: readonly GraphStore[] = [
  createPostgresGraph(reader),
  ...(neo4j === undefined ? [] : [createNeo4jGraph(neo4j.db)]),
];
test.after(async () => {
  await neo4j?.close();
  await Promise.all([worker.end(), reader.end()]);
  await database.drop();
});

/** The Neo4j that is given, else one of our own; undefined, and a test that says so, if there can be none. */
async function findNeo4j(): Promise<{ db: Neo4j; close: () => Promise<void> } | undefined> {
  const config = readConfig();
  const missing = config.NEO4J_URL === '' ? whyNoNeo4j() : undefined;
  if (missing !== undefined) {
    test.skip(`neo4j is not tested: ${missing}`);
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), 'soma-neo4j-'));
  const service = config.NEO4J_URL === '' ? await startNeo4j({ folder, kept: false }) : undefined;
  const url = service?.env['NEO4J_URL'] ?? config.NEO4J_URL;
  const db = connectNeo4j({ url, user: config.NEO4J_USER, password: config.NEO4J_PASSWORD });
  return {
    db,
    close: async () => {
      await db.close();
      await service?.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const [tenantId, otherTenantId] = [v7(), v7()];
const alice = { tenantId, userId: 'alice' };
const nasty = { tenantId, userId: `o'brien" }) DETACH DELETE n //\\ '; DROP TABLE facts; --` };
const concept = (name: string) => `concept:${name}`;

function causes(source: string, target: string, strength: number): Fact {
  return { type: 'causes', source: concept(source), target: concept(target), relation: 'causal', strength };
}

function mentions(name: string): Fact {
  return { type: 'mentions', source: selfKey, target: concept(name), relation: null, strength: 1 };
}

async function insertFacts(pool: Pool, whose: { tenantId: string; userId: string }, facts: readonly Fact[]) {
  const jobId = v7();
  const rows = facts.map((fact, ordinal) => ({
    ...fact,
    ordinal,
    item_index: ordinal % 3,
    strength_ppm: Math.round(fact.strength * 1e6),
    at: `2026-10-01T10:00:00.${ordinal % 10}23456Z`,
  }));
  await pool.query(
    `INSERT INTO facts (tenant_id, job_id, item_index, ordinal, user_id, type, source, target, relation, strength_ppm, at)
     SELECT $1, $2, item_index, ordinal, $3, type, source, target, relation, strength_ppm, at
     FROM json_to_recordset($4) AS f(item_index integer, ordinal integer, type text, source text, target text,
       relation text, strength_ppm integer, at timestamptz)`,
    [whose.tenantId, jobId, whose.userId, JSON.stringify(rows)],
  );
}

const names = ['stress', 'insomnia', 'fatigue', 'error', 'coffee', '100%_sure', 'élan'];
const aliceFacts: readonly Fact[] = [
  causes('stress', 'insomnia', 0.9),
  causes('insomnia', 'fatigue', 0.8),
  causes('stress', 'fatigue', 0.7),
  causes('stress', 'fatigue', 0.3),
  causes('fatigue', 'error', 0.6),
  causes('fatigue', 'stress', 0.4),
  causes('coffee', 'insomnia', 0.7),
  causes('error', 'error', 0.2),
  ...names.map(mentions),
  { type: 'feels', source: selfKey, target: 'emotion:fear', relation: null, strength: 0.55 },
];
await insertFacts(worker, alice, aliceFacts);
await insertFacts(worker, nasty, [causes('rain', 'mud', 0.5), mentions('rain')]);
await insertFacts(worker, { tenantId: otherTenantId, userId: 'alice' }, [causes('stress', 'ulcer', 1)]);
const dense = { tenantId, userId: 'dense' };
const crowd = Array.from({ length: 50 }, (_, index) => `n${index}`);
await insertFacts(
  worker,
  dense,
  crowd.flatMap((from) => crowd.filter((to) => to !== from).map((to) => causes(from, to, 0.5))),
);
await rebuildGraph(worker);
if (neo4j !== undefined) {
  const client = await worker.connect();
  await migrateNeo4j(neo4j.db, () => Promise.resolve());
  await projectEdges(client, neo4j.db);
  client.release();
}

const keysOf = (names: readonly string[]) => names.map(concept);

for (const store of stores) {
  const it = (behaviour: string, check: () => Promise<void>) => test(`${store.name} ${behaviour}`, check);

  it('gives an edge with the mean of its evidence and where it comes from', async () => {
    const { edges } = await store.subgraph({ ...alice, from: concept('stress'), depth: 1 });
    const edge = edges.find(({ target, type }) => target === concept('fatigue') && type === 'causes');
    assert.equal(
      { ...edge, analyses: edge?.analyses.map((id) => id.replace(/^.{36}/, 'job')) },
      {
        source: concept('stress'),
        target: concept('fatigue'),
        type: 'causes',
        relation: 'causal',
        strength: 0.5,
        evidenceCount: 2,
        analyses: ['job:2', 'job:0'],
        firstAt: new Date('2026-10-01T10:00:00.223Z'),
        lastAt: new Date('2026-10-01T10:00:00.323Z'),
      },
    );
  });

  it('gives the whole graph, and says when the limit cuts it', async () => {
    const whole = await store.subgraph(alice);
    assert.equal([whole.nodes.length, whole.edges.length, whole.truncated], [9, 15, false]);
    const cut = await store.subgraph({ ...alice, limit: 3 });
    assert.equal([cut.edges.length, cut.truncated], [3, true]);
    assert.equal(cut.edges, whole.edges.slice(0, 3));
  });

  it('looks around a node hop by hop and never through the person', async () => {
    const near = await store.subgraph({ ...alice, from: concept('coffee'), depth: 1 });
    assert.equal(
      near.nodes.map(({ key }) => key),
      [selfKey, ...keysOf(['coffee', 'insomnia'])],
    );
    const wide = await store.subgraph({ ...alice, from: concept('coffee'), depth: 2 });
    assert.equal(wide.nodes.map(({ name }) => name).sort(), [
      'coffee',
      'fatigue',
      'insomnia',
      'self',
      'stress',
    ]);
    const self = await store.subgraph({ ...alice, from: selfKey, depth: 1 });
    assert.is(self.edges.length, 8);
  });

  it('leaves out edges that are too weak', async () => {
    const strong = await store.subgraph({ ...alice, minStrength: 0.5 });
    assert.is(strong.edges.filter(({ type }) => type === 'causes').length, 5);
    assert.is((await store.stats({ ...alice, minStrength: 0.95 })).edges, 7);
    assert.equal(
      await store.strongestPaths({
        ...alice,
        from: concept('stress'),
        to: concept('error'),
        minStrength: 0.65,
      }),
      [],
    );
  });

  it('finds the strongest paths, without a node twice, and the shortest', async () => {
    const ends = { from: concept('stress'), to: concept('error') };
    const paths = await store.strongestPaths({ ...alice, ...ends });
    assert.equal(
      paths.map(({ nodes }) => nodes),
      [keysOf(['stress', 'insomnia', 'fatigue', 'error']), keysOf(['stress', 'fatigue', 'error'])],
    );
    assert.equal(
      paths.map(({ strength }) => strength),
      [0.9 * 0.8 * 0.6, 0.5 * 0.6],
    );
    assert.equal(await store.strongestPaths({ ...alice, ...ends, depth: 2 }), paths.slice(1));
    assert.equal(await store.strongestPaths({ ...alice, ...ends, limit: 1 }), paths.slice(0, 1));
    assert.equal(await store.shortestPath({ ...alice, ...ends }), paths[1]);
    assert.equal(
      await store.shortestPath({ ...alice, from: concept('error'), to: concept('stress') }),
      undefined,
    );
    assert.equal(await store.strongestPaths({ ...alice, from: concept('error'), to: concept('error') }), []);
  });

  it('lists neighbours in both directions, strongest first', async () => {
    const found = await store.neighbours({ ...alice, node: concept('fatigue') });
    assert.equal(
      found.map(({ node, direction, edge }) => [node.name, direction, edge.strength]),
      [
        ['self', 'in', 1],
        ['insomnia', 'in', 0.8],
        ['error', 'out', 0.6],
        ['stress', 'in', 0.5],
        ['stress', 'out', 0.4],
      ],
    );
    assert.is((await store.neighbours({ ...alice, node: concept('error') })).length, 2);
  });

  it('searches names by any part, as it is written', async () => {
    const search = async (text: string) => (await store.search({ ...alice, text })).map(({ key }) => key);
    assert.equal(await search('E'), [
      ...keysOf(['error', '100%_sure', 'coffee', 'fatigue']),
      'emotion:fear',
      selfKey,
      concept('stress'),
    ]);
    assert.equal(await search('%'), [concept('100%_sure')]);
    assert.equal(await search('_'), [concept('100%_sure')]);
    assert.equal(await search('ÉL'), [concept('élan')]);
    assert.equal(await search('.*'), []);
  });

  it('counts', async () => {
    const { topConcepts, ...counts } = await store.stats({ ...alice, limit: 3 });
    assert.equal(counts, {
      nodes: 9,
      edges: 15,
      nodesByType: { concept: 7, emotion: 1, person: 1 },
      edgesByType: { causes: 7, feels: 1, mentions: 7 },
    });
    assert.equal(
      topConcepts.map(({ node, degree }) => [node.name, degree]),
      [
        ['fatigue', 5],
        ['error', 4],
        ['insomnia', 4],
      ],
    );
  });

  it('keeps tenants and users apart', async () => {
    const other = await store.subgraph({ tenantId: otherTenantId, userId: 'alice' });
    assert.equal(
      other.edges.map(({ target }) => target),
      [concept('ulcer')],
    );
    assert.equal((await store.subgraph({ tenantId: v7(), userId: 'alice' })).edges, []);
  });

  it('takes a user id with quotes, Cypher and SQL as a name like any other', async () => {
    assert.is((await store.subgraph(nasty)).edges.length, 2);
    assert.is((await store.neighbours({ ...nasty, node: concept('rain') })).length, 2);
    assert.equal(await store.search({ ...alice, text: nasty.userId }), []);
    assert.equal(await store.neighbours({ ...alice, node: nasty.userId }), []);
    const ends = { from: concept('rain'), to: concept('mud') };
    assert.is((await store.strongestPaths({ ...nasty, ...ends })).length, 1);
  });

  it('answers with nothing for a user or a node that does not exist', async () => {
    const nobody = { tenantId, userId: 'nobody' };
    const ends = { from: concept('stress'), to: concept('error') };
    assert.equal(await store.subgraph(nobody), { nodes: [], edges: [], truncated: false });
    assert.equal(await store.subgraph({ ...nobody, from: selfKey }), {
      nodes: [],
      edges: [],
      truncated: false,
    });
    assert.equal(await store.strongestPaths({ ...nobody, ...ends }), []);
    assert.is(await store.shortestPath({ ...nobody, ...ends }), undefined);
    assert.equal(await store.neighbours({ ...nobody, node: selfKey }), []);
    assert.equal(await store.search({ ...nobody, text: 'a' }), []);
    assert.equal(await store.stats(nobody), {
      nodes: 0,
      edges: 0,
      nodesByType: {},
      edgesByType: {},
      topConcepts: [],
    });
    assert.equal((await store.subgraph({ ...alice, from: concept('nothing') })).edges, []);
  });

  it('gives up a question that takes too long, and answers the next', async () => {
    const ends = { from: concept('n0'), to: concept('n1') };
    const started = performance.now();
    const error = await store.strongestPaths({ ...dense, ...ends, timeoutMs: 100 }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(isUnavailable(error), String(error));
    assert.ok(performance.now() - started < 5000);
    assert.is((await store.shortestPath({ ...dense, ...ends }))?.edges.length, 1);
    const cut = await store.subgraph({ ...dense, from: ends.from, depth: 5, limit: 100 });
    assert.equal([cut.edges.length, cut.truncated], [100, true]);
  });

  it('refuses bounds out of range by name', async () => {
    const from = concept('stress');
    const refused = async (wrong: object, message: RegExp) => {
      const error = await store.subgraph({ ...alice, from, ...wrong }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      assert.instance(error, RangeError);
      assert.match(String(error), message);
    };
    await refused({ depth: 1000 }, /depth .* 1 to 5/);
    await refused({ depth: 0 }, /depth/);
    await refused({ depth: 1.5 }, /depth/);
    await refused({ depth: Number.NaN }, /depth/);
    await refused({ limit: 1e9 }, /limit .* 1000/);
    await refused({ minStrength: 1.01 }, /min_strength/);
    await refused({ minStrength: Number.NaN }, /min_strength/);
    await refused({ timeoutMs: 0 }, /timeout_ms/);
    await refused({ from: '' }, /from/);
    await refused({ from: 'concept:\0' }, /from/);
    await refused({ userId: '\ud800' }, /user_id/);
  });
}

test.run();
