// One pinned worker against two, draining a backlog that was there before they started. The rate is read off the ledger:
// of the jobs in the order in which they ended, from the one that ends the first sixth to the one that ends the fifth,
// so that neither loading the models nor the last pools count. Two workers share both cores with everything else.

import { z } from 'zod';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { allowedCores } from './machine.ts';
import { readMetrics, sumSamples } from './metrics-page.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { startApi, startNode, startWorkers } from './system.ts';
import { readTexts } from './texts.ts';
import { setTimeout as delay } from 'node:timers/promises';

const itemsPerJob = 16;
const counts = [1, 2] as const;
const drainMsMax = 120_000;

interface ScalingRound {
  readonly workers: number;
  readonly textsPerSecond: number;
}

const submittedSchema = z.object({ id: z.string() });
const endedSchema = z.object({ status: z.literal('succeeded'), ended_at: z.iso.datetime() });

/** @returns whether the second worker brings what it must. */
export async function measureScaling(options: BenchOptions): Promise<boolean> {
  const { seed, rounds: count = 5 } = options;
  const started = startReport();
  const { source, texts } = readTexts(options.texts, seed);
  const cores = allowedCores().slice(0, 2);
  if (cores.length < 2) throw new Error('two workers need two cores');
  const api = await startApi();
  const dispatcher = await startNode('dispatcher');
  const client = createHttpClient(api.url, { connectionsMax: 16, timeoutMs: 30_000 });
  const rounds: ScalingRound[] = [];
  for (let number = 0; number < count; number++) {
    for (const workers of counts) {
      const ids = await preload(client, texts);
      rounds.push({ workers, textsPerSecond: await drainWith(client, ids, cores.slice(0, workers)) });
    }
  }
  client.close();
  await Promise.all([api.stop(), dispatcher.stop()]);
  const rateOf = (workers: number) =>
    rounds.filter((one) => one.workers === workers).map(({ textsPerSecond }) => textsPerSecond);
  const ones = rateOf(1);
  const ratios = rateOf(2).map((rate, index) => rate / (ones[index] ?? Number.NaN));
  printTable(
    ['scaling', 'texts/s, 1 worker', '2 workers', 'ratio'],
    ratios.map((ratio, index) => [
      `round ${index + 1}`,
      ones[index] ?? 0,
      rateOf(2)[index] ?? 0,
      round(ratio, 2),
    ]),
  );
  return writeReport(started, {
    part: 'scaling',
    seed,
    kind: 'emotion',
    settings: { rounds: count, texts: texts.length, source, itemsPerJob, cores },
    rounds,
    summary: { textsPerSecond: counts.map((workers) => ({ workers, rate: median(rateOf(workers)) })) },
    figures: [
      {
        name: 'texts per second of two pinned workers / of one, preloaded backlog',
        value: round(median(ratios), 2),
        bound: 1.7,
        aim: 1.9,
        holds: 'at least',
      },
    ],
  });
}

async function preload(client: HttpClient, texts: readonly string[]): Promise<readonly string[]> {
  const requests = Array.from({ length: Math.ceil(texts.length / itemsPerJob) }, (_, job) => {
    const input = { texts: texts.slice(job * itemsPerJob, (job + 1) * itemsPerJob) };
    return buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input } });
  });
  const answers = await sendAll(client, requests, 16);
  return answers.map(({ body }) => submittedSchema.parse(JSON.parse(body)).id);
}

async function drainWith(
  client: HttpClient,
  ids: readonly string[],
  cores: readonly number[],
): Promise<number> {
  const workers = await startWorkers(cores);
  const urls = workers.map(({ url }) => url);
  const deadlineMs = performance.now() + drainMsMax;
  while (sumSamples(await readMetrics(urls), 'soma_jobs_finished_total{') < ids.length) {
    if (performance.now() > deadlineMs) throw new Error(`the backlog was not drained in ${drainMsMax} ms`);
    await delay(250);
  }
  const answers = await sendAll(
    client,
    ids.map((id) => buildRequest('GET', `/v1/jobs/${id}`)),
    16,
  );
  await Promise.all(workers.map((worker) => worker.stop()));
  const ends = answers.map(({ body }) => Date.parse(endedSchema.parse(JSON.parse(body)).ended_at));
  return rateBetween(ends, itemsPerJob);
}

/** Items a second between the end of the first and of the fifth sixth of the jobs. */
export function rateBetween(endsMs: readonly number[], items: number): number {
  const sorted = endsMs.toSorted((a, b) => a - b);
  const [first, last] = [Math.floor(sorted.length / 6), Math.floor((5 * sorted.length) / 6)];
  const seconds = ((sorted[last] ?? 0) - (sorted[first] ?? 0)) / 1000;
  return round(((last - first) * items) / seconds, 0);
}
