// That a text's emotion scores do not depend on its company: each text alone, then in micro-batches of every size,
// then among other neighbours in another process.

import { z } from 'zod';
import { openStable, serve } from './quality-served.ts';
import type { QualityPart } from './quality-table.ts';
import { createRandom, shuffle } from './random.ts';
import { round } from './report.ts';

const microBatchSizes = [2, 4, 8, 16, 32] as const;
const bounds = { scoreDifference: 1e-4, labelFlips: 0 } as const;

const manifestSchema = z.looseObject({ labels: z.array(z.string()), threshold: z.number() });
const outputSchema = z.looseObject({ all_emotions: z.record(z.string(), z.number()) });

/** `[texts][labels]`, as served: with five digits. */
type Scores = readonly (readonly number[])[];

interface Difference {
  readonly against: string;
  readonly scoreDifference: number;
  readonly labelFlips: number;
}

export async function measureInvariance(texts: readonly string[], seed: number): Promise<QualityPart> {
  const { labels, threshold } = manifestSchema.parse(openStable('emotion').manifest);
  const run = async (chosen: readonly string[], microBatchItems: number): Promise<Scores> => {
    const outputs = await serve('emotion', chosen, { microBatchItems });
    return outputs.map((output) => {
      const scores = outputSchema.parse(output).all_emotions;
      return labels.map((label) => scores[label] ?? Number.NaN);
    });
  };
  const alone = await run(texts, 1);
  const differences: Difference[] = [];
  for (const size of microBatchSizes) {
    const against = `in micro-batches of ${size}`;
    differences.push({ against, ...compare(alone, await run(texts, size), threshold) });
  }
  const order = shuffle([...texts.keys()], createRandom(seed));
  const shuffled = await run(
    order.flatMap((index) => texts[index] ?? []),
    8,
  );
  const reordered = order.map((index) => alone[index] ?? []);
  const against = 'another process, other neighbours, of 8';
  differences.push({ against, ...compare(reordered, shuffled, threshold) });
  return {
    rows: [],
    figures: [
      {
        name: 'emotion: largest score difference by company',
        value: Math.max(...differences.map(({ scoreDifference }) => scoreDifference)),
        bound: bounds.scoreDifference,
        holds: 'at most',
      },
      {
        name: 'emotion: label flips by company',
        value: Math.max(...differences.map(({ labelFlips }) => labelFlips)),
        bound: bounds.labelFlips,
        holds: 'at most',
      },
    ],
    details: { texts: texts.length, differences },
  };
}

function compare(alone: Scores, together: Scores, threshold: number): Omit<Difference, 'against'> {
  let scoreDifference = 0;
  let labelFlips = 0;
  alone.forEach((row, text) => {
    row.forEach((value, label) => {
      const other = together[text]?.[label] ?? Number.POSITIVE_INFINITY;
      scoreDifference = Math.max(scoreDifference, Math.abs(value - other));
      if (value >= threshold !== other >= threshold) labelFlips += 1;
    });
  });
  return { scoreDifference: round(scoreDifference, 8), labelFlips };
}
