// Which jobs go to the model next, and when. Pure: the clock is an argument, and nothing here waits.

import type { PoolLimits } from './pool-tuner.ts';
import { type PoolsInHand, urgencyOfClass } from './pools-in-hand.ts';
import { countItems, orderSweep, type Sweep } from './sweep.ts';
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
  readonly draining: boolean;
  readonly inHand: Pick<PoolsInHand, 'urgencyOf' | 'hasRoom' | 'idleSinceMs'>;
}

export interface TakenPool<Entry extends PoolEntry> {
  readonly key: string;
  readonly entries: readonly Entry[];
  /** As `PoolsInHand` tells it. */
  readonly urgency: number;
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
   * The next pool, if there is room for it and its time has come. Tenants take turns, one job each, and so do kinds: the
   * one with the tenant whose turn was longest ago, then the one with the class that is behind its share, then the one
   * that waited longest. While several tenants wait a pool is small. Where it is small, for that or because more would
   * take longer than the goal, a tenant's jobs of one class go by length within a large pool's worth of them (sweep.ts);
   * else they go in their order.
   * A few jobs that are more urgent than the others go alone, so that they need not wait for these in the model.
   * While the model is busy a pool grows until it is full; when the model is about to be idle, what is there goes.
   */
  readonly take: (state: TakeState) => TakenPool<Entry> | undefined;
  /** When `take` could give a pool to an idle model without a further `add`, in the clock of `add`. */
  readonly dueAtMs: (state: TakeState) => number | undefined;
  /** Items that wait here; of one class, or of all. */
  readonly items: (jobClass?: number) => number;
  /** Whether something waits here that is as urgent. */
  readonly holds: (urgency: number, inHand: Pick<PoolsInHand, 'urgencyOf'>) => boolean;
  /** Whether several tenants wait here. */
  readonly shared: () => boolean;
}

/** English runs to about four characters a token; the exact number is the tokenizer's, later and elsewhere. */
export const charactersPerToken = 4;

export function createBatcher<Entry extends PoolEntry>(options: BatcherOptions): Batcher<Entry> {
  const limitsOf = (key: string): PoolLimits => options.tune?.(key) ?? options;
  const queues = new Map<string, Waiting<Entry>[]>();
  const turns = createTurns({
    classFloor: options.classFloor,
    creditItems: options.itemsMax,
    aheadItemsMax: options.sharedItemsMax,
  });
  /** By queue, and by tenant and class. */
  const sweeps = new Map<string, Map<string, Sweep<Waiting<Entry>>>>();
  const items = new Map<number, number>();
  const count = (entry: PoolEntry, sign: 1 | -1): void => {
    items.set(entry.class, (items.get(entry.class) ?? 0) + sign * entry.items);
  };

  /** The kinds, whose turn it is first. */
  const lineUp = (): Queue<Entry>[] =>
    [...queues]
      .map(([key, waiting]) => ({
        key,
        waiting,
        oldestMs: waiting[0]?.sinceMs ?? 0,
        rank: turns.rank(waiting),
      }))
      .sort((a, b) => compareRanks(a.rank, b.rank) || a.oldestMs - b.oldestMs);

  /** Each tenant's jobs of each class in the order of their sweep. */
  const sweep = (
    key: string,
    waiting: readonly Waiting<Entry>[],
    poolItemsMax: number,
  ): readonly Waiting<Entry>[] => {
    const before = sweeps.get(key);
    const after = new Map<string, Sweep<Waiting<Entry>>>();
    const lines = [...groupByLine(waiting)].flatMap(([line, own]) => {
      const { sweep: now, ordered } = orderSweep(own, before?.get(line), {
        itemsMax: options.itemsMax,
        poolItemsMax,
      });
      after.set(line, now);
      return ordered;
    });
    sweeps.set(key, after);
    return lines;
  };

  /** What would go next, whether or not its time has come; there is room for it. */
  const planNext = ({ inHand }: TakeState): Plan<Entry> | undefined => {
    if (!inHand.hasRoom(turns.leastOf(inHand.urgencyOf))) return undefined;
    for (const queue of lineUp()) {
      const plan = planPool(queue, inHand);
      if (inHand.hasRoom(plan.urgency)) return plan;
    }
    return undefined;
  };

  const planPool = ({ key, waiting, oldestMs }: Queue<Entry>, inHand: TakeState['inHand']): Plan<Entry> => {
    const shared = turns.tenants() > 1;
    const divided = shared || turns.classes() > 1;
    const itemsMax = shared ? Math.min(options.itemsMax, options.sharedItemsMax) : options.itemsMax;
    const { tokensMax, waitMs } = limitsOf(key);
    const poolItemsMax = Math.min(itemsMax, countWithin(waiting, tokensMax));
    const isSmall = poolItemsMax < options.itemsMax;
    if (!isSmall) sweeps.delete(key);
    const lines = isSmall ? sweep(key, waiting, poolItemsMax) : waiting;
    const ordered = divided ? turns.order(lines) : lines;
    const ahead = findAhead(ordered, inHand.urgencyOf);
    const { entries, limit } = cutPool(ahead?.entries ?? ordered, { itemsMax, tokensMax });
    const best = Math.min(...entries.map(({ entry }) => entry.class));
    return {
      key,
      waiting,
      entries,
      limit: limit === 'tokens' && tokensMax < options.tokensMax ? 'goal' : limit,
      urgency: ahead?.urgency ?? urgencyOfClass(best),
      outOfTurn: ahead !== undefined && !ahead.inTurn,
      oldestMs: ahead?.entries.reduce((min, { sinceMs }) => Math.min(min, sinceMs), Infinity) ?? oldestMs,
      waitMs,
      turn: divided && queues.size > 1,
    };
  };

  /** The most urgent jobs, if they are few: more are no exception but a flood that has to share. */
  const findAhead = (ordered: readonly Waiting<Entry>[], urgencyOf: PoolsInHand['urgencyOf']) => {
    const urgencies = ordered.map(({ entry }) => urgencyOf(entry));
    const urgency = Math.min(...urgencies);
    const entries = ordered.filter((_, index) => urgencies[index] === urgency);
    if (countItems(entries) > options.sharedItemsMax) return undefined;
    const inTurn = urgencies[0] === urgency || turns.tenants() === 1;
    return inTurn || turns.mayGoAhead(entries.map(({ entry }) => entry))
      ? { entries, urgency, inTurn }
      : undefined;
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
      const plan = planNext(state);
      if (plan === undefined) return undefined;
      const { key, entries, urgency, outOfTurn } = plan;
      const reason = flushReason(plan, state);
      if (reason === undefined) return undefined;
      const taken = new Set(entries);
      const left = plan.waiting.filter((one) => !taken.has(one));
      if (left.length > 0) queues.set(key, left);
      else {
        queues.delete(key);
        sweeps.delete(key);
      }
      const leaving = entries.map(({ entry }) => entry);
      turns.leave(leaving, { outOfTurn });
      for (const entry of leaving) count(entry, -1);
      return { key, entries: leaving, urgency, reason };
    },
    dueAtMs: (state) => {
      const plan = planNext(state);
      if (plan === undefined) return undefined;
      const isIdle = state.inHand.idleSinceMs(plan.urgency, state.nowMs) !== undefined;
      return isIdle ? plan.oldestMs + plan.waitMs : undefined;
    },
    items: (jobClass) =>
      jobClass === undefined
        ? [...items.values()].reduce((sum, some) => sum + some, 0)
        : (items.get(jobClass) ?? 0),
    holds: (urgency, { urgencyOf }) =>
      [...queues.values()].some((waiting) => waiting.some(({ entry }) => urgencyOf(entry) <= urgency)),
    shared: () => turns.tenants() > 1,
  };
}

