// When a queued job will have ended: measured beside the requests, computed from memory. The items ahead of a job, by
// its place in its line, and what comes meanwhile and goes before it, over what the workers say they do in a second,
// times how far such forecasts were off.

import type { Pool } from '../db/client.ts';
import type { JobRow } from '../db/jobs.ts';
import { listProcesses } from '../db/processes.ts';
import { listEnds, readLines, readWindow, type WindowLine } from '../db/queue-lines.ts';
import type { NewJob } from '../db/submissions.ts';
import type { Config } from '../shared/config.ts';
import { priorities } from '../shared/job.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { nothingToDo, startTicker, type TickEnd } from '../shared/process.ts';
import { createArrivalRates, type Rates } from './arrival-rates.ts';
import { createErrorModel } from './error-model.ts';
import { createLineIndex, type LineIndex } from './line-index.ts';
import { workAhead } from './work-ahead.ts';

/** What is told of a queued job; no times while no worker is there. */
export interface QueuePlace {
  /** About how many jobs of its tenant and class go before it, and itself. */
  readonly position: number;
  readonly etaP50: Date | undefined;
  readonly etaP90: Date | undefined;
}

export interface Forecast {
  /** The place of a job that is queued; undefined while the figures are old. */
  readonly place: (job: PlacedJob) => QueuePlace | undefined;
  /**
   * Milliseconds until a job that came now would have ended in nine of ten cases; undefined if nothing can be said, and
   * for a job with nothing ahead of it.
   */
  readonly waitMs: (job: Pick<NewJob, 'tenantId' | 'class' | 'texts'>) => number | undefined;
  /** Tells that a job was recorded, so that those behind it know before the next measurement. */
  readonly recorded: (job: NewJob) => void;
  /**
   * Milliseconds until the first of the tenant's line has waited less than `ageMs`, in nine of ten cases; undefined if
   * nothing can be said.
   */
  readonly untilYoungMs: (tenantId: string, jobClass: number, ageMs: number) => number | undefined;
  readonly close: () => Promise<void>;
}

export type PlacedJob = Pick<
  JobRow,
  'tenantId' | 'id' | 'class' | 'itemCount' | 'dispatchId' | 'dispatchedAt'
>;

const measureMs = 250;
/** While nothing is in flight; the next job that is recorded here ends it. */
const idleMs = 1000;
/** As short, since under a load that grows an error is soon out of date. */
const learnMs = 250;
const paceMs = 1000;

/** Older figures say nothing. */
const figuresAgeMsMax = 5000;

/** What a job takes beside its share of the models' time: its commit, its claim, its way to the ledger. */
const overheadMs = 100;

/** Until a worker has run its first pool it counts as one that does 500 items a second. */
const itemMsDefault = 2;

interface Line {
  readonly tenantId: string;
  readonly class: number;
  readonly index: LineIndex;
  window: WindowLine | undefined;
  /** What this process recorded since the last measurement: cumulative, oldest first. */
  recent: Recent[];
}

interface Recent {
  readonly id: string;
  readonly atMs: number;
  readonly items: number;
  /** Of those before it. */
  readonly ahead: { readonly jobs: number; readonly items: number };
}

