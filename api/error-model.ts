// How far forecasts were off: quantiles of actual / predicted time of jobs that have ended, kept apart by class and by how
// far ahead the forecast looked, from the last few hundred of each. They turn a prediction into a p50 and a p90.

import { priorities } from '../shared/job.ts';

/** Factors on a prediction: half of the jobs end before `p50` times it, nine of ten before `p90` times it. */
export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
}

export interface ErrorModel {
  readonly quantiles: (jobClass: number, predictedMs: number) => Quantiles;
  /** Watches a forecast until its job ends; a number of them at a time, the others are let go. */
  readonly watch: (forecast: Watched) => void;
  readonly watched: () => readonly Watched[];
  /** Tells that a job ended. @param finished false if it was canceled or expired, which says nothing of the forecast */
  readonly ended: (id: string, endedMs: number, finished: boolean) => void;
  /** Weighs in what is overdue at `nowMs`: jobs that have not ended yet must not be missing among those that have. */
  readonly settle: (nowMs: number) => void;
}

/** A forecast of a job: made at `atMs`, that it takes `predictedMs` from then on. */
export interface Watched {
  readonly tenantId: string;
  readonly id: string;
  readonly class: number;
  readonly atMs: number;
  readonly predictedMs: number;
}

/** Upper ends of the spans that forecasts are kept apart by, in milliseconds. */
const spansMs = [150, 400, 1200, 4000, 15_000, 60_000, Infinity] as const;
const samplesMax = 300;
const watchedMax = 100;

/** With fewer samples, those of the spans beside count too, then older ones, and then those of the other classes. */
const samplesMin = 30;

/**
 * Older samples count only where there are not enough newer ones, in whichever span. What is refused by a forecast leaves
 * no sample: without this, a burst of long waits would keep a span closed that nothing is let into any more.
 */
const freshMs = 5000;

/** A sample counts half after so many newer ones of its span: a new shape of load is soon told from the old one. */
const halfLifeSamples = 60;

/** What p90 is learned from: a little more than nine of ten, since errors are known late and a load that grows outruns them. */
const p90Share = 0.92;

/** What is assumed before anything has ended. */
const prior: Quantiles = { p50: 1, p90: 2 };

interface Span {
  readonly samples: Sample[];
  readonly open: Map<string, Watched>;
  quantiles: Quantiles;
  /** Settled at that time, but not reckoned yet: it is when somebody asks. */
  dueMs: number | undefined;
}

/** Actual / predicted time of a job that ended then. */
interface Sample {
  readonly ratio: number;
  readonly endedMs: number;
}

interface Weighted {
  readonly ratio: number;
  readonly weight: number;
}

export function createErrorModel(): ErrorModel {
  // What comes behind a job goes before it if it is of a better class, so a class is off in its own way.
  const classes = priorities.map(() =>
    spansMs.map(
      (): Span => ({
        samples: [],
        open: new Map(),
        quantiles: prior,
        dueMs: undefined,
      }),
    ),
  );
  const all = classes.flat();
  const spanOf = (jobClass: number, predictedMs: number): Span | undefined =>
    classes[jobClass]?.[spansMs.findIndex((endMs) => predictedMs < endMs)];

  /** The samples of a span with their weights, or with those beside it, the nearest first, if that makes enough. */
  const samplesNear = (spans: readonly Span[], index: number, sinceMs: number): Weighted[] | undefined => {
    for (let reach = 0; reach < spans.length; reach++) {
      const near = spans.filter((_, other) => Math.abs(other - index) <= reach);
      const found = near.flatMap(({ samples }) => weigh(samples, sinceMs));
      if (found.length >= samplesMin) return found;
    }
    return undefined;
  };

  const reckon = (jobClass: number, span: Span, nowMs: number): void => {
    span.dueMs = undefined;
    const spans = classes[jobClass] ?? [];
    const overdue = [...span.open.values()]
      .map(({ atMs, predictedMs }) => (nowMs - atMs) / predictedMs)
      .filter((ratio) => ratio > span.quantiles.p90)
      .map((ratio) => ({ ratio, weight: 1 }));
    const index = spans.indexOf(span);
    const ended =
      samplesNear(spans, index, nowMs - freshMs) ??
      samplesNear(spans, index, -Infinity) ??
      all.flatMap(({ samples }) => weigh(samples, -Infinity));
    const samples = [...ended, ...overdue];
    if (samples.length >= samplesMin)
      span.quantiles = { p50: weightedQuantile(samples, 0.5), p90: weightedQuantile(samples, p90Share) };
  };

  return {
    quantiles: (jobClass, predictedMs) => {
      const span = spanOf(jobClass, predictedMs);
      if (span?.dueMs !== undefined) reckon(jobClass, span, span.dueMs);
      return span?.quantiles ?? prior;
    },
    watch: (forecast) => {
      const open = spanOf(forecast.class, forecast.predictedMs)?.open;
      if (open !== undefined && open.size < watchedMax) open.set(forecast.id, forecast);
    },
    watched: () => all.flatMap(({ open }) => [...open.values()]),
    ended: (id, endedMs, finished) => {
      for (const { open, samples } of all) {
        const forecast = open.get(id);
        if (forecast === undefined) continue;
        open.delete(id);
        if (!finished) continue;
        samples.push({ ratio: Math.max(0, endedMs - forecast.atMs) / forecast.predictedMs, endedMs });
        if (samples.length > samplesMax) samples.shift();
      }
    },
    settle: (nowMs) => {
      for (const span of all) span.dueMs = nowMs;
    },
  };
}

/** Those that ended since then; the newest, which is the last, weighs 1. */
function weigh(samples: readonly Sample[], sinceMs: number): Weighted[] {
  return samples
    .filter(({ endedMs }) => endedMs >= sinceMs)
    .map(({ ratio }, index, { length }) => ({
      ratio,
      weight: 0.5 ** ((length - 1 - index) / halfLifeSamples),
    }));
}

/** The ratio below which, and with which, a share of the weight lies. */
function weightedQuantile(samples: readonly Weighted[], share: number): number {
  const sorted = samples.toSorted((a, b) => a.ratio - b.ratio);
  let left = share * sorted.reduce((sum, { weight }) => sum + weight, 0);
  for (const { ratio, weight } of sorted) {
    left -= weight;
    if (left <= 1e-9) return ratio;
  }
  return sorted.at(-1)?.ratio ?? 1;
}
