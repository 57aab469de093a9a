// Clients that wait for a job sleep here until the ledger says that it changed. Nothing polls.

import { jobsChannel, progressChannel } from '../db/jobs.ts';
import { type JobListener, listenToJobs } from '../db/listen.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';

/** A client's interest in a job, from before it looks at the job's state, so that no change falls between. */
export interface Watch {
  /** Resolves true when the job changed since the last call, false at `deadlineMs` (performance.now) or on `signal`. */
  readonly changed: (deadlineMs: number, signal: AbortSignal) => Promise<boolean>;
  readonly close: () => void;
}

interface Sleeper {
  readonly wake: () => void;
  readonly interest: 'ends' | 'every move';
}

export interface JobWatcher {
  /** @param interest whether moves that end nothing (a start) count; retries, cancels and ends always do */
  readonly watch: (jobId: string, interest?: 'ends' | 'every move') => Watch;
  readonly isConnected: () => boolean;
  /** Wakes everybody and stops listening. */
  readonly close: () => Promise<void>;
}

export function createJobWatcher(databaseUrl: string, log: Logger): JobWatcher {
  const watches = new Map<string, Set<Sleeper>>();
  const wakeAll = (): void => {
    for (const sleepers of watches.values()) for (const { wake } of sleepers) wake();
  };
  const listener: JobListener = listenToJobs(
    databaseUrl,
    {
      changed: (ids, channel) => {
        for (const id of ids) {
          for (const { wake, interest } of watches.get(id) ?? [])
            if (channel === jobsChannel || interest === 'every move') wake();
        }
      },
      reconnected: wakeAll,
      failed: (error) => log.warn({ err: error }, 'the listening connection failed'),
    },
    [jobsChannel, progressChannel],
  );
  return {
    watch: (jobId, interest = 'ends') => {
      let dirty = false;
      let sleeper: (() => void) | undefined;
      const wake = (): void => {
        dirty = true;
        sleeper?.();
      };
      const own = { wake, interest };
      const sleepers = watches.get(jobId) ?? new Set();
      watches.set(jobId, sleepers.add(own));
      metrics.waiters.inc();
      return {
        changed: async (deadlineMs, signal) => {
          if (!dirty) await sleep(deadlineMs - performance.now(), signal, (done) => (sleeper = done));
          sleeper = undefined;
          const wasDirty = dirty;
          dirty = false;
          return wasDirty;
        },
        close: () => {
          sleepers.delete(own);
          if (sleepers.size === 0) watches.delete(jobId);
          metrics.waiters.dec();
        },
      };
    },
    isConnected: listener.isConnected,
    close: async () => {
      wakeAll();
      await listener.close();
    },
  };
}

/** Resolves after `ms`, on `signal`, or when the function given to `onStart` is called. */
function sleep(ms: number, signal: AbortSignal, onStart: (done: () => void) => void): Promise<void> {
  if (ms <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    onStart(done);
  });
}
