// The reasoning model as it is served: golden values, everyday sentences, offsets, links and options.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { planMicroBatches } from './micro-batch.ts';
import { reasoning } from './reasoning.ts';
import { listVersions, openArtifact } from './repository.ts';
import { loadSession } from './session.ts';

const modelsDir = join(packageRoot, 'models/artifacts');
const version = listVersions(modelsDir, 'reasoning').at(-1) ?? '';
const artifact = openArtifact(modelsDir, 'reasoning', version);
const session = await loadSession(artifact.modelPath, 1);
const model = reasoning.load(artifact);
const outputSchema = z.object({
  causal: z.boolean(),
  confidence: z.number(),
  causal_chains: z.array(
    z.object({
      cause: z.object({ text: z.string(), start: z.number(), end: z.number() }),
      effect: z.object({ text: z.string(), start: z.number(), end: z.number() }),
      signal: z.object({ text: z.string(), start: z.number(), end: z.number() }).nullable(),
      relation: z.string(),
      chain_type: z.string(),
      direction: z.string(),
      confidence: z.number(),
    }),
  ),
  links: z.array(z.object({ from: z.number(), to: z.number() })),
  counterfactuals: z.array(z.object({ antecedent: z.object({ text: z.string() }) })),
  reasoning_graph: z.object({ nodes: z.array(z.object({ id: z.string() })), edges: z.array(z.unknown()) }),
  sentences: z.number(),
  truncated: z.boolean(),
});

async function analyse(
  text: string,
  options: Record<string, unknown> = {},
): Promise<z.output<typeof outputSchema>> {
  const item = model.prepare(text, options);
  const rows: Awaited<ReturnType<typeof session.run>> = [];
  for (const batch of planMicroBatches(
    item.sequences.map(({ length }) => length),
    { itemsMax: 8 },
  )) {
    const answers = await session.run(
      batch.flatMap((index) => [item.sequences[index] ?? []]),
      model.outputs,
    );
    batch.forEach((index, place) => {
      const row = answers[place];
      if (row !== undefined) rows[index] = row;
    });
  }
  const output = item.finish(rows);
  reasoning.outputSchema.parse(output);
  return outputSchema.parse(output);
}

const goldenSchema = z.array(
  z.object({
    text: z.string(),
    input_ids: z.array(z.number()),
    causal_logit: z.number(),
    counterfactual_logit: z.number(),
    spans: z.record(z.string(), z.tuple([z.number(), z.number()]).nullable()),
  }),
);
const golden = goldenSchema.parse(
  JSON.parse(readFileSync(join(modelsDir, 'reasoning', version, 'golden.json'), 'utf8')),
);

test('the golden texts have the reference token ids, logits and spans', async () => {
  let compared = 0;
  for (const expected of golden) {
    const item = model.prepare(expected.text, {});
    if (item.sequences.length !== 1) continue; // the reference reads a text whole, we sentence by sentence
    assert.equal(item.sequences[0], expected.input_ids, expected.text);
    const [row] = await session.run(item.sequences, model.outputs);
    assert.ok(
      Math.abs((row?.['causal_logit']?.[0] ?? Number.NaN) - expected.causal_logit) < 0.3,
      expected.text,
    );
    const output = await analyse(expected.text);
    const [chain] = output.causal_chains;
    if (chain !== undefined && chain.direction !== 'corrected') {
      const spans = [chain.cause, chain.effect].map(({ start, end }) => [start, end]);
      assert.equal(spans, [expected.spans['cause'], expected.spans['effect']], expected.text);
    }
    compared += 1;
  }
  assert.ok(compared >= 30);
});

test('cause and effect of everyday sentences are found the right way round', async () => {
  const lines = readFileSync(join(packageRoot, 'models/train/everyday_causal.tsv'), 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  let causal = 0;
  let right = 0;
  for (const line of lines) {
    const [text = '', cause = '', effect = '', counterfactual] = line.trimEnd().split('\t');
    if (cause === '' || effect === '' || counterfactual === '1') continue;
    causal += 1;
    const output = await analyse(text);
    const [chain] = output.causal_chains;
    if (chain && overlaps(chain.cause.text, cause) && overlaps(chain.effect.text, effect)) right += 1;
  }
  assert.ok(causal >= 20);
  assert.ok(right / causal >= 0.95, `${right} of ${causal}`);
});

function overlaps(found: string, gold: string): boolean {
  const goldWords = new Set(gold.toLowerCase().split(/\W+/));
  const words = found.toLowerCase().split(/\W+/);
  return words.filter((word) => goldWords.has(word)).length / Math.max(words.length, goldWords.size) >= 0.6;
}

test('offsets index the string as it was sent', async () => {
  const text = '  “Wow” 😀 — it rained all night, so the match was cancelled.  Nobody minded.';
  const { causal_chains: chains } = await analyse(text);
  assert.is(chains.length, 1);
  for (const span of chains.flatMap(({ cause, effect }) => [cause, effect])) {
    assert.is(text.slice(span.start, span.end), span.text);
  }
});

test('an effect that is a later cause links its chains', async () => {
  const text =
    'It rained all night, so the match was cancelled. The match was cancelled, therefore we stayed home.';
  const output = await analyse(text);
  assert.equal(output.links, [{ from: 0, to: 1 }]);
  assert.is(output.reasoning_graph.nodes.length, 3);
});

test('a counterfactual is told from a plain condition', async () => {
  assert.is(
    (await analyse('If I had studied harder, I would have passed the exam.')).counterfactuals.length,
    1,
  );
  assert.is((await analyse('If it rains tomorrow, we stay at home.')).counterfactuals.length, 0);
});

test('a sentence with one argument only has no chain', async () => {
  assert.equal((await analyse('Because it rained.')).causal_chains, []);
});

test('what was not asked for is left out', async () => {
  const text = 'If I had studied harder, I would have passed the exam because it was easy.';
  assert.equal((await analyse(text, { extract_causal: false })).causal_chains, []);
  assert.equal((await analyse(text, { extract_counterfactual: false })).counterfactuals, []);
});

test('a hundred sentences in one item are read one by one', async () => {
  const text = Array.from(
    { length: 100 },
    (_, index) => `I stayed home on day ${index} because it rained.`,
  ).join(' ');
  const output = await analyse(text);
  assert.is(output.sentences, 100);
  assert.is(output.truncated, false);
  assert.ok(output.causal_chains.length >= 95);
});

test.run();
