// The seven former paths as their clients use them: the bodies that they send, and 200 with every field that they read.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { profileSchema } from '../models/analytics/profile.ts';
import { trajectorySchema } from '../models/analytics/trajectory.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { historyEntrySchema } from './history.ts';
import { jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({ FAULT_INJECTION: 'true', NEO4J_URL: '' });
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

async function post(path: string, body: unknown): Promise<Response> {
  return fetch(api.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(70_000),
  });
}

const get = (path: string): Promise<Response> =>
  fetch(api.address + path, { signal: AbortSignal.timeout(70_000) });

/** The body of a 200, which has these fields and no others. */
async function body<Schema extends z.ZodType>(schema: Schema, response: Response): Promise<z.output<Schema>> {
  const text = await response.text();
  assert.is(response.status, 200, text);
  return schema.parse(JSON.parse(text));
}

// Nobody makes profiles yet: this answer takes the ten seconds during which the other tests run.
const slow = { user_id: 'slow', include_emotions: true, time_window_days: 7 };
const askedAt = performance.now();
const waiting = post('/api/profile/generate', slow).then((response) => ({
  response,
  seconds: (performance.now() - askedAt) / 1000,
}));
waiting.catch(() => undefined);

const probability = z.number().min(0).max(1);
const emotionFields = {
  emotions: z.array(z.strictObject({ label: z.string(), score: probability })).min(1),
  primary_emotion: z.string(),
  primary_score: probability,
  all_emotions: z.record(z.string(), probability),
  intensity: probability,
  valence: z.number().min(-1).max(1),
  arousal: probability,
  is_sarcastic: z.boolean().nullable(),
  mixed_emotions: z.array(z.object({ labels: z.array(z.string()), scores: z.array(probability) })),
  confidence: probability,
  timestamp: z.iso.datetime(),
  model_version: z.string().min(1),
};
const analyzeSchema = z.strictObject({ user_id: z.string(), ...emotionFields, job_id: z.string() });
const itemError = z.strictObject({ code: z.string(), detail: z.string() });
const resultSchema = z.strictObject({ index: z.int(), ...emotionFields });
const batchSchema = z.strictObject({
  user_id: z.string(),
  results: z.array(z.union([resultSchema, z.strictObject({ index: z.int(), error: itemError })])),
  job_id: z.string(),
});

const analyze = (text: string, more: object = {}) =>
  post('/api/emotions/analyze', { user_id: 'user_0001', text, context: 'message', ...more });

test('analyses a text and answers with every field', async () => {
  const found = await body(analyzeSchema, await analyze("I'm so happy today! Everything is wonderful!"));
  assert.is(found.user_id, 'user_0001');
  assert.is(Object.keys(found.all_emotions).length, 28);
  assert.ok(['joy', 'excitement', 'amusement'].includes(found.primary_emotion), found.primary_emotion);
  assert.is(found.all_emotions[found.primary_emotion], found.primary_score);
  assert.is(found.emotions[0]?.label, found.primary_emotion);
  const job = jobViewSchema.parse(await (await get(`/v1/jobs/${found.job_id}`)).json());
  assert.equal(
    [job.status, job.ended_at, job.model.version],
    ['succeeded', found.timestamp, found.model_version],
  );
});

test('takes each of the former contexts, and a body without one', async () => {
  for (const context of ['message', 'post', 'comment', 'review', undefined] as const) {
    const { job_id } = await body(analyzeSchema, await analyze('I like it', { context }));
    const job = jobViewSchema.parse(await (await get(`/v1/jobs/${job_id}`)).json());
    assert.equal([job.user_id, job.metadata], ['user_0001', { context: context ?? 'message' }]);
  }
});

const texts = [
  'This makes me really angry.',
  'I am so happy today!',
  'Thank you so much!',
  'I am terrified of the exam.',
  'What a sad day, I miss her.',
];

test('answers a batch in the order of its texts', async () => {
  const { results } = await body(
    batchSchema,
    await post('/api/emotions/batch', { user_id: 'user_0002', texts }),
  );
  assert.equal(
    results.map(({ index }) => index),
    [0, 1, 2, 3, 4],
  );
  for (const [index, text] of texts.entries()) {
    const { all_emotions } = await body(analyzeSchema, await analyze(text));
    const result = resultSchema.parse(results[index]);
    assert.equal(result.all_emotions, all_emotions, text);
  }
});

test('says of each text of a batch what became of it', async () => {
  const mixed = ['I am so happy today!', 'soma:fault:throw', 'Thank you so much!'];
  const { results } = await body(
    batchSchema,
    await post('/api/emotions/batch', { user_id: 'u', texts: mixed }),
  );
  assert.equal(
    results.map((result) => ('error' in result ? result.error.code : result.primary_emotion)),
    ['joy', 'preparation_failed', 'gratitude'],
  );
  const failed = await analyze('soma:fault:throw');
  assert.is(failed.status, 409);
  assert.match(await failed.text(), '"code":"job_failed"');
  assert.match(failed.headers.get('location') ?? '', /^\/v1\/jobs\/job_/);
});

