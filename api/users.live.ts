// What a client learns of a person over real HTTP: their history, their graph, and the analyses from which both follow.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { createPool } from '../db/client.ts';
import { rebuildGraph } from '../db/facts.ts';
import { trajectoryOf, trajectorySchema } from '../models/analytics/trajectory.ts';
import { createRegistry } from '../models/registry.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { conceptKey, type Fact, selfKey } from '../shared/fact.ts';
import { defaultTenantId, formatJobId } from '../shared/job.ts';
import { historyEntrySchema } from './history.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem();
const database = createPool(system.databaseUrl, { role: 'worker', max: 2 });
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(async () => {
  await database.end();
  await system.close();
});

const registry = createRegistry(readConfig().MODELS_DIR);
const nasty = `o'brien" }) DETACH DELETE n //\\ '; DROP TABLE facts; --/?#%`;
const dayMs = 86_400_000;

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

/** The job once it has ended. */
async function finish(body: object): Promise<JobView> {
  const init = asJson(body);
  const response = await fetch(`${api.address}/v1/jobs`, {
    ...init,
    headers: { ...init.headers, prefer: 'wait=60' },
    signal: AbortSignal.timeout(70_000),
  });
  assert.is(response.status, 200);
  const job = jobViewSchema.parse(await response.json());
  assert.is(job.status, 'succeeded', job.error?.detail);
  return job;
}

/** The outputs of a job, each checked against the contract of its kind and then read by `schema`. */
function outputsOf<Schema extends z.ZodType>(schema: Schema, job: JobView): z.output<Schema>[] {
  return (job.result?.items ?? []).map(({ output }) => {
    assert.ok(registry.find(job.kind)?.outputSchema.safeParse(output).success);
    return schema.parse(output);
  });
}

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

const historySchema = z.object({
  user_id: z.string(),
  data: z.array(historyEntrySchema),
  has_more: z.boolean(),
  trajectory: trajectorySchema,
});
type Entry = z.output<typeof historyEntrySchema>;

const labels = ['joy', 'sadness', 'anger'] as const;

// 45 analyses of 20 jobs over ten days, as the ledger has them.
await system.owner.query(`SELECT ensure_partitions((now() - interval '1 month')::date, 3)`);
const start = Date.now() - 10 * dayMs;
const stored = Array.from({ length: 20 }, (_, job) => ({
  jobId: v7({ msecs: start + Math.floor(job / 2) * dayMs }),
  items: 1 + ((job * 7) % 4),
})).flatMap(({ jobId, items }, job) =>
  Array.from({ length: items }, (_, itemIndex) => ({
    jobId,
    itemIndex,
    output: {
      primary_emotion: labels[(job + itemIndex) % 3],
      primary_score: 0.75,
      emotions: [{ label: labels[(job + itemIndex) % 3], score: 0.75 }],
      confidence: 0.5,
      valence: Math.sin(job * 5 + itemIndex) * 0.5,
      arousal: 0.25 + job / 100,
      intensity: 0.5,
    },
  })),
);
await system.owner.query(
  `INSERT INTO analyses (tenant_id, job_id, item_index, kind, model_version, user_id, output, created_at)
   SELECT $1, "jobId", "itemIndex", 'emotion', '1', 'moody', output, now()
   FROM json_to_recordset($2) AS x("jobId" uuid, "itemIndex" integer, output json)`,
  [defaultTenantId, JSON.stringify(stored)],
);

const placeOf = (entry: Entry | undefined): string => `${entry?.job_id}:${entry?.item_index}`;
const expectedPlaces = stored
  .map(({ jobId, itemIndex }) => ({ jobId, itemIndex }))
  .sort((a, b) => (a.jobId === b.jobId ? b.itemIndex - a.itemIndex : a.jobId < b.jobId ? 1 : -1))
  .map(({ jobId, itemIndex }) => `${formatJobId(jobId)}:${itemIndex}`);

