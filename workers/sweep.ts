// In which order a tenant's jobs go while pools are small, because tenants share the model or it is slow. Pure.

/** A job by its size. */
interface Sized {
  readonly items: number;
  readonly characters: number;
}

/** What is left of a large pool's worth of a tenant's jobs, sorted, and in which direction. */
export interface Sweep<Waiting> {
  readonly line: readonly Waiting[];
  readonly longestFirst: boolean;
}

export interface SweepLimits {
  /** Items that a sweep gathers: those of a large pool. */
  readonly itemsMax: number;
  /** Items of the pools in which it goes out. */
  readonly poolItemsMax: number;
}

/**
 * A large pool's worth of the oldest jobs, sorted by length, goes out in small pools one after another: each holds texts
 * of about one length, and pads hardly more than the large pool would. When less than a small pool is left, that goes
 * first, and the next sweep behind it the other way, so that the two meet at the same length. Of GoEmotions' dev texts,
 * cut into micro-batches of eight, pools of 64 pad to 1.11 times the tokens by arrival, to 1.06 (two backlogs) to 1.08
 * (one job of another in each) so, and pools of 256 to 1.03.
 * No job waits for more than the sweep that it is in and the rest of the one before.
 * @param waiting the tenant's jobs by arrival
 * @returns the sweep to keep, and the jobs in the order in which they go
 */
export function orderSweep<Waiting extends { readonly entry: Sized }>(
  waiting: readonly Waiting[],
  sweep: Sweep<Waiting> | undefined,
  limits: SweepLimits,
): { readonly sweep: Sweep<Waiting>; readonly ordered: readonly Waiting[] } {
  const here = new Set(waiting);
  const now = goOn({ line: [], longestFirst: true, ...sweep }, here, limits);
  const swept = new Set(now.line);
  return { sweep: now, ordered: [...now.line, ...waiting.filter((one) => !swept.has(one))] };
}

function goOn<Waiting extends { readonly entry: Sized }>(
  sweep: Sweep<Waiting>,
  here: ReadonlySet<Waiting>,
  limits: SweepLimits,
): Sweep<Waiting> {
  const left = sweep.line.filter((one) => here.has(one));
  const leftItems = countItems(left);
  if (leftItems >= limits.poolItemsMax) return { ...sweep, line: left };
  const known = new Set(left);
  const others = [...here].filter((one) => !known.has(one));
  const longestFirst = !sweep.longestFirst;
  const sign = longestFirst ? -1 : 1;
  const next = takeItems(others, limits.itemsMax - leftItems);
  return {
    line: [...left, ...next.toSorted((a, b) => sign * (lengthOf(a) - lengthOf(b)))],
    longestFirst,
  };
}

/** Characters of its items, in the middle. */
function lengthOf({ entry }: { readonly entry: Sized }): number {
  return entry.characters / entry.items;
}

/** Items of all of them. */
export function countItems(waiting: readonly { readonly entry: Sized }[]): number {
  return waiting.reduce((sum, { entry }) => sum + entry.items, 0);
}

/** The first of them until they hold `items`. */
function takeItems<Waiting extends { readonly entry: Sized }>(
  waiting: readonly Waiting[],
  items: number,
): readonly Waiting[] {
  let room = items;
  return waiting.filter(({ entry }) => {
    const taken = room > 0;
    room -= entry.items;
    return taken;
  });
}
