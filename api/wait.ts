// Clients that wait for a job sleep here until the ledger says that it changed. Nothing polls.

import { type JobListener, listenToJobs } from '../db/listen.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';

/** A client's interest in a job, from before it looks at the job's state, so that no change falls between. */
export interface Watch {
  /** Resolves true when the job changed since the last call, false at `deadlineMs` (performance.now) or on `signal`. */
  readonly changed: (deadlineMs: number, signal: AbortSignal) => Promise<boolean>;
  readonly close: () => void;
}

export interface JobWatcher {
  readonly watch: (jobId: string) => Watch;
  readonly isConnected: () => boolean;
  /** Wakes everybody and stops listening. */
  readonly close: () => Promise<void>;
}

export function createJobWatcher(databaseUrl: string, log: Logger): JobWatcher {
  const watches = new Map<string, Set<() => void>>();
  const wakeAll = (): void => {
    for (const wakes of watches.values()) for (const wake of wakes) wake();
  };
  const listener: JobListener = listenToJobs(databaseUrl, {
    changed: (ids) => {
      for (const id of ids) for (const wake of watches.get(id) ?? []) wake();
    },
    reconnected: wakeAll,
    failed: (error) => log.warn({ err: error }, 'the listening connection failed'),
  });
  return {
    watch: (jobId) => {
      let dirty = false;
      let sleeper: (() => void) | undefined;
      const wake = (): void => {
        dirty = true;
        sleeper?.();
      };
      const wakes = watches.get(jobId) ?? new Set();
      watches.set(jobId, wakes.add(wake));
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
          wakes.delete(wake);
          if (wakes.size === 0) watches.delete(jobId);
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
