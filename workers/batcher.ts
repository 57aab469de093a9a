// Which jobs go to the model next, and when. Pure: the clock is an argument, and nothing here waits.

import type { PoolLimits } from './pool-tuner.ts';

/** A job on its way: sized by its dispatch, so that it can be pooled before the ledger is asked for its texts. */
export interface PoolEntry {
  /** Tenants take turns. */
  readonly tenantId: string;
  readonly items: number;
  readonly characters: number;
}

/**
 * What ended a pool's wait: `full` items, `tokens` by estimate, as many as the model does within its `goal`, the model becoming `idle`, the `timeout` of the wait
 * for company beside an idle model, the `turn` of a tenant while another waits for another kind, or `drain` because
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
  /** Tighter limits for the pools of a key, from what they cost. */
  readonly tune?: (key: string) => PoolLimits;
}

export interface Batcher<Entry extends PoolEntry> {
  /** @param key jobs of one key (kind and model version) share a pool. */
  readonly add: (key: string, entry: Entry, nowMs: number) => void;
  /**
   * The next pool, if its time has come. Tenants take turns, one job each, and so do kinds: the one with the tenant
   * whose turn was longest ago, then the one that waited longest. While several tenants wait a pool is small.
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
export const charactersPerToken = 4;

interface Waiting<Entry> {
  readonly entry: Entry;
  readonly sinceMs: number;
}

export function createBatcher<Entry extends PoolEntry>(options: BatcherOptions): Batcher<Entry> {
  const limitsOf = (key: string): PoolLimits => options.tune?.(key) ?? options;
  const queues = new Map<string, Waiting<Entry>[]>();
  const turns = createTurns();
  let items = 0;

  const next = (): Queue<Entry> | undefined =>
    [...queues]
      .map(([key, waiting]) => ({ key, waiting, oldestMs: waiting[0]?.sinceMs ?? 0 }))
      .sort((a, b) => turns.earliest(a.waiting) - turns.earliest(b.waiting) || a.oldestMs - b.oldestMs)[0];

  return {
    add: (key, entry, nowMs) => {
      const queue = queues.get(key) ?? [];
      queue.push({ entry, sinceMs: nowMs });
      queues.set(key, queue);
      turns.enter(entry.tenantId);
      items += entry.items;
    },
    take: (state) => {
      const queue = next();
      if (queue === undefined) return undefined;
      const { key, waiting, oldestMs } = queue;
      const shared = turns.tenants() > 1;
      const ordered = shared ? turns.order(waiting) : waiting;
      const itemsMax = shared ? Math.min(options.itemsMax, options.sharedItemsMax) : options.itemsMax;
      const { tokensMax, waitMs } = limitsOf(key);
      const cut = cutPool(ordered, { itemsMax, tokensMax });
      const tuned = cut.limit === 'tokens' && tokensMax < options.tokensMax;
      const turn = shared && queues.size > 1;
      const due = flushReason(cut, state, { oldestMs, waitMs, turn });
      if (due === undefined) return undefined;
      const reason = tuned ? 'goal' : due;
      const taken = new Set(ordered.slice(0, cut.entries));
      const left = waiting.filter((one) => !taken.has(one));
      if (left.length === 0) queues.delete(key);
      else queues.set(key, left);
      const entries = [...taken].map(({ entry }) => entry);
      turns.leave(entries.map(({ tenantId }) => tenantId));
      items -= cut.items;
      return { key, entries, reason };
    },
    dueAtMs: () => {
      const queue = next();
      return queue && queue.oldestMs + limitsOf(queue.key).waitMs;
    },
    items: () => items,
  };
}

interface Queue<Entry> {
  readonly key: string;
  readonly waiting: Waiting<Entry>[];
  readonly oldestMs: number;
}

/** Who waits with how many jobs, and whose turn was when; a tenant of whom nothing waits is forgotten. */
function createTurns() {
  const tenants = new Map<string, { jobs: number; lastTurn: number }>();
  let turn = 0;
  const lastTurnOf = (tenantId: string): number => tenants.get(tenantId)?.lastTurn ?? 0;
  return {
    tenants: () => tenants.size,
    enter: (tenantId: string): void => {
      const known = tenants.get(tenantId) ?? { jobs: 0, lastTurn: 0 };
      tenants.set(tenantId, { ...known, jobs: known.jobs + 1 });
    },
    leave: (tenantIds: readonly string[]): void => {
      turn += 1;
      for (const tenantId of tenantIds) {
        const jobs = (tenants.get(tenantId)?.jobs ?? 1) - 1;
        if (jobs === 0) tenants.delete(tenantId);
        else tenants.set(tenantId, { jobs, lastTurn: turn });
      }
    },
    /** The turn that is longest ago among those who wait here. */
    earliest: (waiting: readonly Waiting<PoolEntry>[]): number => {
      if (tenants.size < 2) return 0;
      return waiting.reduce((least, { entry }) => Math.min(least, lastTurnOf(entry.tenantId)), Infinity);
    },
    /** One job of each tenant after another, whose turn was longest ago first; the jobs of a tenant in their order. */
    order: <Entry extends PoolEntry>(waiting: readonly Waiting<Entry>[]): Waiting<Entry>[] => {
      const rounds = new Map<string, number>();
      return waiting
        .map((one) => {
          const round = rounds.get(one.entry.tenantId) ?? 0;
          rounds.set(one.entry.tenantId, round + 1);
          return { one, round, lastTurn: lastTurnOf(one.entry.tenantId) };
        })
        .sort((a, b) => a.round - b.round || a.lastTurn - b.lastTurn)
        .map(({ one }) => one);
    },
  };
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
