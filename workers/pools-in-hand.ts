// What of a worker's pools is on its way through the model, and what may go beside or before it. Pure: the clock is an
// argument.

import { priorities } from '../shared/job.ts';
import type { TurnEntry } from './turns.ts';

/** A pool on its way, from before it is claimed until its last result. */
export interface PoolInHand {
  readonly urgency: number;
  /** It has been claimed, and so many of its items go to the model. */
  readonly claimed: (items: number) => void;
  /** So many of its items have their result. */
  readonly finished: (items: number) => void;
  readonly leave: () => void;
}

export interface PoolsInHand {
  /**
   * Lower goes first: by class, and within a class the job of a tenant that has nothing in hand before others.
   * A job that is more urgent than a pool goes between two micro-batches of it.
   */
  readonly urgencyOf: (entry: TurnEntry) => number;
  /** Whether one more pool may be taken: one runs and one is claimed behind it, those that wait for it not counted. */
  readonly hasRoom: (urgency: number) => boolean;
  /** Whether at most one pool is left, and its jobs are claimed. */
  readonly runsOut: () => boolean;
  /** Items that the model does before a pool of this urgency that is sent now. */
  readonly itemsAhead: (urgency: number) => number;
  /** Since when next to nothing has been ahead of such a pool; undefined while something is. */
  readonly idleSinceMs: (urgency: number, nowMs: number) => number | undefined;
  readonly take: (entries: readonly TurnEntry[], urgency: number) => PoolInHand;
  /** A job of this class has come. */
  readonly saw: (jobClass: number, nowMs: number) => void;
  /** Whether a job of a better class may come at any moment, since one was here a moment ago. */
  readonly expectsBetter: (urgency: number, nowMs: number) => boolean;
}

/** So long after a job of a class the next one is expected, in milliseconds. */
const expectedMs = 2000;

/** One in the model and one claimed behind it. */
const poolsMax = 2;

/** The model counts as idle when this few items are ahead: about the time that claiming the next pool takes. */
const idleItemsMax = 16;

/** The urgency of a pool of this class in which tenants may be that have another in hand. */
export function urgencyOfClass(jobClass: number): number {
  return 2 * jobClass + 1;
}

export function createPoolsInHand(): PoolsInHand {
  const pools = new Set<Pool>();
  const idleSince = new Map<number, number>();
  const lastSeenMs = priorities.map(() => Number.NEGATIVE_INFINITY);
  const upTo = (urgency: number): Pool[] => [...pools].filter((pool) => pool.urgency <= urgency);
  const itemsAhead = (urgency: number): number => upTo(urgency).reduce((sum, { items }) => sum + items, 0);

  return {
    urgencyOf: ({ tenantId, class: jobClass }) => {
      const isKnown = [...pools].some(({ tenants }) => tenants.has(tenantId));
      return urgencyOfClass(jobClass) - (isKnown ? 0 : 1);
    },
    hasRoom: (urgency) => upTo(urgency).length < poolsMax,
    runsOut: () => pools.size <= 1 && [...pools].every(({ isClaimed }) => isClaimed),
    itemsAhead,
    idleSinceMs: (urgency, nowMs) => {
      const isIdle = upTo(urgency).every(({ isClaimed }) => isClaimed) && itemsAhead(urgency) <= idleItemsMax;
      if (!isIdle) idleSince.delete(urgency);
      else if (!idleSince.has(urgency)) idleSince.set(urgency, nowMs);
      return idleSince.get(urgency);
    },
    take: (entries, urgency) => {
      const tenants = new Set(entries.map(({ tenantId }) => tenantId));
      const pool: Pool = { urgency, tenants, isClaimed: false, items: 0 };
      pools.add(pool);
      for (const known of idleSince.keys()) if (known >= urgency) idleSince.delete(known);
      return {
        urgency,
        claimed: (items) => {
          pool.isClaimed = true;
          pool.items = items;
        },
        finished: (items) => {
          pool.items -= items;
        },
        leave: () => pools.delete(pool),
      };
    },
    saw: (jobClass, nowMs) => {
      lastSeenMs[jobClass] = nowMs;
    },
    expectsBetter: (urgency, nowMs) =>
      lastSeenMs.some((ms, jobClass) => urgencyOfClass(jobClass) < urgency && nowMs - ms < expectedMs),
  };
}

interface Pool {
  readonly urgency: number;
  readonly tenants: ReadonlySet<string>;
  isClaimed: boolean;
  items: number;
}
