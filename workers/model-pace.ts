// How long the model takes for an item, over the last thousand: what deadlines are weighed by, and what the forecast of
// the API is told.

/** Items over which a pace is averaged. */
const paceItems = 1024;

export interface ModelPace {
  /** Milliseconds for an item; undefined before the first. */
  readonly itemMs: () => number | undefined;
  /** Milliseconds since the model last finished something, or since the start. */
  readonly ageMs: () => number;
  /** So many items more are done, of whichever pool, and took the model so long. */
  readonly count: (items: number, ms: number) => void;
}

export function createModelPace(): ModelPace {
  let itemMs: number | undefined;
  let countedMs = performance.now();
  return {
    itemMs: () => itemMs,
    ageMs: () => performance.now() - countedMs,
    count: (items, ms) => {
      if (items === 0) return;
      countedMs = performance.now();
      const ownMs = ms / items;
      itemMs = itemMs === undefined ? ownMs : itemMs + Math.min(1, items / paceItems) * (ownMs - itemMs);
    },
  };
}