for (const limit of [1, 7, 20, 100]) {
  test(`pages through a history by ${limit} without gap or repeat`, async () => {
    const found: string[] = [];
    for (let query = `?limit=${limit}`; ; query = `?limit=${limit}&after=${found.at(-1)}`) {
      const { data, has_more } = await answer(historySchema, 'moody', `/emotions${query}`);
      found.push(...data.map(placeOf));
      assert.is(data.length, Math.min(limit, expectedPlaces.length - found.length + data.length));
      assert.is(has_more, found.length < expectedPlaces.length);
      if (!has_more) break;
    }
    assert.equal(found, expectedPlaces);
  });
}

test('gives 20 entries unless told otherwise', async () => {
  assert.is((await answer(historySchema, 'moody', '/emotions')).data.length, 20);
});

test('gives the trajectory of what is in the range, whatever the page', async () => {
  const all = await answer(historySchema, 'moody', '/emotions?limit=100');
  const points = (entries: readonly Entry[]) =>
    entries.toReversed().map((entry) => ({ ...entry, at: new Date(entry.timestamp) }));
  assert.equal(all.trajectory, trajectoryOf(points(all.data)));
  assert.equal([all.trajectory.data_points, all.trajectory.days_analyzed], [stored.length, 10]);
  assert.equal(
    all.trajectory.trajectory.map(({ valence }) => valence),
    stored
      .toSorted((a, b) => (a.jobId === b.jobId ? a.itemIndex - b.itemIndex : a.jobId < b.jobId ? -1 : 1))
      .map(({ output }) => output.valence),
  );
  const page = await answer(historySchema, 'moody', `/emotions?limit=3&after=${placeOf(all.data[4])}`);
  assert.equal(page.trajectory, all.trajectory);
  assert.equal(page.data, all.data.slice(5, 8));
});

test('bounds a history by the times that its entries show, inclusive', async () => {
  const { data } = await answer(historySchema, 'moody', '/emotions?limit=100');
  const [from, to] = [new Date(start + 3 * dayMs).toISOString(), new Date(start + 5 * dayMs).toISOString()];
  const within = data.filter(({ timestamp }) => timestamp >= from && timestamp <= to);
  const ranged = await answer(historySchema, 'moody', `/emotions?limit=100&from=${from}&to=${to}`);
  assert.equal(ranged.data, within);
  assert.ok(within.length > 0);
  assert.equal([ranged.trajectory.data_points, ranged.trajectory.days_analyzed], [within.length, 3]);
  const offset = encodeURIComponent(from.replace('Z', '+00:00'));
  const paged = await answer(
    historySchema,
    'moody',
    `/emotions?limit=2&from=${offset}&to=${to}&after=${placeOf(within[0])}`,
  );
  assert.equal(paged.data, within.slice(1, 3));
  const none = await answer(historySchema, 'moody', `/emotions?from=${to}&to=${from}`);
  assert.equal([none.data, none.trajectory.data_points], [[], 0]);
});

test('refuses a history query with a pointer to what is wrong', async () => {
  const place = expectedPlaces[0] ?? '';
  for (const [query, pointer] of [
    ['limit=0', '?/limit'],
    ['limit=101', '?/limit'],
    ['limit=1.5', '?/limit'],
    ['limit=many', '?/limit'],
    ['limit=1&limit=2', '?/limit'],
    ['from=yesterday', '?/from'],
    ['to=2026-02-30T00:00:00Z', '?/to'],
    ['to=2026-02-01', '?/to'],
    ['after=1', '?/after'],
    ['after=', '?/after'],
    [`after=${place}:1`, '?/after'],
    [`after=${place.split(':')[0]}`, '?/after'],
    [`after=${place.replace(/\d+$/, '-1')}`, '?/after'],
    ['after=job_x%27;--:0', '?/after'],
    ['colour=red', '?/colour'],
  ] as const) {
    assert.equal(
      await problemOf(await ask('moody', `/emotions?${query}`)),
      [422, 'invalid_request', [pointer]],
      query,
    );
  }
});

