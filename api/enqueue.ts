// Which jobs go to Redis at once, and handing them over. The window bounds what Redis holds of a tenant and class;
// what does not fit waits in the ledger for the dispatcher, and so does everything behind it, to keep the order.

import type { Pool } from '../db/client.ts';
import { listWindow } from '../db/dispatch.ts';
import type { NewJob } from '../db/submissions.ts';
import { listProcesses } from '../db/processes.ts';
import { listItemsInFlightMax } from '../db/tenant-settings.ts';
import type { Config } from '../shared/config.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { nothingToDo, startTicker, type TickEnd } from '../shared/process.ts';
import { type DispatchQueue, type PlannedDispatch, planDispatches } from '../shared/queues.ts';
import { createWindow } from '../shared/window.ts';

/** While nothing is in flight, what others hand over is seen this late. */
const idleMs = 500;

export interface Enqueuer {
  /** Plans dispatches for those jobs that fit in the window now; the others wait in the ledger. */
  readonly plan: (jobs: readonly NewJob[]) => PlannedDispatch[];
  /** Hands dispatches to Redis. A failure is logged and left to the reconciler: the jobs are in the ledger. */
  readonly send: (dispatches: readonly PlannedDispatch[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** @param options.database sees all tenants' rows: the window is counted, never shown. */
export function createEnqueuer(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
  readonly queue: DispatchQueue;
}): Enqueuer {
  const { config, log, database, queue } = options;
  let workers = 1;
  let limits: ReadonlyMap<string, number> = new Map();
  let window = createWindow(config, { uses: [], workers, limits });

  const refresh = async (): Promise<TickEnd> => {
    const uses = await listWindow(database);
    window = createWindow(config, { uses, workers, limits });
    return uses.length === 0 ? nothingToDo : undefined;
  };
  const learn = async (): Promise<void> => {
    const alive = await listProcesses(database);
    workers = Math.max(1, alive.filter(({ type }) => type === 'analysis').length);
    limits = await listItemsInFlightMax(database);
  };
  const tickers = [
    startTicker('window', 2 * config.DISPATCH_TICK_MS, log, refresh, idleMs),
    startTicker('workers', 2000, log, learn),
  ];

  const fits = (job: NewJob): boolean => {
    if (job.status !== 'queued') return false;
    const { tenantId, class: jobClass } = job;
    if (window.waiting(tenantId, jobClass) || !window.fits(tenantId, jobClass, sizeOf(job))) {
      window.wait(tenantId, jobClass);
      return false;
    }
    window.add(tenantId, jobClass, sizeOf(job));
    return true;
  };

  return {
    plan: (jobs) => {
      if (!queue.isReady()) return [];
      const fitting = jobs.filter(fits);
      return planDispatches(
        fitting.map((job) => ({ ...job, items: sizeOf(job), characters: Math.max(1, job.characterCount) })),
      );
    },
    send: async (dispatches) => {
      if (dispatches.length === 0) return;
      try {
        await queue.add(dispatches);
        const jobs = dispatches.reduce((sum, { dispatch }) => sum + dispatch.jobIds.length, 0);
        metrics.dispatched.inc({ by: 'intake' }, jobs);
      } catch (error) {
        metrics.dispatchFailures.inc(dispatches.length);
        log.warn({ err: error, dispatches: dispatches.length }, 'Redis did not take the dispatches');
      }
    },
    close: async () => {
      await Promise.all(tickers.map((ticker) => ticker.close()));
    },
  };
}

/** Items of a job; a profile counts as one. */
function sizeOf(job: NewJob): number {
  return Math.max(1, job.texts.length);
}
