// How much of what the model computes is padding while a backlog waits, from the workers' own counters.

import { buildRequest, createHttpClient, sendAll } from './http-client.ts';
import { describeBatches, readMetrics } from './metrics-page.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, startReport, writeReport } from './report.ts';
import { drain } from './stage.ts';
import { startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const textsOfRound = 2000;
const jobSizes = [1, 16] as const;
const inFlight = 64;

/** @returns whether the padding is within its bound for jobs of one text and of 16. */
export async function measurePadding({ seed, rounds: count = 5 }: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(5000, seed);
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax: inFlight, timeoutMs: 30_000 });
  const rounds: { readonly itemsPerJob: number; readonly batches: ReturnType<typeof describeBatches> }[] = [];
  for (let number = 0; number < count; number++) {
    for (const size of jobSizes) {
      const before = await readMetrics(system.workerUrls);
      const first = (number * textsOfRound) % (texts.length - textsOfRound);
      const own = texts.slice(first, first + textsOfRound);
      const requests = Array.from({ length: Math.ceil(own.length / size) }, (_, job) =>
        buildRequest('POST', '/v1/jobs', {
          body: { kind: 'emotion', input: { texts: own.slice(job * size, (job + 1) * size) } },
        }),
      );
      await sendAll(client, requests, inFlight);
      await drain(system);
      const batches = describeBatches(before, await readMetrics(system.workerUrls));
      rounds.push({ itemsPerJob: size, batches });
    }
  }
  client.close();
  await system.stop();
  const ratio = (size: number) =>
    median(rounds.filter((one) => one.itemsPerJob === size).map(({ batches }) => batches.paddingRatio));
  printTable(
    ['padding', 'padded / real', 'items per pool', 'per micro-batch'],
    rounds.map(({ itemsPerJob, batches }) => [
      `jobs of ${itemsPerJob}`,
      batches.paddingRatio,
      batches.itemsPerPool,
      batches.itemsPerMicroBatch,
    ]),
  );
  return writeReport(started, {
    part: 'padding',
    seed,
    kind: 'emotion',
    settings: { rounds: count, textsOfRound, inFlight, source },
    rounds,
    summary: { ratios: jobSizes.map((size) => ({ itemsPerJob: size, ratio: ratio(size) })) },
    figures: jobSizes.map((size) => ({
      name: `padded / real tokens with a backlog, jobs of ${size}`,
      value: ratio(size),
      bound: 1.15,
      aim: 1.03,
      holds: 'at most',
    })),
  });
}
