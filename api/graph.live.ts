// The questions about a person's graph over real HTTP, on facts of which every answer is known.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { createPool } from '../db/client.ts';
import { rebuildGraph } from '../db/facts.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { type Fact, selfKey } from '../shared/fact.ts';
import { defaultTenantId } from '../shared/job.ts';

const system = await createLiveSystem({ NEO4J_URL: '' });
const database = createPool(system.databaseUrl, { role: 'worker', max: 2 });
const api = await system.start('api');
test.after(async () => {
  await database.end();
  await system.close();
});

const nasty = `o'brien" }) DETACH DELETE n //\\ '; DROP TABLE facts; --/?#%`;

function ask(userId: string, path: string, init: RequestInit = {}): Promise<Response> {
  const url = `${api.address}/v1/users/${encodeURIComponent(userId)}${path}`;
  return fetch(url, { signal: AbortSignal.timeout(70_000), ...init });
}

/** The body of a 200, read by `schema`. */
async function answer<Schema extends z.ZodType>(
  schema: Schema,
  userId: string,
  path: string,
): Promise<z.output<Schema>> {
  const response = await ask(userId, path);
  assert.is(response.status, 200, path);
  return schema.parse(await response.json());
}

const asJson = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
});

const problemSchema = z.object({
  status: z.number(),
  code: z.string(),
  retryable: z.boolean(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })).default([]),
});

/** Status, code and the pointers of a problem. */
async function problemOf(response: Response): Promise<readonly [number, string, string[]]> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = problemSchema.parse(await response.json());
  assert.is(problem.status, response.status);
  return [problem.status, problem.code, problem.errors.map(({ pointer }) => pointer)];
}

const concept = (name: string) => `concept:${name}`;

function causes(source: string, target: string, strength: number, relation = 'causal'): Fact {
  return { type: 'causes', source: concept(source), target: concept(target), relation, strength };
}

const mentions = (name: string): Fact => ({
  type: 'mentions',
  source: selfKey,
  target: concept(name),
  relation: null,
  strength: 1,
});

const facts: readonly Fact[] = [
  causes('stress', 'insomnia', 0.9),
  causes('insomnia', 'fatigue', 0.8),
  causes('stress', 'fatigue', 0.7),
  causes('stress', 'fatigue', 0.3),
  causes('fatigue', 'error', 0.6),
  causes('fatigue', 'stress', 0.4),
  causes('exercise', 'stress', 0.5, 'prevents'),
  ...['stress', 'insomnia', 'fatigue', 'error', 'exercise'].map(mentions),
];

/** Puts facts into the graph of a person, as of one job. */
async function state(userId: string, stated: readonly Fact[]): Promise<void> {
  const rows = stated.map((fact, ordinal) => ({
    ...fact,
    ordinal,
    strength_ppm: Math.round(fact.strength * 1e6),
  }));
  await database.query(
    `INSERT INTO facts (tenant_id, job_id, item_index, ordinal, user_id, type, source, target, relation, strength_ppm, at)
     SELECT $1, $2, 0, ordinal, $3, type, source, target, relation, strength_ppm, now() FROM json_to_recordset($4)
       AS f(ordinal integer, type text, source text, target text, relation text, strength_ppm integer)`,
    [defaultTenantId, v7(), userId, JSON.stringify(rows)],
  );
}
await state('thinker', facts);
await state(nasty, [causes('rain', 'mud', 0.5), mentions('rain')]);
await rebuildGraph(database);

const nodeSchema = z.object({ key: z.string(), type: z.string(), name: z.string() });
const edgeSchema = z.strictObject({
  source: z.string(),
  target: z.string(),
  type: z.string(),
  relation: z.string().nullable(),
  strength: z.number(),
  evidence_count: z.int(),
  analyses: z.array(z.string()),
  first_at: z.iso.datetime(),
  last_at: z.iso.datetime(),
});
const graphSchema = z.object({
  user_id: z.string(),
  nodes: z.array(nodeSchema),
  edges: z.array(edgeSchema),
  truncated: z.boolean(),
});
const pathsSchema = z.object({
  paths: z.array(z.object({ nodes: z.array(z.string()), strength: z.number(), edges: z.array(edgeSchema) })),
  explanation: z.object({ exists: z.boolean(), direct: z.boolean(), path_count: z.int() }),
  confounders: z.object({ confounders: z.array(z.object({ node: z.string() })), truncated: z.boolean() }),
});
const neighboursSchema = z.object({
  neighbours: z.array(z.object({ node: nodeSchema, direction: z.enum(['in', 'out']), edge: edgeSchema })),
});
const searchSchema = z.object({ nodes: z.array(nodeSchema) });

