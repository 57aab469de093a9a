// The end of a backlog is shared out anew. Workers are handed more than they claim, so that they can fill their pools and
// sort them; one may then have seconds of work left when the others have none. These look in the ledger for what is not
// claimed, and take half of it. Whoever claims a job first has it: the other finds it gone when it claims.

import type { Pool as Database } from '../db/client.ts';
import { listUnclaimed, type UnclaimedJob } from '../db/unclaimed.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';

export interface SpareWork {
  /** A pool of so many items was claimed: where there is a backlog, another worker may have more of it. */
  readonly claimed: (items: number) => void;
  /** This worker runs out of work: looks for some, unless nothing came of the last look. */
  readonly look: () => void;
}

/** A pool this large is the sign of a backlog; single jobs that come now and then cost no look. */
const backlogItems = 32;
/** What was handed out later than this is on its way to a worker. */
const ageMs = 300;

export function createSpareWork(options: {
  readonly database: Database;
  readonly log: Logger;
  /** Items that make a good pool. */
  readonly poolItems: () => number;
  /** Takes jobs in hand; those that are there already are left out. */
  readonly take: (jobs: readonly UnclaimedJob[]) => void;
}): SpareWork {
  let mayBeMore = false;
  let tookOver = false;
  let isLooking = false;

  const look = async (): Promise<void> => {
    const itemsMax = options.poolItems();
    const found = await listUnclaimed(options.database, { ageMs, limit: 2 * itemsMax });
    const jobs = cut(found.slice(0, Math.ceil(found.length / 2)), itemsMax);
    tookOver = jobs.length > 0;
    metrics.jobsTakenOver.inc(jobs.length);
    options.take(jobs);
  };

  return {
    claimed: (items) => {
      mayBeMore ||= tookOver || items >= backlogItems;
    },
    look: () => {
      if (!mayBeMore || isLooking) return;
      isLooking = true;
      // Until something is claimed: of jobs that nobody may claim any more it would look again and again.
      mayBeMore = false;
      look()
        .catch((error: unknown) => options.log.warn({ err: error }, 'looking for unclaimed jobs failed'))
        .finally(() => {
          isLooking = false;
        });
    },
  };
}

/** The first of the jobs, with `itemsMax` items or the last few more. */
function cut(jobs: readonly UnclaimedJob[], itemsMax: number): readonly UnclaimedJob[] {
  let items = 0;
  return jobs.filter((job) => {
    const fits = items < itemsMax;
    items += job.items;
    return fits;
  });
}
