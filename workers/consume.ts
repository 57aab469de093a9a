// The one way a BullMQ worker is built here: its locks, its stall check, its errors, and a close that has an end.

import { Worker } from 'bullmq';
import type { Config } from '../shared/config.ts';
import type { Logger } from '../shared/log.ts';
import type { QueueName } from '../shared/queues.ts';

export interface Consumer {
  /** How many jobs may be in hand at once; may be lowered below what is in hand, which then only drains. */
  readonly setConcurrency: (jobs: number) => void;
  readonly isConnected: () => boolean;
  /** Stops fetching and resolves when the jobs in hand are done; they are given up after `deadlineMs`. */
  readonly close: (deadlineMs: number) => Promise<void>;
}

/**
 * Consumes a queue. A job that throws is removed like one that ends well: what becomes of the work is the ledger's
 * matter, and the reconciler finds what a lost job leaves behind.
 * @param options.read checks a job's data; what it throws fails the job.
 */
export function consume<Data>(options: {
  readonly queue: QueueName;
  readonly config: Config;
  readonly log: Logger;
  readonly read: (data: unknown) => Data;
  readonly process: (data: Data, id: string) => Promise<void>;
}): Consumer {
  const { config, log } = options;
  const worker = new Worker(options.queue, (job) => options.process(options.read(job.data), job.id ?? ''), {
    connection: { url: config.REDIS_URL, maxRetriesPerRequest: null },
    prefix: config.QUEUE_PREFIX,
    concurrency: 1,
    lockDuration: config.LOCK_MS,
    stalledInterval: config.STALLED_CHECK_MS,
    // A stalled job is taken up again as often as it takes: poison is found item by item, by the inference.
    maxStalledCount: 1000,
    runRetryDelay: 1000,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  worker.on('error', (error) => log.warn({ err: error }, 'queue connection'));
  worker.on('failed', (job, error) => log.error({ err: error, dispatch: job?.id }, 'dispatch failed'));
  worker.on('stalled', (id) => log.warn({ dispatch: id }, 'dispatch stalled'));
  worker.on('lockRenewalFailed', (ids) => log.warn({ dispatches: ids }, 'lock renewal failed'));
  return {
    setConcurrency: (jobs) => {
      worker.concurrency = Math.max(1, jobs);
    },
    isConnected: () => worker.isRunning(),
    close: async (deadlineMs) => {
      const late = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
      await Promise.race([worker.close(), late]);
    },
  };
}
