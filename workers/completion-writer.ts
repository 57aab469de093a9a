// Writes finished jobs to the ledger, many in one statement: what finished in the last few milliseconds goes
// together, and while one group is being written the next one gathers. What is urgent does not wait for the rest.

import { setTimeout as delay } from 'node:timers/promises';
import { isUnavailable, type Pool } from '../db/client.ts';
import { type Completion, completeJobs, retryJobs } from '../db/attempts.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';

export interface CompletionWriter {
  /** Resolves when the job's end is committed, or found to be another attempt's. */
  readonly write: (completion: Completion, urgency: number) => Promise<void>;
  /** Writes what has gathered of this urgency without waiting for more. */
  readonly flush: (urgency: number) => void;
}

interface Pending {
  readonly completion: Completion;
  readonly settle: () => void;
}

/** So many jobs do not wait for more: their clients are answered one after another, and the last of many would be late. */
const enoughJobs = 64;

/** What gathers until it is written; each urgency has its own. */
interface Line {
  gathered: Pending[];
  writing: boolean;
  timer?: NodeJS.Timeout | undefined;
}

/** @param options.flushMs how long a finished job waits for company, in milliseconds. */
export function createCompletionWriter(options: {
  readonly pool: Pool;
  readonly log: Logger;
  readonly flushMs: number;
  readonly groupMax: number;
  readonly attemptsMax: number;
}): CompletionWriter {
  const { pool, log } = options;
  const lines = new Map<number, Line>();
  const lineOf = (urgency: number): Line => {
    const line = lines.get(urgency) ?? { gathered: [], writing: false };
    lines.set(urgency, line);
    return line;
  };

  const flush = (line: Line): void => {
    clearTimeout(line.timer);
    line.timer = undefined;
    if (line.writing || line.gathered.length === 0) return;
    const group = line.gathered.splice(0, options.groupMax);
    line.writing = true;
    void writeGroup(group).finally(() => {
      line.writing = false;
      if (line.gathered.length > 0) flush(line);
    });
  };

  /** A group that the ledger refuses is written one by one, so that one bad result does not hold the others. */
  const writeGroup = async (group: readonly Pending[]): Promise<void> => {
    try {
      await untilAvailable(() => complete(group.map(({ completion }) => completion)), log);
    } catch (error) {
      log.error({ err: error, jobs: group.length }, 'completing a group failed');
      for (const { completion } of group) await writeAlone(completion);
    }
    for (const { settle } of group) settle();
  };

  const complete = async (completions: readonly Completion[]): Promise<void> => {
    const started = performance.now();
    const ended = await completeJobs(pool, completions);
    const kinds = new Map(completions.map((completion) => [completion.id, completion.kind]));
    for (const { id, status, seconds } of ended) {
      const kind = kinds.get(id) ?? '';
      metrics.jobsFinished.inc({ kind, outcome: status });
      metrics.jobSeconds.observe({ kind }, seconds);
    }
    const kind = completions[0]?.kind ?? '';
    metrics.persistSeconds.observe({ kind }, (performance.now() - started) / 1000);
    const fenced = completions.length - ended.length;
    if (fenced > 0) log.warn({ jobs: fenced }, 'results of lost attempts were dropped');
  };

  const writeAlone = async (completion: Completion): Promise<void> => {
    const refused = { code: 'result_not_storable', detail: 'The result could not be stored' };
    try {
      await untilAvailable(() => complete([completion]), log);
    } catch (error) {
      log.error({ err: error, job: completion.id }, 'completing a job failed');
      await untilAvailable(
        () =>
          retryJobs(pool, [completion], { delayMs: 1000, attemptsMax: options.attemptsMax, error: refused }),
        log,
      ).catch((lost: unknown) => log.error({ err: lost, job: completion.id }, 'giving a job back failed'));
    }
  };

  return {
    write: (completion, urgency) =>
      new Promise((resolve) => {
        const line = lineOf(urgency);
        line.gathered.push({ completion, settle: resolve });
        if (line.gathered.length >= Math.min(enoughJobs, options.groupMax)) flush(line);
        else line.timer ??= setTimeout(() => flush(line), options.flushMs);
      }),
    flush: (urgency) => flush(lineOf(urgency)),
  };
}

/** Repeats `work` while the ledger is away: results in hand are worth waiting with, and the lease is their bound. */
export async function untilAvailable<T>(work: () => Promise<T>, log: Logger): Promise<T> {
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 2000)) {
    try {
      return await work();
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      log.warn({ err: error }, 'the ledger is away');
      await delay(pauseMs);
    }
  }
}
