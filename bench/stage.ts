// One stage of load on a running system: what was asked for, what the clients saw, what each process spent, and
// whether everything that was accepted came to its end.

import { setTimeout as delay } from 'node:timers/promises';
import { type CpuTimes, readCpuTimes } from './cpu-time.ts';
import type { HttpClient } from './http-client.ts';
import { showLive } from './live-view.ts';
import { readBusy } from './machine.ts';
import { describeBatches, describeCache, largestSample, readMetrics, sumSamples } from './metrics-page.ts';
import { createLoopState, runOpenLoop } from './open-loop.ts';
import type { Arrival } from './personas.ts';
import { round } from './report.ts';
import { type StageSummary, summarizeStage } from './stage-summary.ts';
import type { System } from './system.ts';

export interface Stage {
  readonly name: string;
  readonly users: number;
  readonly arrivals: readonly Arrival[];
  readonly seconds: number;
  /** The first seconds count only as warming up. */
  readonly skipSeconds: number;
}

export interface StageResult extends StageSummary {
  readonly name: string;
  readonly users: number;
  readonly offeredPerSecond: number;
  /** Cores that each process kept busy. */
  readonly cores: CpuTimes;
  /** Cores that were busy on the whole machine, of these by processes not ours, and what the host took away. */
  readonly machine: { readonly busy: number; readonly others: number; readonly stolen: number };
  readonly batches: ReturnType<typeof describeBatches>;
  readonly cache: ReturnType<typeof describeCache>;
  /** Longest time in which a process's event loop ran nothing else, in milliseconds, by process. */
  readonly loopGapMs: Readonly<Record<string, number>>;
  /** From the last due request until nothing that was accepted is left. */
  readonly drainSeconds: number;
  /** Jobs accepted so far that have not come to an end. */
  readonly unfinished: number;
}

/** A short stage gives up a third of itself to warming up. */
export function skipOf(seconds: number, secondsMax: number): number {
  return Math.min(secondsMax, seconds / 3);
}

const drainMsMax = 90_000;
const drainLookMs = 100;

export async function runStage(system: System, client: HttpClient, stage: Stage): Promise<StageResult> {
  const { name, arrivals, seconds, skipSeconds } = stage;
  const state = createLoopState();
  const hide = showLive(name, state, arrivals.length);
  // Reading the pages also begins the event loops' measurement anew.
  const pagesBefore = await readPages(system);
  const marks: {
    readonly atMs: number;
    readonly cpu: CpuTimes;
    readonly busy: ReturnType<typeof readBusy>;
  }[] = [];
  const mark = () =>
    marks.push({ atMs: performance.now(), cpu: readCpuTimes(system.pids), busy: readBusy() });
  const timers = [skipSeconds, seconds].map((second) => setTimeout(mark, second * 1000));
  const running = runOpenLoop(client, arrivals, state);
  await delay(seconds * 1000);
  const lastDueMs = performance.now();
  await running;
  for (const timer of timers) clearTimeout(timer);
  hide();
  const pages = await readPages(system);
  const unfinished = await drain(system);
  const drainSeconds = (performance.now() - lastDueMs) / 1000;
  const [first, last] = marks;
  if (first === undefined || last === undefined) throw new Error('the stage was too short');
  const wallMs = last.atMs - first.atMs;
  const perWall = (from: number, to: number) => round(((to - from) * 1000) / wallMs, 3);
  const cores = Object.entries(last.cpu).map(
    ([process, spent]) => [process, perWall(first.cpu[process] ?? 0, spent)] as const,
  );
  const busy = perWall(first.busy.busySeconds, last.busy.busySeconds);
  const ours = cores.reduce((sum, [, spent]) => sum + spent, 0);
  const loopGaps = Object.entries(pages).map(
    ([process, page]) =>
      [process, round(largestSample(page, 'nodejs_eventloop_lag_max_seconds ') * 1000, 1)] as const,
  );
  return {
    name,
    users: stage.users,
    offeredPerSecond: round(arrivals.length / seconds, 1),
    ...summarizeStage(state.samples, skipSeconds * 1000),
    cores: Object.fromEntries(cores),
    machine: {
      busy,
      stolen: perWall(first.busy.stolenSeconds, last.busy.stolenSeconds),
      others: round(busy - ours, 3),
    },
    batches: describeBatches(pagesBefore['analysis'] ?? '', pages['analysis'] ?? ''),
    cache: describeCache(pagesBefore['analysis'] ?? '', pages['analysis'] ?? ''),
    loopGapMs: Object.fromEntries(loopGaps),
    drainSeconds: round(drainSeconds, 2),
    unfinished,
  };
}

async function readPages(system: System): Promise<Readonly<Record<string, string>>> {
  const names = Object.entries(system.metricsUrls);
  return Object.fromEntries(
    await Promise.all(names.map(async ([name, urls]) => [name, await readMetrics(urls)] as const)),
  );
}

/**
 * Waits until all that was ever accepted has ended; call it when nothing more is submitted.
 * @returns the jobs that have not, 0 if all is well
 */
export async function drain({ metricsUrls }: System): Promise<number> {
  const { api = [], analysis = [], profile = [] } = metricsUrls;
  // By the counters of the processes, which have all been there since the beginning.
  const submitted = sumSamples(await readMetrics(api), 'soma_jobs_submitted_total{');
  const deadlineMs = performance.now() + drainMsMax;
  for (;;) {
    const page = await readMetrics([...analysis, ...profile]);
    const left = submitted - sumSamples(page, 'soma_jobs_finished_total{');
    if (left <= 0 || performance.now() > deadlineMs) return left;
    await delay(drainLookMs);
  }
}

/** The line of a table about a stage, under `stageHead`. */
export function stageRow(stage: StageResult): readonly (string | number)[] {
  const { name, offeredPerSecond, resultMs, acceptMs, readMs, errors, drainSeconds, cores, machine } = stage;
  return [
    name,
    offeredPerSecond,
    resultMs.p50,
    resultMs.p95,
    resultMs.p99,
    acceptMs.p95,
    readMs.p95,
    errors,
    drainSeconds,
    machine.busy,
    machine.others,
    cores['client'] ?? 0,
  ];
}

export const stageHead = [
  'stage',
  'requests/s',
  'result p50 ms',
  'p95',
  'p99',
  'accept p95',
  'read p95',
  'errors',
  'drain s',
  'busy cores',
  'others',
  'generator cores',
] as const;