test('shows a text in the history of its person as soon as its job has ended', async () => {
  const texts = ['I am so happy today!', 'This makes me really angry.'];
  const job = await finish({ kind: 'emotion', user_id: 'fresh', input: { texts } });
  const { data } = await answer(historySchema, 'fresh', '/emotions');
  const outputs = outputsOf(z.looseObject({ primary_emotion: z.string(), valence: z.number() }), job);
  assert.equal(
    data.map(({ job_id, item_index, primary_emotion, valence }) => ({
      job_id,
      item_index,
      primary_emotion,
      valence,
    })),
    outputs
      .map(({ primary_emotion, valence }, item_index) => ({
        job_id: job.id,
        item_index,
        primary_emotion,
        valence,
      }))
      .reverse(),
  );
  assert.is(data[0]?.timestamp, job.created_at);
});

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
  '/emotions',
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
    for (const name of [
      'data',
      'nodes',
      'edges',
      'paths',
      'neighbours',
      'communities',
      'contradictions',
    ] as const)
      assert.ok(isNothing(body[name]), `${path} ${name}`);
    assert.is(body.user_id, 'nobody at all');
  }
  const { trajectory } = await answer(historySchema, 'nobody at all', '/emotions');
  assert.equal(trajectory, trajectoryOf([]));
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
  const job = await finish({ kind: 'emotion', user_id: nasty, input: { text: 'I am so happy today!' } });
  assert.equal(
    (await answer(historySchema, nasty, '/emotions')).data.map(({ job_id }) => job_id),
    [job.id],
  );
  const { rows } = await system.owner.query(
    'SELECT count(*)::integer > 0 AS there FROM facts WHERE user_id = $1',
    [nasty],
  );
  assert.equal(rows, [{ there: true }]);
});

test('reads the id of every user that a job could have', async () => {
  const longest = '😀'.repeat(255);
  await finish({ kind: 'emotion', user_id: longest, input: { text: 'I am so happy today!' } });
  assert.is((await answer(historySchema, longest, '/emotions')).data.length, 1);
  for (const userId of ['a'.repeat(256), '😀'.repeat(256), 'a\0b']) {
    for (const path of ['/emotions', '/graph/stats', '/profile'] as const)
      assert.equal(await problemOf(await ask(userId, path)), [422, 'invalid_request', ['/user_id']], path);
  }
  const broken = await fetch(`${api.address}/v1/users/%ff/emotions`);
  assert.is((await problemOf(broken))[0], 400);
});

test('answers 405 with the methods that are allowed, and 404 where nothing is', async () => {
  for (const [method, path, allow] of [
    ['POST', '/emotions', 'GET'],
    ['DELETE', '/graph', 'GET'],
    ['PUT', '/profile', 'GET'],
    ['GET', '/graph/what-if', 'POST'],
  ] as const) {
    const response = await ask('thinker', path, { method });
    assert.match(response.headers.get('allow') ?? '', allow);
    assert.is((await problemOf(response))[1], 'method_not_allowed', path);
  }
  for (const path of ['', '/graph/nothing', '/Graph', '/emotions/1'] as const)
    assert.equal(await problemOf(await ask('thinker', path)), [404, 'not_found', []], path);
});

const spanSchema = z.object({ text: z.string(), start: z.int(), end: z.int() });
const reasoningSchema = z.looseObject({
  causal: z.boolean(),
  causal_chains: z.array(z.looseObject({ cause: spanSchema, effect: spanSchema, relation: z.string() })),
  counterfactuals: z.array(z.looseObject({ antecedent: spanSchema })),
  sentences: z.int(),
  language: z.string(),
  warnings: z.array(z.object({ code: z.string() })),
});