const span = z.looseObject({ text: z.string(), start: z.int(), end: z.int() });
const extractSchema = z.strictObject({
  user_id: z.string(),
  causal_chains: z.array(z.looseObject({ cause: span, effect: span, confidence: probability })),
  reasoning_graph: z.strictObject({
    nodes: z.array(z.object({ id: z.string(), label: z.string() })),
    edges: z.array(z.looseObject({ source: z.string(), target: z.string() })),
  }),
  counterfactuals: z.array(z.looseObject({ antecedent: span })),
  job_id: z.string(),
});
const reason = 'The match was cancelled because it rained. If I had known, I would have stayed at home.';
const extract = (more: object = {}) =>
  post('/api/reasoning/extract', { user_id: 'user_0003', text: reason, ...more });

test('extracts causes and counterfactuals, each if it is asked for', async () => {
  const both = await body(
    extractSchema,
    await extract({ extract_causal: true, extract_counterfactual: true }),
  );
  const [chain] = both.causal_chains;
  assert.match(chain?.cause.text ?? '', 'rained');
  assert.match(chain?.effect.text ?? '', 'cancelled');
  assert.equal(
    [both.reasoning_graph.edges.length, both.counterfactuals.length],
    [both.causal_chains.length, 1],
  );
  const causal = await body(extractSchema, await extract({ extract_counterfactual: false }));
  assert.equal([causal.causal_chains, causal.counterfactuals], [both.causal_chains, []]);
  const counterfactual = await body(extractSchema, await extract({ extract_causal: false }));
  assert.equal(counterfactual.causal_chains, []);
  assert.equal(counterfactual.reasoning_graph, { nodes: [], edges: [] });
  assert.equal(counterfactual.counterfactuals, both.counterfactuals);
  const { causal_chains } = await body(extractSchema, await extract());
  assert.equal(causal_chains, both.causal_chains);
});

const historySchema = z.strictObject({
  user_id: z.string(),
  history: z.array(historyEntrySchema),
  trajectory: trajectorySchema,
});
const graphSchema = z.strictObject({
  user_id: z.string(),
  nodes: z.array(z.looseObject({ key: z.string() })),
  edges: z.array(z.looseObject({ source: z.string(), target: z.string(), evidence_count: z.int() })),
});

test('shows the history and the graph of a person', async () => {
  const { history, trajectory } = await body(historySchema, await get('/api/emotions/history/user_0002'));
  assert.equal(
    history.map(({ item_index }) => item_index),
    [4, 3, 2, 1, 0],
  );
  assert.is(trajectory.data_points, 5);
  const { nodes, edges } = await body(graphSchema, await get('/api/reasoning/graph/user_0003'));
  assert.ok(nodes.length >= 3);
  assert.ok(
    edges.some(({ evidence_count }) => evidence_count === 3),
    JSON.stringify(edges),
  );
});

test('answers about an unknown user: 200 and nothing, and 404 for a profile', async () => {
  const unknown = encodeURIComponent(`nobody'"; --/😀`);
  const { user_id, history, trajectory } = await body(
    historySchema,
    await get(`/api/emotions/history/${unknown}`),
  );
  assert.equal([user_id, history, trajectory.data_points], [`nobody'"; --/😀`, [], 0]);
  const { nodes, edges } = await body(graphSchema, await get(`/api/reasoning/graph/${unknown}`));
  assert.equal([nodes, edges], [[], []]);
  const missing = await get(`/api/profile/${unknown}`);
  assert.is(missing.status, 404);
  assert.match(await missing.text(), '"code":"profile_not_found"');
});

test('answers 202 with the job if the result is not there after ten seconds', async () => {
  const { response, seconds } = await waiting;
  const text = await response.text();
  assert.is(response.status, 202, text);
  assert.ok(seconds >= 9.9, `${seconds} s`);
  const job = jobViewSchema.parse(JSON.parse(text));
  assert.equal([job.kind, job.status, job.user_id, job.result], ['profile', 'queued', 'slow', null]);
  assert.is(response.headers.get('location'), job.links.self);
  assert.is(response.headers.get('retry-after'), '1');
  assert.is((await get('/api/profile/slow')).status, 404);
  await system.start('profile');
  const ended = jobViewSchema.parse(await (await get(`${job.links.self}?wait=60`)).json());
  assert.is(ended.status, 'succeeded');
  assert.is((await get('/api/profile/slow')).status, 200);
});

const generateSchema = z.strictObject({
  user_id: z.string(),
  profile: profileSchema,
  version: z.int(),
  job_id: z.string(),
});

