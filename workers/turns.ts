// Whose job goes next: tenants take turns, and within a tenant its classes share by stride scheduling (Waldspurger and
// Weihl, 1995): each class has a pass that grows by items / share as it is served, and the least pass goes next.

import { priorities, sharesOf } from '../shared/job.ts';

/** What taking turns needs to know of a job. */
export interface TurnEntry {
  readonly tenantId: string;
  /** Index in `priorities`. */
  readonly class: number;
  readonly items: number;
}

export interface Waiting<Entry> {
  readonly entry: Entry;
  readonly sinceMs: number;
}

/** How soon a group of waiting jobs has its turn: lower goes first, field by field. */
export type Rank = readonly [lastTurn: number, pass: number, jobClass: number];

export interface Turns {
  readonly tenants: () => number;
  /** Classes that wait, of any tenant. */
  readonly classes: () => number;
  readonly enter: (entry: TurnEntry) => void;
  /** Tells which entries went, in one pool. */
  readonly leave: (entries: readonly TurnEntry[], pool: { readonly outOfTurn: boolean }) => void;
  /**
   * Whether a few jobs may go though it is others' turn, because there is no room for these: of each tenant as many items
   * as a small pool has, until another tenant has had its turn.
   */
  readonly mayGoAhead: (entries: readonly TurnEntry[]) => boolean;
  /** The least of what `measure` tells of a job of each tenant and class that waits; infinite while nothing waits. */
  readonly leastOf: (measure: (entry: TurnEntry) => number) => number;
  /** The rank of the one among the waiting that goes first. */
  readonly rank: (waiting: readonly Waiting<TurnEntry>[]) => Rank;
  /**
   * Item by item: the jobs of each tenant beside as many items of every other, whose turn was longest ago first. A
   * tenant's jobs of one class keep their order, and its classes get their shares of what its best one brings: what
   * would only fill up behind that is left out.
   */
  readonly order: <Entry extends TurnEntry>(waiting: readonly Waiting<Entry>[]) => Waiting<Entry>[];
}

interface Tenant {
  readonly lastTurn: number;
  /** Jobs that wait, by class. */
  readonly jobs: readonly number[];
  readonly passes: readonly number[];
}

const none = priorities.map(() => 0);

/**
 * Who waits with how many jobs, and whose turn was when; a tenant of whom nothing waits is forgotten.
 * @param options.creditItems of a lower class that went because better ones were not at hand for a moment: so many
 *   are made up for when these come
 * @param options.aheadItemsMax items of a tenant that may go while it is another's turn
 */