/** How many items of the length that these have on average keep within so many tokens. */
function countWithin(waiting: readonly Waiting<PoolEntry>[], tokensMax: number): number {
  const characters = waiting.reduce((sum, { entry }) => sum + entry.characters, 0);
  return Math.max(1, Math.floor((tokensMax * charactersPerToken * countItems(waiting)) / characters));
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
  readonly waiting: readonly Waiting<Entry>[];
  readonly oldestMs: number;
}

interface Plan<Entry> {
  readonly key: string;
  readonly waiting: readonly Waiting<Entry>[];
  readonly entries: readonly Waiting<Entry>[];
  readonly limit: 'full' | 'tokens' | 'goal' | undefined;
  readonly urgency: number;
  readonly outOfTurn: boolean;
  readonly oldestMs: number;
  readonly waitMs: number;
  readonly turn: boolean;
}

interface Cut<Entry> {
  readonly entries: readonly Waiting<Entry>[];
  readonly limit: 'full' | 'tokens' | undefined;
}

/**
 * As many of the waiting jobs, in their order, as keep within the limits, but always one: a job is never split. Where a
 * tenant's job is too large for what is left of the pool, the jobs of others behind it may still fit.
 */
function cutPool<Entry extends PoolEntry>(
  queue: readonly Waiting<Entry>[],
  { itemsMax, tokensMax }: Pick<BatcherOptions, 'itemsMax' | 'tokensMax'>,
): Cut<Entry> {
  const entries: Waiting<Entry>[] = [];
  const stopped = new Set<string>();
  let limit: Cut<Entry>['limit'];
  let items = 0;
  let tokens = 0;
  for (const one of queue) {
    const { tenantId, items: own, characters } = one.entry;
    if (items >= itemsMax || tokens >= tokensMax) break;
    if (stopped.has(tenantId)) continue;
    const fits = items + own <= itemsMax;
    if (entries.length > 0 && !(fits && tokens + characters / charactersPerToken <= tokensMax)) {
      stopped.add(tenantId);
      limit ??= fits ? 'tokens' : 'full';
      continue;
    }
    entries.push(one);
    items += own;
    tokens += characters / charactersPerToken;
  }
  return { entries, limit: items >= itemsMax ? 'full' : tokens >= tokensMax ? 'tokens' : limit };
}

function flushReason(plan: Plan<PoolEntry>, { nowMs, draining, inHand }: TakeState): FlushReason | undefined {
  if (plan.limit !== undefined) return plan.limit;
  if (draining) return 'drain';
  if (plan.turn) return 'turn';
  const idleSinceMs = inHand.idleSinceMs(plan.urgency, nowMs);
  if (idleSinceMs === undefined || nowMs - plan.oldestMs < plan.waitMs) return undefined;
  return plan.oldestMs < idleSinceMs ? 'idle' : 'timeout';
}