test('makes a profile with what is asked for, and shows the newest', async () => {
  const all = { include_emotions: true, include_reasoning: true, include_knowledge_graph: true };
  const generate = (user_id: string, more: object) =>
    post('/api/profile/generate', { user_id, ...all, time_window_days: 30, ...more });
  const made = await body(generateSchema, await generate('user_0002', {}));
  assert.equal([made.user_id, made.version], ['user_0002', 1]);
  assert.is(made.profile.coverage.emotion_analyses, texts.length);
  assert.ok(made.profile.reasoning !== null && made.profile.knowledge_graph !== null);
  for (const days of [7, 14] as const) {
    const { profile } = await body(generateSchema, await generate('user_0002', { time_window_days: days }));
    assert.is(Date.parse(profile.window.to) - Date.parse(profile.window.from), days * 86_400_000);
  }
  const partly = await body(
    generateSchema,
    await generate('user_0002', { include_reasoning: false, include_knowledge_graph: false }),
  );
  assert.equal([partly.profile.reasoning, partly.profile.knowledge_graph, partly.version], [null, null, 4]);
  const shown = z.object({ user_id: z.string(), version: z.int(), profile: profileSchema });
  const newest = await body(shown, await get('/api/profile/user_0002'));
  assert.equal(newest, { user_id: 'user_0002', version: 4, profile: partly.profile });
});

test('ignores fields that it does not know, on every former path', async () => {
  const unknown = { session_id: 's', options: { depth: 9 }, kind: 'x', input: 7, metadata: null };
  await body(analyzeSchema, await analyze('I like it', unknown));
  await body(
    batchSchema,
    await post('/api/emotions/batch', { user_id: 'u', texts: ['I like it'], ...unknown }),
  );
  await body(extractSchema, await extract(unknown));
  await body(generateSchema, await post('/api/profile/generate', { user_id: 'u', ...unknown }));
  for (const path of ['/api/emotions/history/u', '/api/reasoning/graph/u', '/api/profile/u'] as const)
    assert.is((await get(`${path}?unknown=1`)).status, 200, path);
});

test('refuses what it cannot take, with pointers into the body that was sent', async () => {
  const user_id = 'u';
  for (const [path, sent, pointer] of [
    ['/api/emotions/analyze', {}, '/user_id'],
    ['/api/emotions/analyze', { user_id }, '/text'],
    ['/api/emotions/analyze', { user_id, text: '' }, '/text'],
    ['/api/emotions/analyze', { user_id, text: 'a\0' }, '/text'],
    ['/api/emotions/analyze', { user_id, text: 'a'.repeat(10_001) }, '/text'],
    ['/api/emotions/analyze', { user_id: '', text: 'a' }, '/user_id'],
    ['/api/emotions/analyze', { user_id, text: 'a', context: 'letter' }, '/context'],
    ['/api/emotions/batch', { user_id }, '/texts'],
    ['/api/emotions/batch', { user_id, texts: [] }, '/texts'],
    ['/api/emotions/batch', { user_id, texts: ['a', ' '] }, '/texts/1'],
    ['/api/emotions/batch', { user_id, texts: Array.from({ length: 101 }, () => 'a') }, '/texts'],
    ['/api/reasoning/extract', { user_id, text: '' }, '/text'],
    ['/api/reasoning/extract', { user_id, text: 'a', extract_causal: 'yes' }, '/extract_causal'],
    ['/api/profile/generate', {}, '/user_id'],
    ['/api/profile/generate', { user_id: 'a'.repeat(256) }, '/user_id'],
    ['/api/profile/generate', { user_id, include_emotions: 1 }, '/include_emotions'],
    ['/api/profile/generate', { user_id, time_window_days: 0 }, '/time_window_days'],
  ] as const) {
    const response = await post(path, sent);
    const about = `${path} ${pointer}`;
    assert.is(response.status, 422, about);
    const problem = z.object({
      code: z.string(),
      detail: z.string(),
      errors: z.array(z.object({ pointer: z.string() })),
    });
    const { code, detail, errors } = problem.parse(await response.json());
    assert.equal([code, errors[0]?.pointer], ['invalid_request', pointer], about);
    assert.ok(detail.startsWith(`${pointer}: `), detail);
  }
});

test('answers 405 with the method that is allowed, on every former path', async () => {
  for (const path of [
    '/api/emotions/analyze',
    '/api/emotions/batch',
    '/api/reasoning/extract',
    '/api/profile/generate',
  ] as const) {
    const response = await fetch(api.address + path, { method: 'PUT', signal: AbortSignal.timeout(70_000) });
    assert.equal([response.status, response.headers.get('allow')], [405, 'POST'], path);
  }
  for (const path of ['/api/emotions/history/u', '/api/reasoning/graph/u', '/api/profile/u'] as const) {
    const response = await post(path, {});
    assert.equal([response.status, response.headers.get('allow')], [405, 'GET'], path);
  }
});

test('says how it is on all four health paths', async () => {
  for (const path of ['/health', '/health/live', '/health/ready', '/health/detailed'] as const)
    assert.is((await body(z.looseObject({ status: z.string() }), await get(path))).status, 'ok', path);
  const detailed = await (await get('/health/detailed')).text();
  for (const part of ['ledger', 'redis', 'workers', 'dispatcher'] as const)
    assert.match(detailed, `"${part}":{"status":"ok"}`);
});

test.run();