test('reasons about a text and puts what causes what into the graph of its person', async () => {
  const text = '😀 The match was cancelled because it rained. If I had known, I would have stayed at home.';
  const body = { kind: 'reasoning', user_id: 'reasoner', input: { text } };
  const job = await finish(body);
  const [output] = outputsOf(reasoningSchema, job);
  const [chain] = output?.causal_chains ?? [];
  assert.equal([output?.causal, output?.sentences, output?.language, output?.warnings], [true, 2, 'en', []]);
  assert.match(chain?.cause.text ?? '', 'rained');
  assert.match(chain?.effect.text ?? '', 'cancelled');
  for (const span of [chain?.cause, chain?.effect, output?.counterfactuals[0]?.antecedent])
    assert.is(text.slice(span?.start, span?.end), span?.text);
  const ends = [conceptKey(chain?.cause.text ?? ''), conceptKey(chain?.effect.text ?? '')] as const;
  const path = `/graph/paths?from=${encodeURIComponent(ends[0] ?? '')}&to=${encodeURIComponent(ends[1] ?? '')}`;
  const { paths } = await answer(pathsSchema, 'reasoner', path);
  assert.equal(
    paths.map(({ edges }) => edges.map(({ evidence_count, analyses }) => [evidence_count, analyses])),
    [[[1, [`${job.id.slice(4)}:0`]]]],
  );
  await finish(body);
  const again = await answer(pathsSchema, 'reasoner', path);
  assert.equal([again.paths[0]?.edges[0]?.evidence_count, again.paths[0]?.strength], [2, paths[0]?.strength]);
  const options = { extract_causal: false, extract_counterfactual: false };
  const [none] = outputsOf(reasoningSchema, await finish({ kind: 'reasoning', input: { text }, options }));
  assert.equal([none?.causal_chains, none?.counterfactuals], [[], []]);
});

test('reads a hundred sentences of one item', async () => {
  const sentences = Array.from({ length: 100 }, (_, index) =>
    index % 2 === 0
      ? `Street number ${index} was closed because a tree had fallen.`
      : `My house has ${index} windows.`,
  );
  const text = sentences.join(' ');
  const [output] = outputsOf(reasoningSchema, await finish({ kind: 'reasoning', input: { text } }));
  assert.is(output?.sentences, 100);
  assert.ok((output?.causal_chains.length ?? 0) >= 45, `${output?.causal_chains.length} chains`);
  for (const { cause, effect } of output?.causal_chains ?? [])
    for (const span of [cause, effect]) assert.is(text.slice(span.start, span.end), span.text);
  const options = { granularity: 'sentence' };
  const felt = outputsOf(
    z.looseObject({ sentences: z.array(spanSchema), truncated: z.boolean() }),
    await finish({ kind: 'emotion', input: { text }, options }),
  );
  assert.equal(
    [felt[0]?.sentences.map(({ text: sentence }) => sentence), felt[0]?.truncated],
    [sentences, false],
  );
});

test('embeds texts as vectors of length 1, near where the meaning is', async () => {
  const texts = [
    'A dog runs in the park.',
    'A puppy is running on the grass.',
    'The interest rate was raised by the bank.',
  ];
  const job = await finish({ kind: 'embedding', input: { texts } });
  const vectors = outputsOf(z.looseObject({ embedding: z.array(z.number()) }), job).map(
    ({ embedding }) => embedding,
  );
  const dot = (a: readonly number[] = [], b: readonly number[] = []) =>
    a.reduce((total, value, index) => total + value * (b[index] ?? 0), 0);
  for (const vector of vectors) assert.ok(vector.length === 384 && Math.abs(dot(vector, vector) - 1) < 1e-3);
  const [dog, puppy, bank] = vectors;
  assert.ok(dot(dog, puppy) > dot(dog, bank) + 0.2, `${dot(dog, puppy)} ${dot(dog, bank)}`);
});

test('answers a text in another language with the language and a warning', async () => {
  const texts = [
    '今天我非常高兴,谢谢你',
    'Ich bin heute nicht zur Arbeit gegangen, weil es sehr stark geregnet hat und ich krank war.',
  ];
  for (const kind of ['emotion', 'reasoning'] as const) {
    const outputs = outputsOf(
      z.looseObject({ language: z.string(), warnings: z.array(z.object({ code: z.string() })) }),
      await finish({ kind, input: { texts: [...texts, 'I am here because you are.'] } }),
    );
    assert.equal(
      outputs.map(({ language }) => language),
      ['zh', 'de', 'en'],
      kind,
    );
    const warned = outputs.map(({ warnings }) =>
      warnings.some(({ code }) => code === 'language_not_english'),
    );
    assert.equal(warned, [true, true, false], kind);
  }
});

test('leaves no error in the log of the API', () => {
  assert.not.match(api.warnings().join('\n'), 'a request failed');
});

test.run();
