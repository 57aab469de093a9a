// Texts a second from the first POST until the last result is committed, as jobs of one text and of 16, beside what
// the bare model does with the same texts on the same cores in the same run.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { readConfig } from '../shared/config.ts';
import { type CeilingRound, startCeiling } from './ceiling.ts';
import { type CpuTimes, microsecondsPerText, readCpuTimes } from './cpu-time.ts';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { allowedCores } from './machine.ts';
import { describeBatches, readMetrics, sumSamples } from './metrics-page.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { startSystem, type System } from './system.ts';
import { readTexts } from './texts.ts';

const jobSizes = [1, 16] as const;
const bounds = { 1: { must: 0.6, aim: 0.8 }, 16: { must: 0.75, aim: 0.9 } } as const;
const inFlight = 64;
/** Reading the workers' metrics costs each a millisecond or two. */
const lookMs = 250;
const roundMsMax = 300_000;

interface ThroughputRound {
  readonly itemsPerJob: number;
  readonly textsPerSecond: number;
  readonly submitSeconds: number;
  readonly totalSeconds: number;
  readonly batches: ReturnType<typeof describeBatches>;
  readonly cpuMicrosecondsPerText: CpuTimes;
}

/** @returns whether the bounds of the ratios hold. */
export async function measureThroughput(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const cores = allowedCores().slice(0, 2);
  const system = await startSystem({ cores });
  const client = createHttpClient(system.url, { connectionsMax: inFlight, timeoutMs: 30_000 });
  // Not counted: the bare model is compiled code from its first text on, and we are not (bench/warm-up.ts).
  for (const size of jobSizes) await runRound(system, client, texts, size);
  const ceiling = await startCeiling({ kind: 'emotion', texts, cores });
  const ceilings: CeilingRound[] = [];
  const rounds: ThroughputRound[] = [];
  for (let number = 0; number < (options.rounds ?? 5); number++) {
    ceilings.push(await ceiling.run());
    for (const size of jobSizes) rounds.push(await runRound(system, client, texts, size));
  }
  ceiling.close();
  client.close();
  await system.stop();
  const summary = summarize(ceilings, rounds);
  printSummary(summary);
  return writeReport(started, {
    part: 'throughput',
    seed: options.seed,
    kind: 'emotion',
    settings: { ...options, texts: texts.length, source, cores, nice: readConfig().WORKER_NICE, inFlight },
    rounds: { ceiling: ceilings, system: rounds },
    summary,
    figures: jobSizes.map((size, index) => ({
      name: `texts per second / bare model on the same cores, jobs of ${size}`,
      value: summary.jobs[index]?.ratio ?? Number.NaN,
      bound: bounds[size].must,
      aim: bounds[size].aim,
      holds: 'at least',
    })),
  });
}

/** Submits all texts, waits for the last result, then reads every job to see that it succeeded and when it ended. */
async function runRound(
  system: System,
  client: HttpClient,
  texts: readonly string[],
  itemsPerJob: number,
): Promise<ThroughputRound> {
  const requests = jobsOf(texts, itemsPerJob).map((input) =>
    buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input } }),
  );
  const metricsBefore = await readMetrics(system.workerUrls);
  const finishedBefore = sumSamples(metricsBefore, 'soma_jobs_finished_total{');
  const cpuBefore = readCpuTimes(system.pids);
  const startMs = Date.now();
  const answers = await sendAll(client, requests, inFlight);
  const submittedMs = Date.now();
  await untilFinished(system, finishedBefore + requests.length);
  const cpuAfter = readCpuTimes(system.pids);
  const batches = describeBatches(metricsBefore, await readMetrics(system.workerUrls));
  const refused = answers.find(({ status }) => status !== 202);
  if (refused !== undefined) throw new Error(`a job was refused: ${refused.status} ${refused.body}`);
  const totalSeconds = ((await readLastEndMs(client, answers, texts.length)) - startMs) / 1000;
  return {
    itemsPerJob,
    textsPerSecond: Math.round(texts.length / totalSeconds),
    submitSeconds: (submittedMs - startMs) / 1000,
    totalSeconds: round(totalSeconds, 3),
    batches,
    cpuMicrosecondsPerText: microsecondsPerText(cpuBefore, cpuAfter, texts.length),
  };
}

function jobsOf(texts: readonly string[], size: number): readonly Readonly<Record<string, unknown>>[] {
  if (size === 1) return texts.map((text) => ({ text }));
  return Array.from({ length: Math.ceil(texts.length / size) }, (_, index) => ({
    texts: texts.slice(index * size, (index + 1) * size),
  }));
}

