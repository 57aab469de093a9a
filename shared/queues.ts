// What crosses Redis: the queue's name, the shape of a dispatch (ids, never a text), and the producer's end that
// the intake and the dispatcher share.

import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { v7 } from 'uuid';
import { z } from 'zod';
import type { Config } from './config.ts';
import { dispatchLimits } from './job.ts';

/** One queue for each kind of worker: items go through models, a profile is made of what is stored. */
export const queueNames = ['analysis', 'profile'] as const;
export type QueueName = (typeof queueNames)[number];

/** The kind that takes a person's stored analyses instead of items. */
export const profileKind = 'profile';

function queueOf(kind: string): QueueName {
  return kind === profileKind ? 'profile' : 'analysis';
}

/**
 * One hand-over of work: up to 64 jobs and 128 items of one tenant, class, kind and model version.
 * `items[i]` and `characters[i]` size job `jobIds[i]`, so that a worker can pool before it asks the ledger.
 */
export const dispatchSchema = z.object({
  tenantId: z.uuid(),
  kind: z.string(),
  modelVersion: z.string(),
  jobIds: z.array(z.uuid()).min(1),
  items: z.array(z.number().int().positive()),
  characters: z.array(z.number().int().positive()),
});

export type Dispatch = z.infer<typeof dispatchSchema>;

/** A dispatch under its id, which is new each time: BullMQ ignores an id that it has seen. */
export interface PlannedDispatch {
  readonly id: string;
  readonly dispatch: Dispatch;
}

/** What planning needs to know of a job. */
export interface DispatchableJob {
  readonly tenantId: string;
  readonly class: number;
  readonly kind: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly items: number;
  readonly characters: number;
}

/**
 * Items of one tenant and class that may be in Redis or in a worker's hands. A tenant alone has large pools. Tenants that
 * share have small ones, and as many items behind them as a worker sorts by length while it holds those of all.
 */
export function windowItemsMax(config: Config, workers: number, tenants: number): number {
  const large = config.POOL_ITEMS_MAX;
  const small = Math.min(large, config.SHARED_POOL_ITEMS_MAX);
  const share = Math.floor((large + small) / tenants);
  return (tenants > 1 ? Math.max(small, share) : large) * config.WINDOW_POOLS_PER_WORKER * workers;
}

/** Groups jobs, in their order, into as few dispatches as the limits allow. */
export function planDispatches(jobs: readonly DispatchableJob[]): PlannedDispatch[] {
  return [...groupBy(jobs, dispatchKey).values()].flatMap(cutGroup);
}

export interface DispatchQueue {
  /** True while Redis takes commands. */
  readonly isReady: () => boolean;
  /** @throws Error within about a second if Redis is away; some of the dispatches may have been added. */
  readonly add: (dispatches: readonly PlannedDispatch[]) => Promise<void>;
  /** Those of the dispatches that Redis does not hold in any state. */
  readonly missing: (dispatchIds: readonly string[]) => Promise<string[]>;
  readonly waitingCount: (name: QueueName) => Promise<number>;
  /** Redis' own words on itself, as `INFO` gives them. */
  readonly info: () => Promise<string>;
  readonly close: () => Promise<void>;
}

/** The producer's connection: it fails fast instead of queueing commands while Redis is away. */
export function createDispatchQueue(config: Config, onError: (error: Error) => void): DispatchQueue {
  const redis = new Redis(config.REDIS_URL, {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 2000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** attempt, 1000),
  });
  redis.on('error', onError);
  const queues = queueNames.map((name) => {
    const queue = new Queue(name, {
      connection: redis,
      prefix: config.QUEUE_PREFIX,
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    queue.on('error', onError);
    return { name, queue };
  });
  const isReady = () => redis.status === 'ready';
  const needRedis = (): void => {
    if (!isReady()) throw new Error('Redis is away');
  };
  return {
    isReady,
    add: async (dispatches) => {
      needRedis();
      for (const { name, queue } of queues) {
        const own = dispatches.filter(({ dispatch }) => queueOf(dispatch.kind) === name);
        const jobs = own.map(({ id, dispatch }) => ({
          name: 'dispatch',
          data: dispatch,
          opts: { jobId: id },
        }));
        if (jobs.length > 0) await queue.addBulk(jobs);
      }
    },
    missing: async (dispatchIds) => {
      needRedis();
      const pipeline = redis.pipeline();
      for (const id of dispatchIds) pipeline.exists(...queues.map(({ queue }) => queue.toKey(id)));
      const answers = (await pipeline.exec()) ?? [];
      return dispatchIds.filter((_, index) => answers[index]?.[0] === null && answers[index]?.[1] === 0);
    },
    waitingCount: async (wanted) => {
      needRedis();
      const own = queues.find(({ name }) => name === wanted);
      return own?.queue.getWaitingCount() ?? 0;
    },
    info: async () => {
      needRedis();
      return redis.info();
    },
    close: async () => {
      if (isReady()) await Promise.all(queues.map(({ queue }) => queue.close()));
      redis.disconnect();
    },
  };
}

function dispatchKey(job: DispatchableJob): string {
  return `${job.tenantId} ${job.class} ${job.kind} ${job.modelVersion}`;
}

function cutGroup(jobs: readonly DispatchableJob[]): PlannedDispatch[] {
  const planned: PlannedDispatch[] = [];
  let current: DispatchableJob[] = [];
  let items = 0;
  for (const job of jobs) {
    if (
      current.length > 0 &&
      (current.length >= dispatchLimits.jobsMax || items + job.items > dispatchLimits.itemsMax)
    ) {
      planned.push(toDispatch(current));
      current = [];
      items = 0;
    }
    current.push(job);
    items += job.items;
  }
  if (current.length > 0) planned.push(toDispatch(current));
  return planned;
}

function toDispatch(jobs: readonly DispatchableJob[]): PlannedDispatch {
  const { tenantId = '', kind = '', modelVersion = '' } = jobs[0] ?? {};
  const dispatch = {
    tenantId,
    kind,
    modelVersion,
    jobIds: jobs.map(({ id }) => id),
    items: jobs.map(({ items }) => items),
    characters: jobs.map(({ characters }) => characters),
  };
  return { id: v7(), dispatch };
}

function groupBy<T>(values: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const group = groups.get(key(value));
    if (group === undefined) groups.set(key(value), [value]);
    else group.push(value);
  }
  return groups;
}
