// F1 of classifiers and of spans, with bootstrap intervals over texts. Pure.

import { createRandom, pickIndex } from './random.ts';

/** What annotators and model said of one text, as label indices; for spans the "labels" are the text's words. */
export interface Judged {
  readonly gold: readonly number[];
  readonly predicted: readonly number[];
}

export interface F1 {
  readonly macro: number;
  readonly micro: number;
}

/** A figure with its 95 % interval; without one where nothing was resampled. */
export interface Measured {
  readonly value: number;
  readonly interval?: readonly [number, number];
}

/** How often figures are resampled, and from which seed. */
export interface Resampling {
  readonly rounds: number;
  readonly seed: number;
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
  const perLabel = [...hits].map((hit, label) => (2 * hit) / Math.max(1, named[label] ?? 0));
  return { perLabel, macro: sum(perLabel) / labels, micro: (2 * sum(hits)) / Math.max(1, sum(named)) };
}

/** Micro-F1 where labels need no telling apart: of one class, or of the words of spans. */
export function microF1(judged: readonly Judged[]): number {
  const { hits, gold, predicted } = countAll(judged);
  return (2 * hits) / Math.max(1, gold + predicted);
}

/** Precision and recall of all labels together; 0 where nothing was said, or nothing was there. */
export function precisionRecall(judged: readonly Judged[]): readonly [precision: number, recall: number] {
  const { hits, gold, predicted } = countAll(judged);
  return [hits / Math.max(1, predicted), hits / Math.max(1, gold)];
}

export function measureMicroF1(judged: readonly Judged[], resampling: Resampling): Measured {
  const [interval] = bootstrap(judged, (drawn) => [microF1(drawn)], resampling);
  return { value: microF1(judged), ...(interval === undefined ? {} : { interval }) };
}

/** Macro and micro at once, each with its interval. */
export function measureF1(
  judged: readonly Judged[],
  labels: number,
  resampling: Resampling,
): { readonly macro: Measured; readonly micro: Measured } {
  const both = (drawn: readonly Judged[]): readonly number[] => {
    const { macro, micro } = computeF1(drawn, labels);
    return [macro, micro];
  };
  const { macro, micro } = computeF1(judged, labels);
  const [ofMacro = [macro, macro], ofMicro = [micro, micro]] = bootstrap(judged, both, resampling);
  return { macro: { value: macro, interval: ofMacro }, micro: { value: micro, interval: ofMicro } };
}

/** 95 % percentile intervals of each of `measure`'s figures over resamples of the rows (Efron 1979). */
export function bootstrap<T>(
  rows: readonly T[],
  measure: (drawn: readonly T[]) => readonly number[],
  { rounds, seed }: Resampling,
): readonly (readonly [number, number])[] {
  const random = createRandom(seed);
  const resamples = Array.from({ length: rounds }, () =>
    measure(rows.flatMap(() => rows[pickIndex(random, rows.length)] ?? [])),
  );
  return measure(rows).map((_, figure) => interval(resamples.map((values) => values[figure] ?? Number.NaN)));
}

function countAll(judged: readonly Judged[]): { hits: number; gold: number; predicted: number } {
  let [hits, gold, predicted] = [0, 0, 0];
  for (const one of judged) {
    gold += one.gold.length;
    predicted += one.predicted.length;
    for (const label of one.predicted) if (one.gold.includes(label)) hits += 1;
  }
  return { hits, gold, predicted };
}

function sum(values: Iterable<number>): number {
  return [...values].reduce((total, value) => total + value, 0);
}

function interval(values: readonly number[]): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}