export function createForecast(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
}): Forecast {
  const { config, log, database } = options;
  const floor = config.PRIORITY_FLOOR_PERCENT / 100;
  const errors = createErrorModel();
  const arrivals = createArrivalRates(priorities.length);
  const lines = new Map<string, Line>();
  let load = new Map<string, number[]>();
  let rates: Rates = new Map();
  let measuredItems = 0;
  let measuredAtMs = -Infinity;
  let itemsPerMs = 0;
  let isIdle = false;

  const lineOf = (tenantId: string, jobClass: number): Line => {
    const name = `${tenantId} ${jobClass}`;
    const line = lines.get(name) ?? {
      tenantId,
      class: jobClass,
      index: createLineIndex(),
      window: undefined,
      recent: [],
    };
    lines.set(name, line);
    return line;
  };
  const addLoad = (tenantId: string, jobClass: number, items: number): void => {
    const own = load.get(tenantId) ?? priorities.map(() => 0);
    own[jobClass] = (own[jobClass] ?? 0) + items;
    load.set(tenantId, own);
  };

  const measure = async (): Promise<TickEnd> => {
    const startedMs = Date.now();
    const known = [...lines.values()].flatMap(({ tenantId, class: jobClass, index }) => {
      const after = index.lastId();
      return after === undefined ? [] : [{ tenantId, class: jobClass, after }];
    });
    const [waiting, window] = await Promise.all([readLines(database, known), readWindow(database)]);
    const before = new Map(lines);
    lines.clear();
    for (const { tenantId, class: jobClass, headId, parts } of waiting) {
      const name = `${tenantId} ${jobClass}`;
      lines.set(name, before.get(name) ?? lineOf(tenantId, jobClass));
      const { index } = lineOf(tenantId, jobClass);
      index.append(parts);
      index.advance(headId);
    }
    for (const line of lines.values()) line.window = undefined;
    for (const use of window) lineOf(use.tenantId, use.class).window = use;
    load = new Map();
    rates = arrivals.at(startedMs);
    for (const line of lines.values()) addLoad(line.tenantId, line.class, itemsOf(line));
    measuredItems = [...load.values()].flat().reduce((sum, items) => sum + items, 0);
    for (const [name, { tenantId, class: jobClass, recent }] of before) {
      const later = recent.filter(({ atMs }) => atMs >= startedMs);
      if (later.length === 0) {
        const kept = lines.get(name);
        if (kept !== undefined) kept.recent = [];
        continue;
      }
      const line = lineOf(tenantId, jobClass);
      line.recent = [];
      for (const one of later) addRecent(line, one);
    }
    measuredAtMs = startedMs;
    isIdle = lines.size === 0;
    return isIdle ? nothingToDo : undefined;
  };

  const learnPace = async (): Promise<void> => {
    const alive = await listProcesses(database);
    const workers = alive.filter(({ type }) => type === 'analysis');
    itemsPerMs = workers.reduce((sum, { info }) => sum + 1 / itemMs(info['item_ms']), 0);
  };

  const learn = async (): Promise<void> => {
    const watched = errors.watched();
    const ends = watched.length === 0 ? [] : await listEnds(database, watched);
    for (const { id, endedAt, finished } of ends) errors.ended(id, endedAt.getTime(), finished);
    errors.settle(Date.now());
  };

  const addRecent = (line: Line, one: Pick<Recent, 'id' | 'atMs' | 'items'>): void => {
    line.recent.push({ ...one, ahead: recentOf(line) });
    addLoad(line.tenantId, line.class, one.items);
  };

  /** Items that are done from now on until the `items`-th of the line is. */
  const workTo = (line: Line, items: number, ownItems: number): number => {
    const place = { tenantId: line.tenantId, class: line.class, items };
    const work = workAhead(load, place, floor, itemsPerMs === 0 ? undefined : { rates, itemsPerMs });
    const done = Math.min(measuredItems, (Date.now() - measuredAtMs) * itemsPerMs);
    return Math.max(ownItems, work - done);
  };
  /** Predicted milliseconds for so many items. */
  const predictMs = (work: number): number | undefined =>
    itemsPerMs === 0 || Date.now() - measuredAtMs > figuresAgeMsMax
      ? undefined
      : overheadMs + work / itemsPerMs;

  const placeIn = (line: Line, job: PlacedJob): { jobs: number; items: number } => {
    const { window, index, recent } = line;
    const queued = { jobs: window?.queuedJobs ?? 0, items: window?.queuedItems ?? 0 };
    const claimed = window?.claimedItems ?? 0;
    // What was put back has been handed over before, and waits in the ledger again.
    if (job.dispatchId !== null && job.dispatchedAt !== null) {
      const part = partOf(window, job.dispatchedAt);
      return { jobs: Math.round(part * queued.jobs), items: claimed + Math.round(part * queued.items) };
    }
    const ahead = index.ahead(job.id);
    const last = recent.findLast(({ id }) => id <= job.id);
    const own = last?.id === job.id ? last.ahead : countWith(last);
    return {
      jobs: queued.jobs + ahead.jobs + own.jobs,
      items: claimed + queued.items + ahead.items + own.items,
    };
  };

  const measuring = startTicker('forecast', measureMs, log, measure, idleMs);
  const tickers = [
    measuring,
    startTicker('forecast_errors', learnMs, log, learn),
    startTicker('pace', paceMs, log, learnPace),
  ];

  return {
    place: (job) => {
      const started = performance.now();
      const nowMs = Date.now();
      if (nowMs - measuredAtMs > figuresAgeMsMax) return undefined;
      const line = lineOf(job.tenantId, job.class);
      const ahead = placeIn(line, job);
      const predictedMs = predictMs(workTo(line, ahead.items + job.itemCount, job.itemCount));
      const place = {
        position: ahead.jobs + 1,
        ...etas(nowMs, predictedMs, (ms) => errors.quantiles(job.class, ms)),
      };
      metrics.forecastSeconds.observe((performance.now() - started) / 1000);
      return place;
    },
    waitMs: ({ tenantId, class: jobClass, texts }) => {
      const line = lineOf(tenantId, jobClass);
      const items = Math.max(1, texts.length);
      const work = workTo(line, itemsOf(line) + recentOf(line).items + items, items);
      // Only running it can tell how fast the workers are now: what was measured may be of a slow hour long ago.
      const predictedMs = work <= items ? undefined : predictMs(work);
      return predictedMs === undefined
        ? undefined
        : predictedMs * errors.quantiles(jobClass, predictedMs).p90;
    },
    recorded: (job) => {
      // A profile has no texts, and a worker of its own.
      const items = job.texts.length;
      if (job.status !== 'queued' || items === 0) return;
      const line = lineOf(job.tenantId, job.class);
      const nowMs = Date.now();
      addRecent(line, { id: job.id, atMs: nowMs, items });
      if (isIdle) measuring.wake();
      isIdle = false;
      arrivals.count(job.tenantId, job.class, items, nowMs);
      const predictedMs = predictMs(workTo(line, itemsOf(line) + recentOf(line).items, items));
      if (predictedMs !== undefined)
        errors.watch({ tenantId: job.tenantId, id: job.id, class: job.class, atMs: nowMs, predictedMs });
    },
    untilYoungMs: (tenantId, jobClass, ageMs) => {
      const line = lineOf(tenantId, jobClass);
      const inWindow = (line.window?.claimedItems ?? 0) + (line.window?.queuedItems ?? 0);
      const nowMs = Date.now();
      const reachMs = (items: number): number => predictMs(workTo(line, inWindow + items, 1)) ?? Infinity;
      const young = line.index.find((queuedMs, ahead) => nowMs + reachMs(ahead.items) - queuedMs < ageMs);
      const untilMs = reachMs((young ?? line.index.total()).items);
      return Number.isFinite(untilMs) ? untilMs * errors.quantiles(jobClass, untilMs).p90 : undefined;
    },
    close: async () => {
      await Promise.all(tickers.map((ticker) => ticker.close()));
    },
  };
}

