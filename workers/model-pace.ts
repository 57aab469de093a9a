// How long the model takes for an item while it has work, over the last few pools: what deadlines are weighed by, and
// what the forecast of the API is told.

/** Items over which a pace is averaged. */
const paceItems = 1024;

export interface ModelPace {
  /** Milliseconds for an item; undefined before the first pool. */
  readonly itemMs: () => number | undefined;
  /** Milliseconds since the last pool ended, or since the start. */
  readonly ageMs: () => number;
  /** A pool has ended that was sent at `sentMs` (of `performance.now()`). */
  readonly count: (sentMs: number, items: number) => void;
}

export function createModelPace(): ModelPace {
  let itemMs: number | undefined;
  let lastEndMs = performance.now();
  return {
    itemMs: () => itemMs,
    ageMs: () => performance.now() - lastEndMs,
    count: (sentMs, items) => {
      // Pools run one after another: this one has had the model since it was sent or since the last one ended.
      const endMs = performance.now();
      const ownMs = (endMs - Math.max(sentMs, lastEndMs)) / Math.max(1, items);
      lastEndMs = endMs;
      if (items === 0) return;
      itemMs = itemMs === undefined ? ownMs : itemMs + Math.min(1, items / paceItems) * (ownMs - itemMs);
    },
  };
}
