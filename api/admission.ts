// Whether the queue is too long to take more: judged by how long the first in line has waited, so that the answer is
// the same for one item and for a hundred, and from figures that are measured beside the requests.

import type { Pool } from '../db/client.ts';
import { measureLines } from '../db/queue-age.ts';
import type { Config } from '../shared/config.ts';
import { priorities } from '../shared/job.ts';
import type { Logger } from '../shared/log.ts';
import { ProblemError } from '../shared/problem.ts';
import { nothingToDo, startTicker, type TickEnd } from '../shared/process.ts';
import type { Forecast } from './forecast.ts';

export interface Admission {
  /**
   * Lets a job of this tenant and class pass, unless what would be ahead of it has waited too long already.
   * @throws ProblemError `overloaded` (503) with the time at which its first will be young enough again
   */
  readonly check: (tenantId: string, jobClass: number) => void;
  readonly close: () => Promise<void>;
}

/** A quarter of a second costs one statement of some index look-ups, and is the age of the figures. */
const measureMs = 250;

/** While nothing waits: a line that was not there a moment ago is not old. */
const idleMs = 500;

/** Older figures say nothing: the ledger is away, and will say so itself. */
const figuresAgeMsMax = 5000;

export function createAdmission(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
  readonly forecast: Pick<Forecast, 'untilYoungMs'>;
}): Admission {
  const { config, log, database, forecast } = options;
  /** When the first in each line was queued. */
  let firsts = new Map<string, number>();
  let measuredAtMs = -Infinity;

  const measure = async (): Promise<TickEnd> => {
    const lines = await measureLines(database);
    firsts = new Map(
      lines.map((line) => [`${line.class} ${line.tenantId ?? 'window'}`, line.firstQueuedAt.getTime()]),
    );
    measuredAtMs = Date.now();
    return lines.length === 0 ? nothingToDo : undefined;
  };
  const ticker = startTicker('admission', measureMs, log, measure, idleMs);

  return {
    check: (tenantId, jobClass) => {
      const nowMs = Date.now();
      if (nowMs - measuredAtMs > figuresAgeMsMax) return;
      const ages = [`${jobClass} ${tenantId}`, `${jobClass} window`].map(
        (line) => nowMs - (firsts.get(line) ?? nowMs),
      );
      if (Math.max(...ages) <= config.QUEUE_AGE_MS_MAX) return;
      const seconds = toSeconds(forecast.untilYoungMs(tenantId, jobClass, config.QUEUE_AGE_MS_MAX));
      const detail = `Jobs of priority ${priorities[jobClass]} wait longer than ${config.QUEUE_AGE_MS_MAX / 1000} s`;
      throw new ProblemError('overloaded', detail, { headers: { 'Retry-After': String(seconds) } });
    },
    close: ticker.close,
  };
}

/** What is answered while no worker is there to forecast by. */
const unknownSeconds = 30;
const secondsMax = 3600;

/** Whole seconds, bounded; the figures are up to one measurement old. */
function toSeconds(foreseenMs: number | undefined): number {
  if (foreseenMs === undefined) return unknownSeconds;
  return Math.min(secondsMax, Math.max(1, Math.ceil((foreseenMs + measureMs) / 1000)));
}
