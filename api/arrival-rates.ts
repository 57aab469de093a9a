// How fast work of each tenant and class comes in through this process: an exponentially weighted average over the last
// seconds.

/** Items a millisecond by tenant and class. */
export type Rates = ReadonlyMap<string, readonly number[]>;

export interface ArrivalRates {
  readonly count: (tenantId: string, jobClass: number, items: number, nowMs: number) => void;
  /** The rates as they are at that moment; tenants of whom next to nothing comes are left out and forgotten. */
  readonly at: (nowMs: number) => Rates;
}

/** What came so long ago counts 1/e of what comes now. */
const memoryMs = 2000;

/** Less than an item in so long is nothing. */
const nothingPerMs = 1 / 10_000;

export function createArrivalRates(classes: number): ArrivalRates {
  const tenants = new Map<string, { perMs: number[]; atMs: number }>();
  const fade = (perMs: readonly number[], ms: number): number[] =>
    perMs.map((rate) => rate * Math.exp(-Math.max(0, ms) / memoryMs));
  return {
    count: (tenantId, jobClass, items, nowMs) => {
      const known = tenants.get(tenantId) ?? { perMs: Array.from({ length: classes }, () => 0), atMs: nowMs };
      const perMs = fade(known.perMs, nowMs - known.atMs);
      perMs[jobClass] = (perMs[jobClass] ?? 0) + items / memoryMs;
      tenants.set(tenantId, { perMs, atMs: nowMs });
    },
    at: (nowMs) => {
      const rates = new Map<string, readonly number[]>();
      for (const [tenantId, { perMs, atMs }] of tenants) {
        const now = fade(perMs, nowMs - atMs);
        if (now.some((rate) => rate >= nothingPerMs)) rates.set(tenantId, now);
        else tenants.delete(tenantId);
      }
      return rates;
    },
  };
}
