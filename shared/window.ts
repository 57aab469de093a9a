// How much of a tenant's work may be in Redis or in a worker's hands: what the intake and the dispatcher must agree on.

import type { Config } from './config.ts';
import { dispatchLimits, priorities } from './job.ts';

/** A tenant's work of one class: items in the window, and whether jobs wait in the ledger for room. */
export interface WindowUse {
  readonly tenantId: string;
  readonly class: number;
  readonly items: number;
  readonly waiting: boolean;
}

export interface Window {
  /** Whether jobs of the tenant and class wait in the ledger already: nothing may overtake them. */
  readonly waiting: (tenantId: string, jobClass: number) => boolean;
  /** Whether so much has left that a whole dispatch goes again. */
  readonly hasRoom: (tenantId: string, jobClass: number) => boolean;
  /** Whether a job of so many items may go now. */
  readonly fits: (tenantId: string, jobClass: number, items: number) => boolean;
  /** Tells that items went. */
  readonly add: (tenantId: string, jobClass: number, items: number) => void;
  /** Tells that a job waits in the ledger. */
  readonly wait: (tenantId: string, jobClass: number) => void;
}

/**
 * Items of one tenant and class that may be in Redis or in a worker's hands. A tenant alone has large pools. Tenants that
 * share have small ones, and as many items behind them as a worker sorts by length while it holds those of all.
 */
export function windowItemsMax(config: Config, workers: number, tenants: number): number {
  const large = config.POOL_ITEMS_MAX;
  const small = Math.min(large, config.SHARED_POOL_ITEMS_MAX);
  const share = Math.floor((large + small) / tenants);
  return (tenants > 1 ? Math.max(small, share) : large) * config.WINDOW_POOLS_PER_WORKER * workers;
}

/**
 * The window as it was measured, kept up by what is told. A job larger than what is left goes when it is the first: of
 * its class in the window, or of its tenant where the tenant's limit is what is left of.
 * @param state.limits items of a tenant that may be in flight; a tenant that is not in it has no limit of its own
 */
export function createWindow(
  config: Config,
  state: {
    readonly uses: readonly WindowUse[];
    readonly workers: number;
    readonly limits: ReadonlyMap<string, number>;
  },
): Window {
  const tenants = new Map<string, { items: number[]; waiting: boolean[] }>();
  const useOf = (tenantId: string) => {
    const known = tenants.get(tenantId);
    const use = known ?? { items: priorities.map(() => 0), waiting: priorities.map(() => false) };
    tenants.set(tenantId, use);
    return use;
  };
  const add = (tenantId: string, jobClass: number, items: number): void => {
    const use = useOf(tenantId);
    use.items[jobClass] = (use.items[jobClass] ?? 0) + items;
  };
  const wait = (tenantId: string, jobClass: number): void => {
    useOf(tenantId).waiting[jobClass] = true;
  };
  for (const use of state.uses) {
    add(use.tenantId, use.class, use.items);
    if (use.waiting) wait(use.tenantId, use.class);
  }
  /** What lower classes that wait keep of the tenant's limit. */
  const reserved = (tenantId: string, jobClass: number, limit: number): number => {
    const { items, waiting } = useOf(tenantId);
    const floor = (limit * config.PRIORITY_FLOOR_PERCENT) / 100;
    return items.reduce(
      (sum, used, c) => sum + (c > jobClass && waiting[c] === true ? Math.max(0, floor - used) : 0),
      0,
    );
  };
  const itemsMax = (): number => windowItemsMax(config, state.workers, tenants.size);
  return {
    waiting: (tenantId, jobClass) => useOf(tenantId).waiting[jobClass] === true,
    hasRoom: (tenantId, jobClass) => {
      const room = itemsMax() - (useOf(tenantId).items[jobClass] ?? 0);
      return room >= Math.min(dispatchLimits.jobsMax, itemsMax() / 4);
    },
    fits: (tenantId, jobClass, items) => {
      const { items: used } = useOf(tenantId);
      if ((used[jobClass] ?? 0) >= itemsMax()) return false;
      const limit = state.limits.get(tenantId);
      const inFlight = used.reduce((sum, some) => sum + some, 0);
      if (limit === undefined || inFlight === 0) return true;
      return inFlight + items + reserved(tenantId, jobClass, limit) <= limit;
    },
    add,
    wait,
  };
}
