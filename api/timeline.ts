// Where a job's time went, in whole milliseconds that add up: every moment between `created_at` and `ended_at` belongs to
// one stage, and everything is cut at the times that the view shows.

import type { JobRow } from '../db/jobs.ts';

/** Milliseconds of each stage; `total` is their sum. */
export interface Timeline {
  /** Not in the hands of the attempt that made the result: waiting, backing off, and the attempts before it. */
  readonly queue: number;
  readonly batch_wait: number;
  readonly tokenize: number;
  readonly inference: number;
  readonly persist: number;
  readonly total: number;
}

/** The worker's stages as it measured them. */
export type WorkerStages = Pick<Timeline, 'batch_wait' | 'tokenize' | 'inference'>;

/** An attempt's milliseconds: waited since the attempt before, or since the job was made, and in the worker's hands. */
export interface AttemptTiming {
  readonly queue: number;
  readonly run: number;
  readonly total: number;
}

interface AttemptTimes {
  readonly started_at: string;
  readonly ended_at?: string | undefined;
}

/**
 * The timeline of an ended job; null before. All the time of a job without a result is its queue's.
 * The worker's stages are cut to the time that it had the job, should its clock and the ledger's disagree.
 */
export function toTimeline(
  job: Pick<JobRow, 'createdAt' | 'endedAt'>,
  attempts: readonly AttemptTimes[],
  stages: WorkerStages | null,
): Timeline | null {
  if (job.endedAt === null) return null;
  const total = Math.max(0, job.endedAt.getTime() - job.createdAt.getTime());
  const last = attempts.at(-1);
  if (stages === null || last === undefined)
    return { queue: total, batch_wait: 0, tokenize: 0, inference: 0, persist: 0, total };
  const queue = Math.min(total, Math.max(0, Date.parse(last.started_at) - job.createdAt.getTime()));
  let left = total - queue;
  const cut = (milliseconds: number): number => {
    const own = Math.min(left, Math.round(milliseconds));
    left -= own;
    return own;
  };
  const inference = cut(stages.inference);
  const tokenize = cut(stages.tokenize);
  const batchWait = cut(stages.batch_wait);
  return { queue, batch_wait: batchWait, tokenize, inference, persist: left, total };
}

/**
 * Each attempt with its milliseconds once it has ended. Their totals, and what was waited after the last, add up to the
 * job's total.
 */
export function timeAttempts<Attempt extends AttemptTimes>(
  createdAt: Date,
  attempts: readonly Attempt[],
): (Attempt & { timing_ms?: AttemptTiming })[] {
  let before = createdAt.getTime();
  return attempts.map((attempt) => {
    if (attempt.ended_at === undefined) return attempt;
    const started = Math.max(before, Date.parse(attempt.started_at));
    const ended = Math.max(started, Date.parse(attempt.ended_at));
    const timing = { queue: started - before, run: ended - started, total: ended - before };
    before = ended;
    return { ...attempt, timing_ms: timing };
  });
}
