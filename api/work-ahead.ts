// How many items are done before a job is: work flows like a fluid, tenants share it evenly, and a tenant's classes by
// their shares.

import { sharesOf } from '../shared/job.ts';
import type { Rates } from './arrival-rates.ts';

/** Items in the system, by tenant and class. */
export type Load = ReadonlyMap<string, readonly number[]>;

/** What comes while a job waits: how fast, and how fast all is done. */
export interface Coming {
  readonly rates: Rates;
  /** Of all workers, above 0. */
  readonly itemsPerMs: number;
}

/** The wait decides what comes in it, and what comes decides the wait: from below this settles in a few rounds. */
const rounds = 4;

/**
 * Items that are done until `items` of a tenant's class are: itself, what its tenant's other classes get meanwhile, and
 * what the other tenants get, each as much as this one at most.
 * @param floor share of each waiting class below the best
 * @param coming counts what comes meanwhile, of other classes and tenants; without it nothing does
 */
export function workAhead(
  load: Load,
  place: { readonly tenantId: string; readonly class: number; readonly items: number },
  floor: number,
  coming?: Coming,
): number {
  let work = workUntil(load, place, floor, nothingComes, 0);
  if (coming === undefined || coming.rates.size === 0) return work;
  for (let round = 0; round < rounds; round++)
    work = workUntil(load, place, floor, coming.rates, work / coming.itemsPerMs);
  return work;
}

const nothingComes: Rates = new Map();

/** With what comes in so many milliseconds. */
function workUntil(
  load: Load,
  place: { readonly tenantId: string; readonly class: number; readonly items: number },
  floor: number,
  rates: Rates,
  ms: number,
): number {
  const inTime = (tenantId: string, items: readonly number[]): number[] =>
    items.map((some, c) => some + ms * (rates.get(tenantId)?.[c] ?? 0));
  const own = inTime(place.tenantId, load.get(place.tenantId) ?? []);
  const waiting = own.map((items, c) => (c === place.class ? Math.max(1, items) : items));
  const shares = sharesOf(waiting, floor);
  const rate = shares[place.class] ?? 1;
  let tenant = place.items;
  for (const [c, items] of own.entries())
    if (c !== place.class) tenant += Math.min(items, (place.items * (shares[c] ?? 0)) / rate);
  let all = tenant;
  for (const [tenantId, items] of load)
    if (tenantId !== place.tenantId)
      all += Math.min(
        inTime(tenantId, items).reduce((sum, some) => sum + some, 0),
        tenant,
      );
  return all;
}
