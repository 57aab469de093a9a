// How many items are done before a job is, if nothing else came: work flows like a fluid, tenants share it evenly, and a
// tenant's classes by their shares.

import { sharesOf } from '../shared/job.ts';

/** Items in the system, by tenant and class. */
export type Load = ReadonlyMap<string, readonly number[]>;

/**
 * Items that are done until `items` of a tenant's class are: itself, what its tenant's other classes get meanwhile, and
 * what the other tenants get, each as much as this one at most.
 * @param floor share of each waiting class below the best
 */
export function workAhead(
  load: Load,
  place: { readonly tenantId: string; readonly class: number; readonly items: number },
  floor: number,
): number {
  const own = load.get(place.tenantId) ?? [];
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
        items.reduce((sum, some) => sum + some, 0),
        tenant,
      );
  return all;
}