async function untilFinished(system: System, finished: number): Promise<void> {
  const deadline = performance.now() + roundMsMax;
  while ((await countFinished(system)) < finished) {
    if (performance.now() > deadline) throw new Error(`jobs were not finished in ${roundMsMax} ms`);
    await delay(lookMs);
  }
}

/** Jobs that the workers have committed as ended since they started. */
async function countFinished(system: System): Promise<number> {
  return sumSamples(await readMetrics(system.workerUrls), 'soma_jobs_finished_total{');
}

const submittedSchema = z.object({ id: z.string() });
const endedSchema = z.object({
  status: z.literal('succeeded'),
  ended_at: z.iso.datetime(),
  counts: z.object({ succeeded: z.number() }),
});

/** The end of the job that ended last, by the ledger's clock, which is this machine's. */
async function readLastEndMs(
  client: HttpClient,
  submitted: readonly { readonly body: string }[],
  texts: number,
): Promise<number> {
  const requests = submitted.map(({ body }) =>
    buildRequest('GET', `/v1/jobs/${submittedSchema.parse(JSON.parse(body)).id}`),
  );
  const answers = await sendAll(client, requests, inFlight);
  const jobs = answers.map(({ body }) => endedSchema.parse(JSON.parse(body)));
  const succeeded = jobs.reduce((sum, { counts }) => sum + counts.succeeded, 0);
  if (succeeded !== texts) throw new Error(`${succeeded} of ${texts} texts succeeded`);
  return jobs.reduce((latest, job) => Math.max(latest, Date.parse(job.ended_at)), 0);
}

interface ThroughputSummary {
  readonly ceiling: CeilingRound;
  readonly jobs: readonly {
    readonly itemsPerJob: number;
    readonly textsPerSecond: number;
    /** Median of the ratios to the ceiling of the same round. */
    readonly ratio: number;
    /** CPU of the bare model / CPU of everything, client and servers included: what the ratio is with no core idle. */
    readonly cpuRatio: number;
    readonly cpuMicrosecondsPerText: Readonly<Record<string, number>>;
  }[];
}

function summarize(ceilings: readonly CeilingRound[], rounds: readonly ThroughputRound[]): ThroughputSummary {
  const jobs = jobSizes.map((itemsPerJob) => {
    const own = rounds.filter((one) => one.itemsPerJob === itemsPerJob);
    const ratios = own.map((one, index) => one.textsPerSecond / (ceilings[index]?.textsPerSecond ?? 0));
    const names = Object.keys(own[0]?.cpuMicrosecondsPerText ?? {});
    const cpu = names.map(
      (name) => [name, median(own.map((one) => one.cpuMicrosecondsPerText[name] ?? 0))] as const,
    );
    const cpuRatios = own.map((one, index) => {
      const spent = Object.values(one.cpuMicrosecondsPerText).reduce((sum, value) => sum + value, 0);
      return (ceilings[index]?.cpuMicrosecondsPerText ?? 0) / spent;
    });
    return {
      itemsPerJob,
      textsPerSecond: median(own.map((one) => one.textsPerSecond)),
      ratio: round(median(ratios), 3),
      cpuRatio: round(median(cpuRatios), 3),
      cpuMicrosecondsPerText: Object.fromEntries(cpu),
    };
  });
  const ceiling = {
    textsPerSecond: median(ceilings.map((one) => one.textsPerSecond)),
    cpuMicrosecondsPerText: median(ceilings.map((one) => one.cpuMicrosecondsPerText)),
  };
  return { ceiling, jobs };
}

function printSummary({ ceiling, jobs }: ThroughputSummary): void {
  const names = Object.keys(jobs[0]?.cpuMicrosecondsPerText ?? {});
  const bare = names.map((name) => (name === 'inference' ? ceiling.cpuMicrosecondsPerText : ''));
  printTable(
    ['throughput', 'texts/s', 'of ceiling', 'by CPU', ...names.map((name) => `${name} µs`)],
    [
      ['bare model', ceiling.textsPerSecond, 1, 1, ...bare],
      ...jobs.map(({ itemsPerJob, textsPerSecond, ratio, cpuRatio, cpuMicrosecondsPerText }) => [
        `jobs of ${itemsPerJob}`,
        textsPerSecond,
        ratio,
        cpuRatio,
        ...names.map((name) => cpuMicrosecondsPerText[name] ?? 0),
      ]),
    ],
  );
}
