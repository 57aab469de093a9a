// What a stage's samples say: two latencies that are never mixed, reads apart, errors by reason, where the server's
// time went, and the course over the seconds.

import { build, type Histogram } from 'hdr-histogram-js';
import type { Sample, Timing } from './open-loop.ts';
import { round } from './report.ts';

export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Mean and 95th percentile of a stage of a job's way, in milliseconds. */
export interface StageShare {
  readonly mean: number;
  readonly p95: number;
}

export interface Course {
  /** Seconds from the beginning; the other lists have a value for each. */
  readonly second: readonly number[];
  readonly due: readonly number[];
  readonly errors: readonly number[];
  /** Of what was due in that second; null where nothing was. */
  readonly resultP50: readonly (number | null)[];
  readonly resultP95: readonly (number | null)[];
  readonly acceptP95: readonly (number | null)[];
}

export interface StageSummary {
  readonly sent: number;
  readonly errors: number;
  readonly errorRate: number;
  readonly reasons: Readonly<Record<string, number>>;
  /** From when a submit was due to the answer that it is recorded. */
  readonly acceptMs: Percentiles;
  /** From when a submit was due to its result. */
  readonly resultMs: Percentiles;
  readonly readMs: Percentiles;
  /** How late requests left. */
  readonly lagMs: Percentiles;
  readonly scenarios: Readonly<Record<string, Percentiles & { readonly errors: number }>>;
  /** Of the jobs whose answers tell: the server's stages, and what the client saw beyond their total. */
  readonly split: Readonly<Record<string, StageShare>>;
  readonly course: Course;
}

/** @param fromMs samples due before this warm the system and are left out of all but the course. */
export function summarizeStage(all: readonly Sample[], fromMs: number): StageSummary {
  const samples = all.filter(({ dueMs }) => dueMs >= fromMs);
  const failed = samples.filter(({ error }) => error !== undefined);
  const right = samples.filter(({ error }) => error === undefined);
  const results = right.filter(({ scenario }) => scenario.measures === 'result');
  const reads = right.filter(({ scenario }) => scenario.measures === 'read');
  return {
    sent: samples.length,
    errors: failed.length,
    errorRate: failed.length / Math.max(1, samples.length),
    reasons: countBy(failed.map(({ error }) => error ?? '')),
    acceptMs: percentilesOf(samples.flatMap(({ acceptMs }) => acceptMs ?? [])),
    resultMs: percentilesOf(results.map(({ doneMs }) => doneMs)),
    readMs: percentilesOf(reads.map(({ doneMs }) => doneMs)),
    lagMs: percentilesOf(samples.map(({ lagMs }) => lagMs)),
    scenarios: summarizeScenarios(samples),
    split: splitOf(results),
    course: courseOf(all),
  };
}

/** Milliseconds in, milliseconds out; three significant digits of microseconds between. */
export function percentilesOf(milliseconds: readonly number[]): Percentiles {
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 3_600_000_000 });
  for (const value of milliseconds) histogram.recordValue(Math.max(1, Math.round(value * 1000)));
  return readPercentiles(histogram);
}

function readPercentiles(histogram: Histogram): Percentiles {
  const at = (percentile: number) =>
    histogram.totalCount === 0 ? 0 : round(histogram.getValueAtPercentile(percentile) / 1000, 1);
  return { count: histogram.totalCount, p50: at(50), p90: at(90), p95: at(95), p99: at(99), max: at(100) };
}

function summarizeScenarios(samples: readonly Sample[]): StageSummary['scenarios'] {
  const names = [...new Set(samples.map(({ scenario }) => scenario.name))].sort();
  return Object.fromEntries(
    names.map((name) => {
      const own = samples.filter(({ scenario }) => scenario.name === name);
      const right = own.filter(({ error }) => error === undefined);
      const percentiles = percentilesOf(right.map(({ doneMs }) => doneMs));
      return [name, { ...percentiles, errors: own.length - right.length }] as const;
    }),
  );
}

const stages = ['queue', 'batch_wait', 'tokenize', 'inference', 'persist'] as const;

function splitOf(results: readonly Sample[]): StageSummary['split'] {
  const told = results.flatMap(({ timing, doneMs }) => (timing === undefined ? [] : [{ timing, doneMs }]));
  const share = (of: (timing: Timing, doneMs: number) => number): StageShare => {
    const values = told.map(({ timing, doneMs }) => Math.max(0, of(timing, doneMs)));
    const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
    return { mean: round(mean, 2), p95: percentilesOf(values).p95 };
  };
  return {
    ...Object.fromEntries(stages.map((stage) => [stage, share((timing) => timing[stage])])),
    client: share((timing, doneMs) => doneMs - timing.total),
  };
}

function courseOf(samples: readonly Sample[]): Course {
  const seconds: Sample[][] = [];
  for (const sample of samples) (seconds[Math.floor(sample.dueMs / 1000)] ??= []).push(sample);
  const filled = Array.from(seconds, (own) => own ?? []);
  const percentile = (values: readonly number[], at: 'p50' | 'p95') =>
    values.length === 0 ? null : percentilesOf(values)[at];
  const results = filled.map((own) =>
    own.filter(({ scenario }) => scenario.measures === 'result').map(({ doneMs }) => doneMs),
  );
  const accepts = filled.map((own) => own.flatMap(({ acceptMs }) => acceptMs ?? []));
  return {
    second: filled.map((_, second) => second),
    due: filled.map((own) => own.length),
    errors: filled.map((own) => own.filter(({ error }) => error !== undefined).length),
    resultP50: results.map((values) => percentile(values, 'p50')),
    resultP95: results.map((values) => percentile(values, 'p95')),
    acceptP95: accepts.map((values) => percentile(values, 'p95')),
  };
}

function countBy(words: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return Object.fromEntries(counts);
}
