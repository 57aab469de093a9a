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
  let work = workUntil(load, place, floor, () => undefined, 0);
  if (coming === undefined || coming.rates.size === 0) return work;
  for (let round = 0; round < rounds; round++)
    work = workUntil(load, place, floor, (tenantId) => coming.rates.get(tenantId), work / coming.itemsPerMs);
  return work;
}

function workUntil(
  load: Load,
  place: { readonly tenantId: string; readonly class: number; readonly items: number },
  floor: number,
  ratesOf: (tenantId: string) => readonly number[] | undefined,
  ms: number,
): number {
  const rates = ratesOf(place.tenantId);
  const own = (load.get(place.tenantId) ?? []).map((items, c) => items + ms * (rates?.[c] ?? 0));
  const waiting = own.map((items, c) => (c === place.class ? Math.max(1, items) : items));
  const shares = sharesOf(waiting, floor);
  const rate = shares[place.class] ?? 1;
  let tenant = place.items;
  for (const [c, items] of own.entries())
    if (c !== place.class) tenant += Math.min(items, (place.items * (shares[c] ?? 0)) / rate);
  let all = tenant;
  for (const [tenantId, items] of load) {
    if (tenantId === place.tenantId) continue;
    const theirs = ratesOf(tenantId);
    all += Math.min(
      items.reduce((sum, some, c) => sum + some + ms * (theirs?.[c] ?? 0), 0),
      tenant,
    );
  }
  return all;
}