export function createTurns(options: {
  readonly classFloor: number;
  readonly creditItems: number;
  readonly aheadItemsMax: number;
}): Turns {
  const { classFloor: floor } = options;
  const creditMax = options.creditItems / floor;
  const tenants = new Map<string, Tenant>();
  /** Items of each tenant that went out of turn since another one had its turn. */
  const wentAhead = new Map<string, number>();
  let turn = 0;
  const tenantOf = (id: string): Tenant => tenants.get(id) ?? { lastTurn: 0, jobs: none, passes: none };

  const leaveOne = (id: string, left: readonly TurnEntry[]): void => {
    const { jobs, passes } = tenantOf(id);
    // What goes while better classes are away is charged as if they were there, so that they find it in their credit.
    const part = (jobs[0] ?? 0) > 0 ? 1 : floor;
    const shares = sharesOf(jobs, floor).map((share) => part * share);
    const sum = (jobClass: number, size: (entry: TurnEntry) => number): number =>
      left.reduce((total, entry) => total + (entry.class === jobClass ? size(entry) : 0), 0);
    const rest = jobs.map((count, jobClass) => count - sum(jobClass, () => 1));
    if (rest.every((count) => count <= 0)) tenants.delete(id);
    else {
      const grown = passes.map((pass, c) => pass + sum(c, ({ items }) => items) / (shares[c] ?? 1));
      tenants.set(id, { lastTurn: turn, jobs: rest, passes: grown });
    }
  };

  return {
    tenants: () => tenants.size,
    classes: () => none.filter((_, c) => [...tenants.values()].some(({ jobs }) => (jobs[c] ?? 0) > 0)).length,
    enter: ({ tenantId, class: jobClass }) => {
      const { jobs, passes, ...tenant } = tenantOf(tenantId);
      // A class that comes back starts level with those that wait; only one that is better than all has a credit.
      const isBest = jobs.slice(0, jobClass).every((count) => count === 0);
      const level = Math.min(...passes.filter((_, c) => (jobs[c] ?? 0) > 0)) - (isBest ? creditMax : 0);
      const passOf = (pass: number): number => (Number.isFinite(level) ? Math.max(pass, level) : pass);
      const isNew = jobs[jobClass] === 0;
      tenants.set(tenantId, {
        ...tenant,
        jobs: jobs.map((count, c) => count + (c === jobClass ? 1 : 0)),
        passes: isNew ? passes.map((pass, c) => (c === jobClass ? passOf(pass) : pass)) : passes,
      });
    },
    leave: (entries, { outOfTurn }) => {
      turn += 1;
      if (!outOfTurn) for (const id of wentAhead.keys()) if (entries.some(isOther(id))) wentAhead.delete(id);
      for (const { tenantId, items } of outOfTurn ? entries : [])
        wentAhead.set(tenantId, (wentAhead.get(tenantId) ?? 0) + items);
      for (const id of new Set(entries.map(({ tenantId }) => tenantId)))
        leaveOne(
          id,
          entries.filter(({ tenantId }) => tenantId === id),
        );
    },
    mayGoAhead: (entries) =>
      [...new Set(entries.map(({ tenantId }) => tenantId))].every((id) => {
        const items = entries.reduce((sum, entry) => sum + (entry.tenantId === id ? entry.items : 0), 0);
        return (wentAhead.get(id) ?? 0) + items <= options.aheadItemsMax;
      }),
    leastOf: (measure) => {
      let least = Infinity;
      for (const [tenantId, { jobs }] of tenants)
        for (const [jobClass, count] of jobs.entries())
          if (count > 0) least = Math.min(least, measure({ tenantId, class: jobClass, items: 1 }));
      return least;
    },
    rank: (waiting) => {
      let first: Rank = [Infinity, Infinity, Infinity];
      for (const { entry } of waiting) {
        const { lastTurn, passes } = tenantOf(entry.tenantId);
        const rank = [lastTurn, passes[entry.class] ?? 0, entry.class] as const;
        if (compareRanks(rank, first) < 0) first = rank;
      }
      return first;
    },
    order: <Entry extends TurnEntry>(waiting: readonly Waiting<Entry>[]) => {
      const ids = new Set(waiting.map(({ entry }) => entry.tenantId));
      return [...ids]
        .flatMap((id) => {
          const line = waiting.filter(({ entry }) => entry.tenantId === id);
          const { lastTurn, jobs, passes } = tenantOf(id);
          let itemsBefore = 0;
          return shareClasses(line, { passes, shares: sharesOf(jobs, floor) }).map((one) => {
            const place = { one, itemsBefore, lastTurn };
            itemsBefore += one.entry.items;
            return place;
          });
        })
        .sort((a, b) => a.itemsBefore - b.itemsBefore || a.lastTurn - b.lastTurn)
        .map(({ one }) => one);
    },
  };
}

function isOther(tenantId: string): (entry: TurnEntry) => boolean {
  return (entry) => entry.tenantId !== tenantId;
}

export function compareRanks(a: Rank, b: Rank): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** One tenant's jobs in the order in which its classes are served, up to the last of the best class. */
function shareClasses<Entry extends TurnEntry>(
  waiting: readonly Waiting<Entry>[],
  pace: { readonly passes: readonly number[]; readonly shares: readonly number[] },
): Waiting<Entry>[] {
  const lines = none.map((_, c) => ({
    jobs: waiting.filter(({ entry }) => entry.class === c),
    next: 0,
    pass: pace.passes[c] ?? 0,
    share: pace.shares[c] ?? 1,
  }));
  const best = lines.find(({ jobs }) => jobs.length > 0);
  const ordered: Waiting<Entry>[] = [];
  while (best !== undefined && best.next < best.jobs.length) {
    const [line] = lines.filter(({ jobs, next }) => next < jobs.length).toSorted((a, b) => a.pass - b.pass);
    const job = line?.jobs[line.next];
    if (line === undefined || job === undefined) break;
    line.next += 1;
    line.pass += job.entry.items / line.share;
    ordered.push(job);
  }
  return ordered;
}
