// What the queue costs beside the model: CPU of Redis, and of BullMQ and its client inside our processes, against the
// CPU of the inference processes. The share inside our processes comes from node's own CPU profiles of them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monotonicUs, readProfiles, shareOf, type Window } from './cpu-profile.ts';
import { type CpuTimes, readCpuTimes } from './cpu-time.ts';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { drain } from './stage.ts';
import { startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const packages = ['bullmq', 'ioredis', '@ioredis/commands', 'redis-parser', 'msgpackr'];
const jobSizes = [1, 16] as const;
const inFlight = 64;

interface QueueRound {
  readonly itemsPerJob: number;
  readonly ratio: number;
  readonly seconds: Readonly<Record<string, number>>;
}

/** @returns whether the queue is as cheap as it must be, for jobs of one text. */
export async function measureQueueCpu(options: BenchOptions): Promise<boolean> {
  const { seed, rounds: count = 5 } = options;
  const started = startReport();
  const { source, texts } = readTexts(options.texts, seed);
  const rounds: QueueRound[] = [];
  for (let number = 0; number < count; number++)
    for (const size of jobSizes) rounds.push(await runRound(texts, size));
  printTable(
    ['queue / model CPU', 'ratio', ...Object.keys(rounds[0]?.seconds ?? {}).map((name) => `${name} s`)],
    rounds.map(({ itemsPerJob, ratio, seconds }) => [
      `jobs of ${itemsPerJob}`,
      ratio,
      ...Object.values(seconds),
    ]),
  );
  const ratio = (size: number) =>
    median(rounds.filter((one) => one.itemsPerJob === size).map((one) => one.ratio));
  return writeReport(started, {
    part: 'queue-cpu',
    seed,
    kind: 'emotion',
    settings: { rounds: count, texts: texts.length, source, packages, inFlight },
    rounds,
    summary: { ratios: jobSizes.map((size) => ({ itemsPerJob: size, ratio: ratio(size) })) },
    figures: jobSizes.map((size) => ({
      name: `CPU of BullMQ and Redis / of the model, jobs of ${size}`,
      value: ratio(size),
      bound: 0.08,
      aim: 0.02,
      holds: 'at most',
    })),
  });
}

/** Processes of their own each round, since a profile is written when a process ends. */
async function runRound(texts: readonly string[], itemsPerJob: number): Promise<QueueRound> {
  const folder = mkdtempSync(join(tmpdir(), 'soma-profiles-'));
  try {
    const system = await startSystem({ nodeFlags: ['--cpu-prof', `--cpu-prof-dir=${folder}`] });
    const client = createHttpClient(system.url, { connectionsMax: inFlight, timeoutMs: 30_000 });
    await submitAll(client, texts.slice(0, 500), itemsPerJob);
    await drain(system);
    const fromUs = monotonicUs();
    const before = readCpuTimes(system.pids);
    await submitAll(client, texts, itemsPerJob);
    await drain(system);
    const after = readCpuTimes(system.pids);
    const window = { fromUs, toUs: monotonicUs() };
    client.close();
    await system.stop();
    const profiles = readProfiles(folder);
    const shares = {
      api: shareOfAll([system.pids.api], profiles, window),
      dispatcher: shareOfAll([system.pids.dispatcher], profiles, window),
      analysis: shareOfAll(system.pids.analysis, profiles, window),
    };
    return describeRound(itemsPerJob, before, after, shares);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The mean share of processes of one name, which do the same work. */
function shareOfAll(
  pids: readonly number[],
  profiles: ReturnType<typeof readProfiles>,
  window: Window,
): number {
  const shares = pids.map((pid) => {
    const profile = profiles.get(pid);
    if (profile === undefined) throw new Error(`process ${pid} left no profile`);
    return shareOf(profile, packages, window);
  });
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

function describeRound(
  itemsPerJob: number,
  before: CpuTimes,
  after: CpuTimes,
  shares: Readonly<Record<'api' | 'dispatcher' | 'analysis', number>>,
): QueueRound {
  const grown = (name: string) => (after[name] ?? 0) - (before[name] ?? 0);
  const seconds = {
    model: grown('inference'),
    redis: grown('redis'),
    'queue in api': grown('api') * shares.api,
    'in dispatcher': grown('dispatcher') * shares.dispatcher,
    'in analysis': grown('analysis') * shares.analysis,
  };
  const queue = Object.values(seconds).reduce((sum, value) => sum + value, 0) - seconds.model;
  const rounded = Object.entries(seconds).map(([name, value]) => [name, round(value, 3)] as const);
  return { itemsPerJob, ratio: round(queue / seconds.model, 3), seconds: Object.fromEntries(rounded) };
}

async function submitAll(client: HttpClient, texts: readonly string[], itemsPerJob: number): Promise<void> {
  const requests = Array.from({ length: Math.ceil(texts.length / itemsPerJob) }, (_, job) => {
    const input = { texts: texts.slice(job * itemsPerJob, (job + 1) * itemsPerJob) };
    return buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input } });
  });
  const answers = await sendAll(client, requests, inFlight);
  const refused = answers.find(({ status }) => status !== 202);
  if (refused !== undefined) throw new Error(`a job was refused: ${refused.status} ${refused.body}`);
}