test('shows the whole graph and what surrounds a node', async () => {
  const whole = await answer(graphSchema, 'thinker', '/graph');
  assert.equal([whole.nodes.length, whole.edges.length, whole.truncated], [6, 11, false]);
  const merged = whole.edges.find(({ type, target }) => type === 'causes' && target === concept('fatigue'));
  assert.equal([merged?.source, merged?.evidence_count, merged?.strength], [concept('stress'), 2, 0.5]);
  const near = await answer(graphSchema, 'thinker', `/graph?from=${concept('exercise')}&depth=1`);
  assert.equal(near.nodes.map(({ name }) => name).sort(), ['exercise', 'self', 'stress']);
  const strong = await answer(graphSchema, 'thinker', '/graph?min_strength=0.6');
  assert.equal(strong.edges.filter(({ type }) => type === 'causes').length, 3);
  const cut = await answer(graphSchema, 'thinker', '/graph?limit=2');
  assert.equal([cut.edges, cut.truncated], [whole.edges.slice(0, 2), true]);
});

test('shows the strongest paths, and the shortest', async () => {
  const ends = `from=${concept('stress')}&to=${concept('error')}`;
  const { paths, explanation, confounders } = await answer(pathsSchema, 'thinker', `/graph/paths?${ends}`);
  assert.equal(
    paths.map(({ nodes }) => nodes),
    [['stress', 'insomnia', 'fatigue', 'error'].map(concept), ['stress', 'fatigue', 'error'].map(concept)],
  );
  for (const { strength, edges } of paths)
    assert.is(
      strength,
      edges.reduce((product, edge) => product * edge.strength, 1),
    );
  assert.equal(explanation, { exists: true, direct: false, path_count: 2 });
  assert.equal(confounders.confounders, [{ node: concept('fatigue') }, { node: concept('insomnia') }]);
  const shortest = await answer(pathsSchema, 'thinker', `/graph/paths?${ends}&shortest=true`);
  assert.equal(shortest.paths, paths.slice(1));
  const short = await answer(pathsSchema, 'thinker', `/graph/paths?${ends}&depth=2`);
  assert.equal(short.paths, paths.slice(1));
  const back = await answer(
    pathsSchema,
    'thinker',
    `/graph/paths?from=${concept('error')}&to=${concept('stress')}&shortest=true`,
  );
  assert.equal([back.paths, back.explanation.exists], [[], false]);
});

test('finds nodes by a part of their name, and what is joined to one', async () => {
  const found = await answer(searchSchema, 'thinker', '/graph/search?q=ER');
  assert.equal(
    found.nodes.map(({ key }) => key),
    ['error', 'exercise'].map(concept),
  );
  assert.equal((await answer(searchSchema, 'thinker', '/graph/search?q=e&limit=1')).nodes.length, 1);
  const { neighbours } = await answer(
    neighboursSchema,
    'thinker',
    `/graph/neighbours?node=${concept('stress')}`,
  );
  assert.equal(
    neighbours.map(({ node, direction, edge }) => [node.name, direction, edge.strength]),
    [
      ['self', 'in', 1],
      ['insomnia', 'out', 0.9],
      ['fatigue', 'out', 0.5],
      ['exercise', 'in', 0.5],
      ['fatigue', 'in', 0.4],
    ],
  );
});

test('measures a graph', async () => {
  const stats = await answer(z.looseObject({}), 'thinker', '/graph/stats');
  assert.equal([stats['store'], stats['nodes'], stats['edges']], ['postgres', 6, 11]);
  assert.equal(stats['edges_by_type'], { causes: 6, mentions: 5 });
  const { contradictions } = await answer(
    z.object({
      contradictions: z.array(
        z.object({ type: z.string(), nodes: z.array(z.string()), strength: z.number() }),
      ),
    }),
    'thinker',
    '/graph/contradictions',
  );
  assert.equal(
    contradictions.map(({ type, nodes }) => [type, nodes.length]),
    [
      ['causal_cycle', 3],
      ['mutual_causation', 2],
    ],
  );
  const { communities, modularity } = await answer(
    z.object({
      communities: z.array(z.object({ label: z.string(), nodes: z.array(z.string()) })),
      modularity: z.number(),
    }),
    'thinker',
    '/graph/communities',
  );
  assert.ok(communities.length > 0 && modularity >= -0.5 && modularity <= 1);
});

const whatIfSchema = z.object({
  effects: z.array(
    z.object({ node: z.string(), estimate: z.number(), paths: z.int(), strongest: z.array(z.string()) }),
  ),
  assumptions: z.array(z.string()).min(1),
});

test('estimates what a change would do, with its sign and its assumptions', async () => {
  const response = await ask('thinker', '/graph/what-if', asJson({ node: concept('exercise'), change: 1 }));
  assert.is(response.status, 200);
  const { effects } = whatIfSchema.parse(await response.json());
  assert.equal(
    effects.find(({ node }) => node === concept('stress')),
    {
      node: concept('stress'),
      estimate: -0.5,
      paths: 1,
      strongest: [concept('exercise'), concept('stress')],
    },
  );
  assert.ok(effects.every(({ estimate }) => estimate < 0 && estimate >= -1));
  const nothing = await ask('thinker', '/graph/what-if', asJson({ node: concept('moon'), change: 1 }));
  assert.equal(whatIfSchema.parse(await nothing.json()).effects, []);
});

