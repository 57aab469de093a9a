// The highest rate at which the goals hold, by halving the interval between one that holds and one that does not, for
// each number of pinned workers; the latencies on the way draw the curve to the knee. What the CPU of everything but
// the generator comes to for a million texts is what the system costs.

import { setTimeout as delay } from 'node:timers/promises';
import { type CpuTimes, readCpuTimes } from './cpu-time.ts';
import { buildRequest, createHttpClient, type HttpClient } from './http-client.ts';
import { showLive } from './live-view.ts';
import { allowedCores } from './machine.ts';
import { type TextSource, uniqueTexts } from './mix-texts.ts';
import { createLoopState, runOpenLoop } from './open-loop.ts';
import type { BenchOptions } from './options.ts';
import type { Arrival } from './personas.ts';
import { createRandom } from './random.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import type { Scenario } from './scenarios.ts';
import { type Percentiles, percentilesOf } from './stage-summary.ts';
import { drain, skipOf } from './stage.ts';
import { startSystem, type System } from './system.ts';
import { warmUp, warmUpRequests } from './warm-up.ts';

const goal = { p95Ms: 200, errorRate: 0.001 };
const rateMin = 25;
/** Beyond what two cores of today do with this model. */
const rateMax = 1600;
/** The search ends when the two rates are this near to each other. */
const grain = 0.06;
const skipSecondsMax = 2;

const oneText: Scenario = {
  name: 'emotion: job, wait',
  weight: 1,
  measures: 'result',
  asks: { emotion: 1 },
  expects: [200],
  twoSteps: false,
  request: ({ texts }) =>
    buildRequest('POST', '/v1/jobs', {
      body: { kind: 'emotion', input: { text: texts.emotion() } },
      headers: { Prefer: 'wait=10' },
    }),
};

export interface CapacityPoint {
  readonly workers: number;
  readonly ratePerSecond: number;
  readonly resultMs: Percentiles;
  readonly errorRate: number;
  readonly met: boolean;
  /** CPU hours of everything but the generator for a million texts. */
  readonly cpuHoursPerMillion: number;
  readonly cores: CpuTimes;
}

/** @returns true: the rate depends on the machine, so nothing is required of it. */
export async function measureCapacity(options: BenchOptions): Promise<boolean> {
  const { seed, seconds = 7 } = options;
  const started = startReport();
  const texts = uniqueTexts(seed);
  const points: CapacityPoint[] = [];
  const found: CapacityPoint[] = [];
  const cores = allowedCores().slice(0, 2);
  for (const workers of cores.map((_, index) => index + 1)) {
    const system = await startSystem({ cores: cores.slice(0, workers) });
    const client = createHttpClient(system.url, { connectionsMax: 8000, timeoutMs: 30_000 });
    const run = (rate: number) => runAtRate({ system, client, texts, seed }, { rate, seconds, workers });
    await warmUp(system, client, planSteady({ texts, seed }, warmUpRequests, rateMax));
    const own = await search(run);
    points.push(...own);
    const best = own.filter(({ met }) => met).toSorted((a, b) => b.ratePerSecond - a.ratePerSecond)[0];
    if (best !== undefined) found.push(best);
    client.close();
    await system.stop();
  }
  printTable(
    ['workers', 'requests/s', 'p50 ms', 'p95', 'p99', 'goal', 'CPU hours per million'],
    points
      .toSorted((a, b) => a.workers - b.workers || a.ratePerSecond - b.ratePerSecond)
      .map(({ workers, ratePerSecond, resultMs, met, cpuHoursPerMillion }) => [
        String(workers),
        ratePerSecond,
        resultMs.p50,
        resultMs.p95,
        resultMs.p99,
        met ? 'holds' : 'no',
        cpuHoursPerMillion,
      ]),
  );
  return writeReport(started, {
    part: 'capacity',
    seed,
    kind: 'emotion',
    settings: {
      seconds,
      skipSeconds: skipOf(seconds, skipSecondsMax),
      warmUpRequests,
      goal,
      grain,
      texts: texts.description,
    },
    rounds: points,
    summary: { highest: found },
    figures: found.map(({ workers, ratePerSecond }) => ({
      name: `highest rate with submit to result p95 < ${goal.p95Ms} ms, ${workers} worker${workers > 1 ? 's' : ''}, texts/s`,
      value: ratePerSecond,
      holds: 'at least',
    })),
  });
}

/** Halves the gap between a rate that holds and one that does not, by ratio, since rates differ by factors. */
async function search(run: (rate: number) => Promise<CapacityPoint>): Promise<readonly CapacityPoint[]> {
  const points: CapacityPoint[] = [];
  let good = rateMin;
  let bad = rateMax;
  while (bad / good > 1 + grain && points.length < 7) {
    const rate = Math.round(Math.sqrt(good * bad));
    const point = await run(rate);
    points.push(point);
    if (point.met) good = rate;
    else bad = rate;
  }
  return points;
}

interface Bench {
  readonly system: System;
  readonly client: HttpClient;
  readonly texts: TextSource;
  readonly seed: number;
}

/** So many single texts, one after the other at an even rate. */
function planSteady(
  { texts, seed }: Pick<Bench, 'texts' | 'seed'>,
  count: number,
  ratePerSecond: number,
): readonly Arrival[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, index) => ({
    dueMs: (index * 1000) / ratePerSecond,
    scenario: oneText,
    request: oneText.request({ userId: '', texts, random }),
  }));
}

async function runAtRate(
  { system, client, texts, seed }: Bench,
  { rate, seconds, workers }: { readonly rate: number; readonly seconds: number; readonly workers: number },
): Promise<CapacityPoint> {
  const arrivals = planSteady({ texts, seed }, Math.round(rate * seconds), rate);
  const state = createLoopState();
  const hide = showLive(`${workers} workers, ${rate}/s`, state, arrivals.length);
  const before = readCpuTimes(system.pids);
  const samples = await runOpenLoop(client, arrivals, state);
  hide();
  await drain(system);
  // Statements that a process makes some time after the last answer belong to it.
  await delay(200);
  const after = readCpuTimes(system.pids);
  const counted = samples.filter(({ dueMs }) => dueMs >= skipOf(seconds, skipSecondsMax) * 1000);
  const right = counted.filter(({ error }) => error === undefined);
  const resultMs = percentilesOf(right.map(({ doneMs }) => doneMs));
  const errorRate = 1 - right.length / Math.max(1, counted.length);
  const spent = Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)] as const);
  const servers = spent.reduce((sum, [name, value]) => sum + (name === 'client' ? 0 : value), 0);
  return {
    workers,
    ratePerSecond: rate,
    resultMs,
    errorRate: round(errorRate, 5),
    met: resultMs.p95 < goal.p95Ms && errorRate < goal.errorRate,
    cpuHoursPerMillion: round((servers / arrivals.length / 3600) * 1e6, 3),
    cores: Object.fromEntries(spent.map(([name, value]) => [name, round(value / seconds, 3)])),
  };
}
