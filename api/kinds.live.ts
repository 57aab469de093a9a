// Every kind that takes texts, from the request to the result by the real model, each output held to its contract.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createRegistry } from '../models/registry.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { conceptKey } from '../shared/fact.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({ NEO4J_URL: '' });
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

const registry = createRegistry(readConfig().MODELS_DIR);

/** The job once it has ended. */
async function finish(body: object): Promise<JobView> {
  const response = await fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify(body),
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

const pathsSchema = z.object({
  paths: z.array(
    z.object({
      strength: z.number(),
      edges: z.array(z.object({ evidence_count: z.int(), analyses: z.array(z.string()) })),
    }),
  ),
});

async function pathsOf(userId: string, from: string, to: string) {
  const ends = new URLSearchParams({ from, to }).toString();
  const response = await fetch(`${api.address}/v1/users/${userId}/graph/paths?${ends}`, {
    signal: AbortSignal.timeout(70_000),
  });
  return pathsSchema.parse(await response.json()).paths;
}

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
  const ends = [
    conceptKey(chain?.cause.text ?? '') ?? '',
    conceptKey(chain?.effect.text ?? '') ?? '',
  ] as const;
  const [path] = await pathsOf('reasoner', ...ends);
  assert.equal(
    path?.edges.map(({ evidence_count, analyses }) => [evidence_count, analyses]),
    [[1, [`${job.id.slice(4)}:0`]]],
  );
  await finish(body);
  const [again] = await pathsOf('reasoner', ...ends);
  assert.equal([again?.edges[0]?.evidence_count, again?.strength], [2, path?.strength]);
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

test.run();
