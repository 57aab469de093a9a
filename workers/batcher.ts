// Which jobs go to the model next, and when. Pure: the clock is an argument, and nothing here waits.

import type { PoolLimits } from './pool-tuner.ts';
import { orderSweep, type Sweep } from './sweep.ts';
import { compareRanks, createTurns, type TurnEntry, type Waiting } from './turns.ts';

/** A job on its way: sized by its dispatch, so that it can be pooled before the ledger is asked for its texts. */
export interface PoolEntry extends TurnEntry {
  readonly characters: number;
}

/**
 * What ended a pool's wait: `full` items, `tokens` by estimate, as many as the model does within its `goal`, the model
 * becoming `idle`, the `timeout` of the wait for company beside an idle model, the `turn` of a tenant or class while
 * another waits for another kind, or `drain` because
 * the process is stopping.
 */
export type FlushReason = 'full' | 'tokens' | 'goal' | 'idle' | 'timeout' | 'turn' | 'drain';

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
  /** Items of a pool while another tenant waits. */
  readonly sharedItemsMax: number;
  readonly tokensMax: number;
  /** How long an idle model waits for company for the first job, in milliseconds. */
  readonly waitMs: number;
  /** Share of the items that each class keeps beside better ones, 0..0.33. */
  readonly classFloor: number;
  /** Tighter limits for the pools of a key, from what they cost. */
  readonly tune?: (key: string) => PoolLimits;
}

export interface Batcher<Entry extends PoolEntry> {
  /** @param key jobs of one key (kind and model version) share a pool. */
  readonly add: (key: string, entry: Entry, nowMs: number) => void;
  /**
   * The next pool, if its time has come. Tenants take turns, one job each, and so do kinds: the one with the tenant
   * whose turn was longest ago, then the one with the class that is behind its share, then the one that waited longest.
   * While several tenants wait a pool is small, and a tenant's jobs of one class go by length within a large pool's
   * worth of them (sweep.ts); else they go in their order.
   * While the model is busy a pool grows until it is full; when the model is about to be idle, what is there goes.
   * @param state.idleSinceMs since when the model has had next to nothing to do; undefined while it is busy
   */
  readonly take: (state: TakeState) => TakenPool<Entry> | undefined;
  /** When `take` could give a pool to an idle model without a further `add`, in the clock of `add`. */
  readonly dueAtMs: () => number | undefined;
  /** Items that wait here; of one class, or of all. */
  readonly items: (jobClass?: number) => number;
  /** Whether several tenants wait here. */
  readonly shared: () => boolean;
}

/** English runs to about four characters a token; the exact number is the tokenizer's, later and elsewhere. */
export const charactersPerToken = 4;

