// How far forecasts were off: quantiles of actual / predicted time of jobs that have ended, kept apart by how far ahead
// the forecast looked, from the last few hundred of each. They turn a prediction into a p50 and a p90.

/** Factors on a prediction: half of the jobs end before `p50` times it, nine of ten before `p90` times it. */
export interface Quantiles {
  readonly p50: number;
  readonly p90: number;
}

export interface ErrorModel {
  readonly quantiles: (predictedMs: number) => Quantiles;
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
  readonly atMs: number;
  readonly predictedMs: number;
}

/** Upper ends of the spans that forecasts are kept apart by, in milliseconds. */
const spansMs = [150, 400, 1200, 4000, 15_000, 60_000, Infinity] as const;
const samplesMax = 300;
const watchedMax = 100;

/** With fewer samples, those of the spans beside count too. */
const samplesMin = 30;

/** A sample counts half after so many newer ones of its span: a new shape of load is soon told from the old one. */
const halfLifeSamples = 60;

/** What is assumed before anything has ended. */
const prior: Quantiles = { p50: 1, p90: 2 };

interface Span {
  readonly samples: number[];
  readonly open: Map<string, Watched>;
  quantiles: Quantiles;
}

interface Weighted {
  readonly ratio: number;
  readonly weight: number;
}

export function createErrorModel(): ErrorModel {
  const spans = spansMs.map((): Span => ({ samples: [], open: new Map(), quantiles: prior }));
  const indexOf = (predictedMs: number): number => spansMs.findIndex((endMs) => predictedMs < endMs);
  const spanOf = (predictedMs: number): Span | undefined => spans[indexOf(predictedMs)];

  /** The samples of a span with their weights, or with those beside it, the nearest first, until there are enough. */
  const samplesNear = (index: number): Weighted[] => {
    let found: Weighted[] = [];
    for (let reach = 0; reach < spans.length && found.length < samplesMin; reach++) {
      const near = spans.filter((_, other) => Math.abs(other - index) <= reach);
      found = near.flatMap(({ samples }) => weigh(samples));
    }
    return found;
  };

  return {
    quantiles: (predictedMs) => spanOf(predictedMs)?.quantiles ?? prior,
    watch: (forecast) => {
      const open = spanOf(forecast.predictedMs)?.open;
      if (open !== undefined && open.size < watchedMax) open.set(forecast.id, forecast);
    },
    watched: () => spans.flatMap(({ open }) => [...open.values()]),
    ended: (id, endedMs, finished) => {
      for (const { open, samples } of spans) {
        const forecast = open.get(id);
        if (forecast === undefined) continue;
        open.delete(id);
        if (!finished) continue;
        samples.push(Math.max(0, endedMs - forecast.atMs) / forecast.predictedMs);
        if (samples.length > samplesMax) samples.shift();
      }
    },
    settle: (nowMs) => {
      for (const [index, span] of spans.entries()) {
        const overdue = [...span.open.values()]
          .map(({ atMs, predictedMs }) => (nowMs - atMs) / predictedMs)
          .filter((ratio) => ratio > span.quantiles.p90)
          .map((ratio) => ({ ratio, weight: 1 }));
        const samples = [...samplesNear(index), ...overdue];
        if (samples.length >= samplesMin)
          span.quantiles = { p50: weightedQuantile(samples, 0.5), p90: weightedQuantile(samples, 0.9) };
      }
    },
  };
}

/** The newest, which is the last, weighs 1. */
function weigh(samples: readonly number[]): Weighted[] {
  return samples.map((ratio, index) => ({
    ratio,
    weight: 0.5 ** ((samples.length - 1 - index) / halfLifeSamples),
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
