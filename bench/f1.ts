// F1 of a multi-label classifier, macro and micro, with bootstrap intervals over texts. Pure.

import { createRandom, pickIndex } from './random.ts';

/** What annotators and model said of one text, as label indices. */
export interface Judged {
  readonly gold: readonly number[];
  readonly predicted: readonly number[];
}

export interface F1 {
  readonly macro: number;
  readonly micro: number;
}

/** Macro is the mean over labels, micro counts all labels together; 0 where nothing was there and nothing was said. */
export function computeF1(judged: readonly Judged[], labels: number): F1 & { readonly perLabel: number[] } {
  const hits = new Float64Array(labels);
  // Gold plus predicted: the denominator of F1 = 2 TP / (2 TP + FP + FN).
  const named = new Float64Array(labels);
  for (const { gold, predicted } of judged) {
    for (const label of gold) named[label] = (named[label] ?? 0) + 1;
    for (const label of predicted) {
      named[label] = (named[label] ?? 0) + 1;
      if (gold.includes(label)) hits[label] = (hits[label] ?? 0) + 1;
    }
  }
  const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);
  const perLabel = [...hits].map((hit, label) => (2 * hit) / Math.max(1, named[label] ?? 0));
  return { perLabel, macro: sum(perLabel) / labels, micro: (2 * sum(hits)) / Math.max(1, sum(named)) };
}

/** 95 % percentile intervals of F1 over `rounds` resamples of the texts (Efron 1979). */
export function bootstrapF1(
  judged: readonly Judged[],
  options: { readonly labels: number; readonly rounds: number; readonly seed: number },
): { readonly macro: readonly [number, number]; readonly micro: readonly [number, number] } {
  const random = createRandom(options.seed);
  const resamples = Array.from({ length: options.rounds }, () => {
    const drawn = judged.flatMap(() => judged[pickIndex(random, judged.length)] ?? []);
    return computeF1(drawn, options.labels);
  });
  return {
    macro: interval(resamples.map(({ macro }) => macro)),
    micro: interval(resamples.map(({ micro }) => micro)),
  };
}

function interval(values: readonly number[]): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
