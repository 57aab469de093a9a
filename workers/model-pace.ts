// How long the model takes for an item while it has work, over the last thousand items: what deadlines are weighed by,
// and what the forecast of the API is told.

/** Items over which a pace is averaged. */
const paceItems = 1024;

export interface ModelPace {
  /** Milliseconds for an item; undefined before the first. */
  readonly itemMs: () => number | undefined;
  /** Milliseconds since the model last finished something, or since the start. */
  readonly ageMs: () => number;
  /** The model had nothing to do until now. */
  readonly wake: () => void;
  /** So many items more are done, of whichever pool. */
  readonly count: (items: number) => void;
}

export function createModelPace(): ModelPace {
  let itemMs: number | undefined;
  let lastMs = performance.now();
  let countedMs = lastMs;
  return {
    itemMs: () => itemMs,
    ageMs: () => performance.now() - countedMs,
    wake: () => {
      lastMs = performance.now();
    },
    count: (items) => {
      if (items === 0) return;
      const nowMs = performance.now();
      const ownMs = (nowMs - lastMs) / items;
      lastMs = nowMs;
      countedMs = nowMs;
      itemMs = itemMs === undefined ? ownMs : itemMs + Math.min(1, items / paceItems) * (ownMs - itemMs);
    },
  };
}
