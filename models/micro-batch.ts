// How a pool becomes runs of the model: sorted by length, so that a micro-batch holds texts of one length and
// little padding, then cut where that costs least. Pure.

/** What a run of the model costs: a share that every run has, and one for each token, padding included. */
export interface RunCost {
  readonly fixedMs: number;
  readonly perTokenMs: number;
}

export interface MicroBatchLimits {
  readonly itemsMax: number;
  /** What a run of several sequences may take, in milliseconds: another pool may be waiting for its end. */
  readonly msMax?: number | undefined;
}

/** INT8 MiniLM on one AVX512-VNNI core, as measured; what a model really costs is learned while it runs. */
export const usualRunCost: RunCost = { fixedMs: 1, perTokenMs: 0.1 };

/**
 * Cuts sequences into micro-batches of similar length, shortest first, such that the runs together cost least:
 * a longer micro-batch saves the fixed share of a run and pays for padding. Exact, by dynamic programming over the
 * sorted lengths.
 * @returns indices into `lengths`
 */
export function planMicroBatches(
  lengths: readonly number[],
  limits: MicroBatchLimits,
  cost: RunCost = usualRunCost,
): number[][] {
  const order = lengths
    .map((_, index) => index)
    .sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  const starts = cutSorted(
    Float64Array.from(order, (index) => lengths[index] ?? 0),
    limits,
    cost,
  );
  return starts.map((start, batch) => order.slice(start, starts[batch + 1] ?? order.length));
}

/** Where each micro-batch starts in `sorted`, whose last length is what a micro-batch pads to. */
function cutSorted(sorted: Float64Array, limits: MicroBatchLimits, cost: RunCost): number[] {
  const { itemsMax, msMax = Number.POSITIVE_INFINITY } = limits;
  const least = new Float64Array(sorted.length + 1);
  const from = new Int32Array(sorted.length + 1);
  for (let end = 1; end <= sorted.length; end++) {
    const longest = sorted[end - 1] ?? 0;
    least[end] = Number.POSITIVE_INFINITY;
    for (let start = end - 1; start >= Math.max(0, end - itemsMax); start--) {
      const runMs = cost.fixedMs + cost.perTokenMs * longest * (end - start);
      if (runMs > msMax && end - start > 1) break;
      const total = (least[start] ?? 0) + runMs;
      if (total >= (least[end] ?? 0)) continue;
      least[end] = total;
      from[end] = start;
    }
  }
  const starts: number[] = [];
  for (let end = sorted.length; end > 0; end = from[end] ?? 0) starts.push(from[end] ?? 0);
  return starts.reverse();
}
