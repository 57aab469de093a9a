// What the dispatcher does at each tick. Every tick is whole in itself: a crash between any two lines leaves rows
// that the next tick, of this or another dispatcher, finds again.

import { inTransaction, type Pool } from '../db/client.ts';
import {
  ensurePartitions,
  expireJobs,
  listAbandoned,
  listOldDispatches,
  listWindow,
  lockWaiting,
  markDispatched,
  measureQueue,
  pruneIdempotencyKeys,
  pruneJobs,
  queueDue,
  undispatch,
  type WaitingJob,
} from '../db/dispatch.ts';
import { retryJobs } from '../db/attempts.ts';
import { eraseSome } from '../db/erase-person.ts';
import { type ErasureName, listOpenErasures, measureErasures, pruneErasures } from '../db/erasures.ts';
import { listProcesses, pruneProcesses } from '../db/processes.ts';
import { listItemsInFlightMax } from '../db/tenant-settings.ts';
import type { Config } from '../shared/config.ts';
import { dispatchLimits, priorities } from '../shared/job.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { nothingToDo, type TickEnd } from '../shared/process.ts';
import { type DispatchQueue, type PlannedDispatch, planDispatches } from '../shared/queues.ts';
import { createWindow, type Window, type WindowUse } from '../shared/window.ts';

export interface DispatcherTicks {
  readonly topUp: () => Promise<TickEnd>;
  readonly queueDue: () => Promise<void>;
  readonly expire: () => Promise<void>;
  readonly reconcile: () => Promise<void>;
  readonly rescue: () => Promise<void>;
  readonly measure: () => Promise<void>;
  readonly erase: (signal: AbortSignal) => Promise<void>;
  readonly prune: () => Promise<void>;
  readonly partitions: () => Promise<void>;
}

/** Rows that one statement of a sweep may touch. */
const sweepRowsMax = 500;

/** Persons that are erased side by side. */
const erasuresMax = 100;

/** After its lease a worker gets this long to be slow before its jobs are taken from it. */
const leaseGraceMs = 2000;

