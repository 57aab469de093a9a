// The emotion model in this runtime says what the reference in Python said, whatever company a text has.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { readConfig } from '../shared/config.ts';
import { planMicroBatches } from './micro-batch.ts';
import { loadNormalizer } from './normalize.ts';
import { createRegistry } from './registry.ts';
import { openArtifact } from './repository.ts';
import { loadSession } from './session.ts';
import { loadTokenizer } from './tokenizer.ts';

/**
 * Processors do what is left in floats in another order. Where that moves an activation over the middle between two
 * bytes, the logits of the text move: by 0.16 at most where the order was changed, in 5 of 65 texts. From FP32 the
 * furthest logit of a text is 0.35 away (median). The logits of most texts are the same.
 */
const logitDifferenceMax = 0.3;
const same = { difference: 0.001, share: 0.8 };
const threshold = 0.5;

const modelsDir = readConfig().MODELS_DIR;
const version = createRegistry(modelsDir).resolve('emotion')?.version ?? '';
const artifact = openArtifact(modelsDir, 'emotion', version);
const goldenSchema = z
  .array(z.object({ text: z.string(), input_ids: z.array(z.number()), logits_int8: z.array(z.number()) }))
  .min(20);
const golden = goldenSchema.parse(
  JSON.parse(readFileSync(join(modelsDir, 'emotion', version, 'golden.json'), 'utf8')),
);
const tokenizer = loadTokenizer(artifact.tokenizerFolder);
const normalize = loadNormalizer(artifact.tokenizerFolder);
const session = await loadSession(artifact.modelPath, 1);
test.after(() => session.close());

const encode = (text: string): readonly number[] =>
  tokenizer.encode(normalize(text), artifact.manifest.tokenizer.max_tokens).ids;

async function run(sequences: readonly (readonly number[])[]): Promise<number[][]> {
  const rows = await session.run(sequences, ['logits']);
  return rows.map((row) => [...(row['logits'] ?? [])]);
}

const largestDifference = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, index) => Math.abs(value - (b[index] ?? Number.NaN))));
const isShown = (logit: number): boolean => 1 / (1 + Math.exp(-logit)) >= threshold;
const top = (logits: readonly number[]): number => logits.indexOf(Math.max(...logits));

test('reads the golden texts as the reference tokenizer did', () => {
  for (const { text, input_ids: ids } of golden) assert.equal(encode(text), ids, text);
});

test('gives the logits of the reference', async () => {
  const differences = [];
  for (const { text, logits_int8: expected } of golden) {
    const [logits = []] = await run([encode(text)]);
    assert.is(logits.length, expected.length);
    assert.is(top(logits), top(expected), text);
    differences.push(largestDifference(logits, expected));
    for (const [index, logit] of logits.entries()) {
      const near = Math.abs(expected[index] ?? 0) < logitDifferenceMax;
      assert.ok(near || isShown(logit) === isShown(expected[index] ?? 0), `${text}: label ${index}`);
    }
  }
  assert.ok(Math.max(...differences) <= logitDifferenceMax, `differs by ${Math.max(...differences)}`);
  const equal = differences.filter((difference) => difference <= same.difference).length;
  assert.ok(equal >= same.share * differences.length, `${equal} of ${differences.length} texts are the same`);
});

test('gives a text the same scores alone and in any micro-batch', async () => {
  const texts = Array.from({ length: 200 }, (_, index) => {
    const { text } = golden[index % golden.length] ?? { text: '' };
    return index < golden.length ? text : `${text} ${'so '.repeat(index % 23)}${index}`;
  });
  const sequences = texts.map(encode);
  const alone = [];
  for (const sequence of sequences) alone.push((await run([sequence]))[0] ?? []);
  for (const itemsMax of [2, 8, 32]) {
    for (const batch of planMicroBatches(
      sequences.map(({ length }) => length),
      { itemsMax },
    )) {
      const together = await run(batch.map((index) => sequences[index] ?? []));
      for (const [place, index] of batch.entries()) {
        const difference = largestDifference(together[place] ?? [], alone[index] ?? []);
        assert.ok(difference <= 1e-4, `${texts[index]}: ${difference} in a batch of ${batch.length}`);
      }
    }
  }
});

test.run();