test('refuses graph queries with a pointer to what is wrong', async () => {
  for (const [path, ...pointers] of [
    ['?depth=1000', '?/depth'],
    ['?depth=0', '?/depth'],
    ['?depth=1.5', '?/depth'],
    ['?depth=deep', '?/depth'],
    ['?min_strength=1.1', '?/min_strength'],
    ['?min_strength=-1', '?/min_strength'],
    ['?min_strength=NaN', '?/min_strength'],
    ['?limit=1001', '?/limit'],
    ['?from=', '?/from'],
    ['?from=concept:%00', '?/from'],
    [`?from=${'a'.repeat(1001)}`, '?/from'],
    ['?depth=9&limit=0&x=1', '?/depth', '?/limit', '?/x'],
    ['/paths', '?/from', '?/to'],
    ['/paths?from=a&to=b&shortest=maybe', '?/shortest'],
    ['/paths?from=a&to=%00', '?/to'],
    ['/paths?from=a&to=b&depth=1000', '?/depth'],
    ['/search', '?/q'],
    ['/search?q=', '?/q'],
    ['/search?q=a%00', '?/q'],
    ['/neighbours', '?/node'],
    ['/neighbours?node=a%00b', '?/node'],
    ['/stats?min_strength=0.5', '?/min_strength'],
    ['/communities?depth=2', '?/depth'],
    ['/contradictions?depth=2', '?/depth'],
  ] as const) {
    const [status, code, found] = await problemOf(await ask('thinker', `/graph${path}`));
    assert.equal([status, code, found.toSorted()], [422, 'invalid_request', pointers], path);
  }
});

test('refuses a what-if body with a pointer to what is wrong', async () => {
  for (const [body, ...pointers] of [
    [{}, '/change', '/node'],
    [[], ''],
    [{ node: 'a', change: 1.01 }, '/change'],
    [{ node: 'a', change: '1' }, '/change'],
    [{ node: 'a', change: null }, '/change'],
    [{ node: '', change: 1 }, '/node'],
    [{ node: 7, change: 1 }, '/node'],
    [{ node: 'a\0', change: 1 }, '/node'],
    ['{"node":"\\ud800","change":1}', '/node'],
    [{ node: 'a'.repeat(1001), change: 1 }, '/node'],
    [{ node: 'a', change: 1, more: 2 }, '/more'],
  ] as const) {
    const [status, code, found] = await problemOf(await ask('thinker', '/graph/what-if', asJson(body)));
    assert.equal([status, code, found.toSorted()], [422, 'invalid_request', pointers], JSON.stringify(body));
  }
  const [status, code] = await problemOf(await ask('thinker', '/graph/what-if', asJson('{')));
  assert.equal([status, code], [400, 'malformed_json']);
  const plain = { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{}' };
  assert.is((await ask('thinker', '/graph/what-if', plain)).status, 415);
});

const everyGet = [
  '/graph',
  `/graph?from=${selfKey}&depth=5`,
  '/graph/paths?from=concept:a&to=concept:b',
  '/graph/paths?from=concept:a&to=concept:b&shortest=true',
  '/graph/search?q=a',
  '/graph/neighbours?node=concept:a',
  '/graph/stats',
  '/graph/communities',
  '/graph/contradictions',
] as const;

test('answers about an unknown user with nothing', async () => {
  for (const path of everyGet) {
    const body = await answer(z.looseObject({ user_id: z.string() }), 'nobody at all', path);
    for (const name of ['nodes', 'edges', 'paths', 'neighbours', 'communities', 'contradictions'] as const)
      assert.ok(isNothing(body[name]), `${path} ${name}`);
    assert.is(body.user_id, 'nobody at all');
  }
  const response = await ask('nobody at all', '/graph/what-if', asJson({ node: 'concept:a', change: 1 }));
  assert.equal(whatIfSchema.parse(await response.json()).effects, []);
});

function isNothing(value: unknown): boolean {
  return value === undefined || value === 0 || (Array.isArray(value) && value.length === 0);
}

test('takes a user id with quotes, Cypher, SQL and slashes as a name like any other', async () => {
  for (const path of everyGet) {
    const body = await answer(z.looseObject({ user_id: z.string() }), nasty, path);
    assert.is(body.user_id, nasty, path);
  }
  assert.is((await answer(graphSchema, nasty, '/graph')).edges.length, 2);
  const { rows } = await system.owner.query(
    'SELECT count(*)::integer > 0 AS there FROM facts WHERE user_id = $1',
    [nasty],
  );
  assert.equal(rows, [{ there: true }]);
});

test('leaves no error in the log of the API', () => {
  assert.not.match(api.warnings().join('\n'), 'a request failed');
});

test.run();