export function createBatcher<Entry extends PoolEntry>(options: BatcherOptions): Batcher<Entry> {
  const limitsOf = (key: string): PoolLimits => options.tune?.(key) ?? options;
  const queues = new Map<string, Waiting<Entry>[]>();
  const turns = createTurns({ classFloor: options.classFloor, creditItems: options.itemsMax });
  /** By queue, and by tenant and class. */
  const sweeps = new Map<string, Map<string, Sweep<Waiting<Entry>>>>();
  const items = new Map<number, number>();
  const count = (entry: PoolEntry, sign: 1 | -1): void => {
    items.set(entry.class, (items.get(entry.class) ?? 0) + sign * entry.items);
  };

  const next = (): Queue<Entry> | undefined =>
    [...queues]
      .map(([key, waiting]) => ({
        key,
        waiting,
        oldestMs: waiting[0]?.sinceMs ?? 0,
        rank: turns.rank(waiting),
      }))
      .sort((a, b) => compareRanks(a.rank, b.rank) || a.oldestMs - b.oldestMs)[0];

  /** Each tenant's jobs of each class in the order of their sweep. */
  const sweep = (key: string, waiting: readonly Waiting<Entry>[]): readonly Waiting<Entry>[] => {
    const before = sweeps.get(key);
    const after = new Map<string, Sweep<Waiting<Entry>>>();
    const lines = [...groupByLine(waiting)].flatMap(([line, own]) => {
      const { sweep: now, ordered } = orderSweep(own, before?.get(line), options);
      after.set(line, now);
      return ordered;
    });
    sweeps.set(key, after);
    return lines;
  };

  return {
    add: (key, entry, nowMs) => {
      const queue = queues.get(key) ?? [];
      queue.push({ entry, sinceMs: nowMs });
      queues.set(key, queue);
      turns.enter(entry);
      count(entry, 1);
    },
    take: (state) => {
      const queue = next();
      if (queue === undefined) return undefined;
      const { key, waiting, oldestMs } = queue;
      const shared = turns.tenants() > 1;
      const divided = shared || turns.classes() > 1;
      const lines = shared ? sweep(key, waiting) : waiting;
      const ordered = divided ? turns.order(lines) : lines;
      if (!shared) sweeps.clear();
      const itemsMax = shared ? Math.min(options.itemsMax, options.sharedItemsMax) : options.itemsMax;
      const { tokensMax, waitMs } = limitsOf(key);
      const cut = cutPool(ordered, { itemsMax, tokensMax });
      const tuned = cut.limit === 'tokens' && tokensMax < options.tokensMax;
      const turn = divided && queues.size > 1;
      const due = flushReason(cut, state, { oldestMs, waitMs, turn });
      if (due === undefined) return undefined;
      const reason = tuned ? 'goal' : due;
      const taken = new Set(ordered.slice(0, cut.entries));
      const left = waiting.filter((one) => !taken.has(one));
      if (left.length > 0) queues.set(key, left);
      else {
        queues.delete(key);
        sweeps.delete(key);
      }
      const entries = [...taken].map(({ entry }) => entry);
      turns.leave(entries);
      for (const entry of entries) count(entry, -1);
      return { key, entries, reason };
    },
    dueAtMs: () => {
      const queue = next();
      return queue && queue.oldestMs + limitsOf(queue.key).waitMs;
    },
    items: (jobClass) =>
      jobClass === undefined
        ? [...items.values()].reduce((sum, some) => sum + some, 0)
        : (items.get(jobClass) ?? 0),
    shared: () => turns.tenants() > 1,
  };
}

/** By tenant and class. */
function groupByLine<Entry extends PoolEntry>(
  waiting: readonly Waiting<Entry>[],
): ReadonlyMap<string, Waiting<Entry>[]> {
  const lines = new Map<string, Waiting<Entry>[]>();
  for (const one of waiting) {
    const name = `${one.entry.tenantId} ${one.entry.class}`;
    const line = lines.get(name);
    if (line === undefined) lines.set(name, [one]);
    else line.push(one);
  }
  return lines;
}

interface Queue<Entry> {
  readonly key: string;
  readonly waiting: Waiting<Entry>[];
  readonly oldestMs: number;
}

interface Cut {
  readonly entries: number;
  readonly items: number;
  readonly limit: 'full' | 'tokens' | undefined;
}

/** The longest run of waiting jobs that keeps within the limits, but always one: a job is never split. */
function cutPool(
  queue: readonly Waiting<PoolEntry>[],
  { itemsMax, tokensMax }: Pick<BatcherOptions, 'itemsMax' | 'tokensMax'>,
): Cut {
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

function flushReason(
  cut: Cut,
  state: TakeState,
  queue: { readonly oldestMs: number; readonly waitMs: number; readonly turn: boolean },
): FlushReason | undefined {
  if (cut.limit !== undefined) return cut.limit;
  if (state.draining) return 'drain';
  if (queue.turn) return 'turn';
  if (state.idleSinceMs === undefined || state.nowMs - queue.oldestMs < queue.waitMs) return undefined;
  return queue.oldestMs < state.idleSinceMs ? 'idle' : 'timeout';
}
