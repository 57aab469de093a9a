// A flood of high jobs with and without low ones beside it: what low keeps, and what that costs high. The flood is a
// constant number of jobs that wait, so that both runs are under the same pressure.

import { createHttpClient, type HttpClient } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import { buildJob, quantile, readJobs, type SeenJob, sendInLoops, sumItems } from './queue-load.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import { startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const itemsPerJob = 10;
const highClients = 200;
const lowClients = 100;
/** The five minutes; half as long without low before, and half behind, so that a drift of the machine cancels. */
const floodSeconds = 300;
/** Until the queue is as long as the clients make it. */
const settleMs = 5000;

interface Leg {
  readonly low: boolean;
  readonly seconds: number;
  readonly itemsPerSecond: number;
  readonly lowShare: number;
  readonly highWaitMs: { readonly p50: number; readonly p95: number };
  readonly lowWaitMs: { readonly p50: number; readonly p95: number };
}

/** @returns whether low keeps its floor and high its wait. */
export async function measurePriority(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const seconds = options.seconds ?? floodSeconds;
  const system = await startSystem();
  const client = createHttpClient(system.url, {
    connectionsMax: highClients + lowClients + 1,
    timeoutMs: 75_000,
  });
  const legs: Leg[] = [];
  await runLeg(client, texts, { low: true, seconds: 5 });
  for (const leg of [
    { low: false, seconds: seconds / 2 },
    { low: true, seconds },
    { low: false, seconds: seconds / 2 },
  ])
    legs.push(await runLeg(client, texts, leg));
  client.close();
  await system.stop();
  printTable(
    ['high floods', 'items/s', 'low has', 'high waits p50 ms', 'p95 ms', 'low waits p50 ms', 'p95 ms'],
    legs.map(({ low, itemsPerSecond, lowShare, highWaitMs, lowWaitMs }) => [
      low ? 'beside low' : 'alone',
      itemsPerSecond,
      low ? `${round(100 * lowShare, 1)} %` : '',
      highWaitMs.p50,
      highWaitMs.p95,
      low ? lowWaitMs.p50 : '',
      low ? lowWaitMs.p95 : '',
    ]),
  );
  const [before, beside, after] = legs.map(({ highWaitMs }) => highWaitMs.p95);
  return writeReport(started, {
    part: 'priority',
    seed: options.seed,
    kind: 'emotion',
    settings: { seconds, itemsPerJob, highClients, lowClients, source },
    rounds: legs,
    summary: legs[1],
    figures: [
      {
        name: 'share of the items that low keeps under a flood of high',
        value: round(legs[1]?.lowShare ?? Number.NaN, 3),
        bound: 0.1,
        holds: 'at least',
      },
      {
        name: "high's p95 wait beside low / without it",
        value: round((2 * (beside ?? Number.NaN)) / ((before ?? 0) + (after ?? 0)), 3),
        bound: 1.2,
        holds: 'at most',
      },
    ],
  });
}

async function runLeg(
  client: HttpClient,
  texts: readonly string[],
  { low, seconds }: { readonly low: boolean; readonly seconds: number },
): Promise<Leg> {
  const startMs = Date.now();
  const send = (clients: number, priority: string): Promise<number> =>
    sendInLoops(client, clients, seconds, (index) =>
      buildJob(texts, index * itemsPerJob, itemsPerJob, {
        fields: { priority },
        headers: { Prefer: 'wait=60' },
      }),
    );
  await Promise.all([send(highClients, 'high'), ...(low ? [send(lowClients, 'low')] : [])]);
  const fromMs = startMs + Math.min(settleMs, seconds * 250);
  const toMs = startMs + seconds * 1000;
  const jobs = await readJobs(client, startMs);
  const served = jobs.filter(({ endedMs }) => endedMs >= fromMs && endedMs < toMs);
  const of = (priority: SeenJob['priority']): SeenJob[] => served.filter((job) => job.priority === priority);
  const waits = (some: readonly SeenJob[]) => {
    const values = some.map(({ createdMs, startedMs }) => startedMs - createdMs);
    return { p50: quantile(values, 0.5), p95: quantile(values, 0.95) };
  };
  return {
    low,
    seconds,
    itemsPerSecond: Math.round(sumItems(served) / ((toMs - fromMs) / 1000)),
    lowShare: sumItems(of('low')) / sumItems(served),
    highWaitMs: waits(of('high')),
    lowWaitMs: waits(of('low')),
  };
}