/** Measured items of a line, in the ledger and in the window. */
function itemsOf({ window, index }: Line): number {
  return index.total().items + (window?.claimedItems ?? 0) + (window?.queuedItems ?? 0);
}

/** What was recorded of a line since it was measured. */
function recentOf({ recent }: Line): { jobs: number; items: number } {
  return countWith(recent.at(-1));
}

/** Jobs and items up to this one and with it. */
function countWith(last: Recent | undefined): { jobs: number; items: number } {
  return last === undefined
    ? { jobs: 0, items: 0 }
    : { jobs: last.ahead.jobs + 1, items: last.ahead.items + last.items };
}

/** How much of what waits in the window was handed over before, by its time. */
function partOf(window: WindowLine | undefined, dispatchedAt: Date): number {
  const first = window?.firstDispatchedAt?.getTime();
  const last = window?.lastDispatchedAt?.getTime();
  if (first === undefined || last === undefined || dispatchedAt.getTime() >= last) return 1;
  return Math.max(0, (dispatchedAt.getTime() - first) / Math.max(1, last - first));
}

function etas(
  nowMs: number,
  predictedMs: number | undefined,
  quantilesOf: (predictedMs: number) => { p50: number; p90: number },
): Pick<QueuePlace, 'etaP50' | 'etaP90'> {
  if (predictedMs === undefined) return { etaP50: undefined, etaP90: undefined };
  const { p50, p90 } = quantilesOf(predictedMs);
  return { etaP50: new Date(nowMs + predictedMs * p50), etaP90: new Date(nowMs + predictedMs * p90) };
}

/** A worker's milliseconds for an item, by its heartbeat. */
function itemMs(reported: unknown): number {
  return typeof reported === 'number' && reported > 0 ? reported : itemMsDefault;
}
