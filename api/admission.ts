// Whether the queue is too long to take more: judged by how long the first in line has waited, so that the answer is
// the same for one item and for a hundred, and from figures that are measured beside the requests.

import type { Pool } from '../db/client.ts';
import { type Line, measureLines } from '../db/queue-age.ts';
import type { Config } from '../shared/config.ts';
import { priorities } from '../shared/job.ts';
import type { Logger } from '../shared/log.ts';
import { ProblemError } from '../shared/problem.ts';
import { startTicker } from '../shared/process.ts';
import type { Forecast } from './forecast.ts';

export interface Admission {
  /**
   * Lets a job of this tenant and class pass, unless what would be ahead of it has waited too long already.
   * @throws ProblemError `overloaded` (503) with the time at which the line will have been worked off
   */
  readonly check: (tenantId: string, jobClass: number) => void;
  readonly close: () => Promise<void>;
}

/** A quarter of a second costs one statement of some index look-ups, and is the age of the figures. */
const measureMs = 250;

/** Older figures say nothing: the ledger is away, and will say so itself. */
const figuresAgeMsMax = 5000;

export function createAdmission(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
  readonly forecast: Pick<Forecast, 'untilYoungMs'>;
}): Admission {
  const { config, log, database, forecast } = options;
  let figures = new Map<string, Figure>();
  let measuredAtMs = -Infinity;

  const ticker = startTicker('admission', measureMs, log, async () => {
    const lines = await measureLines(database);
    const nowMs = Date.now();
    figures = new Map(
      lines.map((line) => {
        const name = `${line.class} ${line.tenantId ?? 'window'}`;
        return [name, addSample(figures.get(name), line, nowMs)];
      }),
    );
    measuredAtMs = nowMs;
  });

  return {
    check: (tenantId, jobClass) => {
      const nowMs = Date.now();
      if (nowMs - measuredAtMs > figuresAgeMsMax) return;
      const ahead = [figures.get(`${jobClass} ${tenantId}`), figures.get(`${jobClass} window`)];
      const late = ahead.flatMap((figure) =>
        figure !== undefined && nowMs - figure.firstMs > config.QUEUE_AGE_MS_MAX ? [figure] : [],
      );
      if (late.length === 0) return;
      const foreseenMs = forecast.untilYoungMs(tenantId, jobClass, config.QUEUE_AGE_MS_MAX);
      const seconds = Math.max(
        ...late.map((figure) => secondsToAdmission(figure, nowMs, config.QUEUE_AGE_MS_MAX, foreseenMs)),
      );
      const detail = `Jobs of priority ${priorities[jobClass]} wait longer than ${config.QUEUE_AGE_MS_MAX / 1000} s`;
      throw new ProblemError('overloaded', detail, { headers: { 'Retry-After': String(seconds) } });
    },
    close: ticker.close,
  };
}

/** A line as it was last seen, and when its first job had been queued at moments before. Milliseconds of the epoch. */
export interface Figure {
  readonly firstMs: number;
  readonly lastMs: number;
  readonly samples: readonly { readonly atMs: number; readonly firstMs: number }[];
}

/** Progress is judged over this long. */
const progressMs = 10_000;

export function addSample(
  before: Figure | undefined,
  line: Pick<Line, 'firstQueuedAt' | 'lastQueuedAt'>,
  atMs: number,
): Figure {
  const firstMs = line.firstQueuedAt.getTime();
  const kept = (before?.samples ?? []).filter((sample) => sample.atMs >= atMs - progressMs);
  return { firstMs, lastMs: line.lastQueuedAt.getTime(), samples: [...kept, { atMs, firstMs }] };
}

/** What is answered for a line that has not moved while no worker is there to forecast by. */
const unknownSeconds = 30;
const secondsMax = 3600;

/**
 * When the line will be short enough, by its pace: how many milliseconds of arrivals are worked off in one. At that pace
 * its last job is taken after `(last - first) / pace`; while it gains on the clock (pace over 1), its age falls to
 * the limit before.
 * @param foreseenMs what the forecast says, for a line that has not moved yet
 */
export function secondsToAdmission(
  { firstMs, lastMs, samples }: Figure,
  nowMs: number,
  ageMsMax: number,
  foreseenMs?: number,
): number {
  const [oldest] = samples;
  const newest = samples.at(-1);
  if (oldest === undefined || newest === undefined || newest.firstMs <= oldest.firstMs)
    return foreseenMs === undefined ? unknownSeconds : toSeconds(foreseenMs);
  const pace = (newest.firstMs - oldest.firstMs) / (newest.atMs - oldest.atMs);
  const emptyMs = (lastMs - firstMs) / pace;
  const shortMs = pace > 1 ? (nowMs - firstMs - ageMsMax) / (pace - 1) : Infinity;
  return toSeconds(Math.min(emptyMs, shortMs));
}

/** Whole seconds, bounded; the figures are up to one measurement old. */
function toSeconds(milliseconds: number): number {
  return Math.min(secondsMax, Math.max(1, Math.ceil((milliseconds + 2 * measureMs) / 1000)));
}
