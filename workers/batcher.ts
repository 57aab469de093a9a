// Which jobs go to the model next, and when. Pure: the clock is an argument, and nothing here waits.

/** A job on its way: sized by its dispatch, so that it can be pooled before the ledger is asked for its texts. */
export interface PoolEntry {
  readonly items: number;
  readonly characters: number;
}

/**
 * What ended a pool's wait: `full` items, `tokens` by estimate, the model becoming `idle`, the `timeout` of the wait
 * for company beside an idle model, or `drain` because the process is stopping.
 */
export type FlushReason = 'full' | 'tokens' | 'idle' | 'timeout' | 'drain';

export interface TakeState {
  readonly nowMs: number;
  readonly idleSinceMs: number | undefined;
  readonly draining: boolean;
}

export interface TakenPool<Entry extends PoolEntry> {
  readonly key: string;
  readonly entries: Entry[];
  readonly reason: FlushReason;
}

export interface BatcherOptions {
  readonly itemsMax: number;
  readonly tokensMax: number;
  /** How long an idle model waits for company for the first job, in milliseconds. */
  readonly waitMs: number;
}

export interface Batcher<Entry extends PoolEntry> {
  /** @param key jobs of one key (kind and model version) share a pool. */
  readonly add: (key: string, entry: Entry, nowMs: number) => void;
  /**
   * The next pool, if its time has come; of several kinds, the one that waited longest.
   * While the model is busy a pool grows until it is full; when the model is about to be idle, what is there goes.
   * @param state.idleSinceMs since when the model has had next to nothing to do; undefined while it is busy
   */
  readonly take: (state: TakeState) => TakenPool<Entry> | undefined;
  /** When `take` could give a pool to an idle model without a further `add`, in the clock of `add`. */
  readonly dueAtMs: () => number | undefined;
  /** Items that wait here. */
  readonly items: () => number;
}

/** English runs to about four characters a token; the exact number is the tokenizer's, later and elsewhere. */
const charactersPerToken = 4;

interface Waiting<Entry> {
  readonly entry: Entry;
  readonly sinceMs: number;
}

export function createBatcher<Entry extends PoolEntry>(options: BatcherOptions): Batcher<Entry> {
  const queues = new Map<string, Waiting<Entry>[]>();
  let items = 0;

  const oldest = (): [key: string, queue: Waiting<Entry>[]] | undefined => {
    const byAge = [...queues].sort(([, a], [, b]) => (a[0]?.sinceMs ?? 0) - (b[0]?.sinceMs ?? 0));
    return byAge[0];
  };

  return {
    add: (key, entry, nowMs) => {
      const queue = queues.get(key) ?? [];
      queue.push({ entry, sinceMs: nowMs });
      queues.set(key, queue);
      items += entry.items;
    },
    take: (state) => {
      const first = oldest();
      if (first === undefined) return undefined;
      const [key, queue] = first;
      const cut = cutPool(queue, options);
      const reason = flushReason(cut, queue[0]?.sinceMs ?? state.nowMs, options.waitMs, state);
      if (reason === undefined) return undefined;
      const entries = queue.splice(0, cut.entries).map(({ entry }) => entry);
      if (queue.length === 0) queues.delete(key);
      items -= cut.items;
      return { key, entries, reason };
    },
    dueAtMs: () => {
      const first = oldest();
      return first && (first[1][0]?.sinceMs ?? 0) + options.waitMs;
    },
    items: () => items,
  };
}

interface Cut {
  readonly entries: number;
  readonly items: number;
  readonly limit: 'full' | 'tokens' | undefined;
}

/** The longest run of waiting jobs that keeps within the limits, but always one: a job is never split. */
function cutPool(queue: readonly Waiting<PoolEntry>[], { itemsMax, tokensMax }: BatcherOptions): Cut {
  let items = 0;
  let tokens = 0;
  for (const [index, { entry }] of queue.entries()) {
    const tokensAfter = tokens + entry.characters / charactersPerToken;
    if (index > 0 && items + entry.items > itemsMax) return { entries: index, items, limit: 'full' };
    if (index > 0 && tokensAfter > tokensMax) return { entries: index, items, limit: 'tokens' };
    items += entry.items;
    tokens = tokensAfter;
  }
  const limit = items >= itemsMax ? 'full' : tokens >= tokensMax ? 'tokens' : undefined;
  return { entries: queue.length, items, limit };
}

function flushReason(cut: Cut, oldestMs: number, waitMs: number, state: TakeState): FlushReason | undefined {
  if (cut.limit !== undefined) return cut.limit;
  if (state.draining) return 'drain';
  if (state.idleSinceMs === undefined || state.nowMs - oldestMs < waitMs) return undefined;
  return oldestMs < state.idleSinceMs ? 'idle' : 'timeout';
}