export function createDispatcherTicks(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
  readonly owner: Pool;
  readonly queue: DispatchQueue;
}): DispatcherTicks {
  const { config, log, database, owner, queue } = options;
  let workers = 1;
  let limits: ReadonlyMap<string, number> = new Map();

  /**
   * Hands over up to one dispatch of each tenant and class that has room, then looks again: round robin. Topping up by the
   * job would cost each its own transaction, call to Redis and fetch by a worker.
   */
  const topUp = async (): Promise<TickEnd> => {
    if (!queue.isReady()) return undefined;
    const uses = await listWindow(database);
    const window = createWindow(config, { uses, workers, limits });
    const waiting = uses.filter((use) => use.waiting);
    if (waiting.length === 0) return nothingToDo;
    let open = waiting.filter((use) => window.hasRoom(use.tenantId, use.class));
    while (open.length > 0) {
      const moved = [];
      for (const use of open) if (await dispatchSome(use, window)) moved.push(use);
      open = moved;
    }
    return undefined;
  };

  /** The ledger first, then Redis: a crash between the two leaves a dispatch that the reconciler misses in Redis. */
  const dispatchSome = async (use: WindowUse, window: Window): Promise<boolean> => {
    if (!window.fits(use.tenantId, use.class, 1)) return false;
    const planned = await inTransaction(database, async (tx): Promise<PlannedDispatch[]> => {
      const waiting = await lockWaiting(tx, { ...use, limit: dispatchLimits.jobsMax });
      const taken = takeWhatFits(waiting, use, window);
      const dispatches = planDispatches(
        taken.map((job) => ({
          ...job,
          tenantId: use.tenantId,
          class: Math.max(0, use.class - Math.floor(job.ageMs / config.PRIORITY_AGE_MS)),
        })),
      );
      const marks = dispatches.flatMap(({ id, dispatch }) =>
        dispatch.jobIds.map((jobId) => ({ id: jobId, dispatchId: id })),
      );
      if (marks.length > 0) await markDispatched(tx, use.tenantId, marks);
      return dispatches;
    });
    if (planned.length === 0) return false;
    await queue.add(planned);
    metrics.dispatched.inc(
      { by: 'dispatcher' },
      planned.reduce((sum, { dispatch }) => sum + dispatch.jobIds.length, 0),
    );
    return true;
  };

  /** What fails is looked at again by the next tick and holds up no other person's. */
  const step = (name: ErasureName) =>
    eraseSome(database, name, config.ATTEMPTS_MAX).catch((error: unknown) => {
      log.error({ err: error, erasure: name.id }, 'a step of an erasure failed');
      return 'failed' as const;
    });

  return {
    topUp,
    queueDue: () => sweep(() => queueDue(database, sweepRowsMax)),
    expire: () =>
      sweep(async () => {
        const ids = await expireJobs(database, sweepRowsMax);
        metrics.expired.inc(ids.length);
        return ids.length;
      }),
    reconcile: async () => {
      const old = await listOldDispatches(database, config.RECONCILE_MS, 5000);
      if (old.length === 0 || !queue.isReady()) return;
      const lost = await queue.missing(old);
      if (lost.length === 0) return;
      const jobs = await undispatch(database, lost);
      metrics.reconciled.inc(jobs);
      log.warn({ dispatches: lost.length, jobs }, 'dispatches were lost and are made again');
    },
    rescue: () =>
      sweep(async () => {
        const abandoned = await listAbandoned(database, leaseGraceMs, sweepRowsMax);
        if (abandoned.length === 0) return 0;
        const error = { code: 'worker_lost', detail: 'The worker stopped renewing its lease' };
        const moved = await retryJobs(database, abandoned, {
          delayMs: 0,
          attemptsMax: config.ATTEMPTS_MAX,
          error,
        });
        metrics.rescued.inc(moved.length);
        log.warn({ jobs: moved.length }, 'jobs were taken from workers that stopped renewing their leases');
        return abandoned.length;
      }),
    measure: async () => {
      const alive = await listProcesses(database);
      workers = Math.max(1, alive.filter(({ type }) => type === 'analysis').length);
      limits = await listItemsInFlightMax(database);
      const measured = new Map((await measureQueue(database)).map((row) => [row.class, row]));
      priorities.forEach((name, index) => {
        const row = measured.get(index);
        metrics.queueDepth.set({ class: name, where: 'ledger' }, row?.waiting ?? 0);
        metrics.queueDepth.set({ class: name, where: 'window' }, row?.dispatched ?? 0);
        metrics.queueOldestAge.set({ class: name }, row?.oldestSeconds ?? 0);
      });
      const erasures = await measureErasures(database);
      metrics.erasuresOpen.set(erasures.open);
      metrics.erasuresOldestAge.set(erasures.oldestSeconds);
      if (queue.isReady()) checkRedis(await queue.info(), log);
    },
    // A step of each in turn, so that a person with a million texts keeps nobody waiting.
    erase: async (signal) => {
      let open = await listOpenErasures(database, erasuresMax);
      while (open.length > 0 && !signal.aborted) {
        const unfinished = [];
        for (const name of open) {
          if ((await step(name)) === 'more') unfinished.push(name);
        }
        open = unfinished;
      }
    },
    prune: async () => {
      await sweep(async () => {
        const jobs = await pruneJobs(database, sweepRowsMax);
        metrics.pruned.inc(jobs);
        return jobs;
      });
      await sweep(() => pruneErasures(database, sweepRowsMax));
      await pruneIdempotencyKeys(database);
      await pruneProcesses(database);
    },
    partitions: () => ensurePartitions(owner),
  };
}

/** The first of the waiting jobs that the window has room for, up to one dispatch. */
function takeWhatFits(waiting: readonly WaitingJob[], use: WindowUse, window: Window): WaitingJob[] {
  const taken: WaitingJob[] = [];
  let items = 0;
  for (const job of waiting) {
    const whole = taken.length > 0 && items + job.items > dispatchLimits.itemsMax;
    if (whole || !window.fits(use.tenantId, use.class, job.items)) break;
    window.add(use.tenantId, use.class, job.items);
    taken.push(job);
    items += job.items;
  }
  return taken;
}

/** Repeats a bounded statement while it fills its bound. */
async function sweep(step: () => Promise<number>): Promise<void> {
  while ((await step()) >= sweepRowsMax);
}

/** Redis must refuse writes when full; if it evicts instead, dispatches vanish until the reconciler makes them again. */
function checkRedis(info: string, log: Logger): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy !== undefined && policy !== 'noeviction') {
    log.error({ policy }, 'Redis must run with maxmemory-policy noeviction');
  }
}
