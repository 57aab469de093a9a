// How true the ETA is that a client gets with its 202, over five shapes of load, and what it costs to compute one while
// 100,000 jobs are queued.

import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { type Answer, buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import { buildJob, type Headers, readJobs, sendAt, sendInLoops, untilDrained } from './queue-load.ts';
import { createRandom, pickIndex } from './random.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import { startApi, startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const itemsPerJob = 5;
const jobsPerShape = 500;
/** The same shape before, shorter and not counted: the error model is measured online, and knows no load at the start. */
const warmUpJobs = 200;
const capacitySeconds = 8;
const queuedJobs = 100_000;
const lookups = 500;
const settleMs = 2500;

/** A shape of load: when each of `jobs` is sent, in milliseconds, where `rate` jobs a second are all that can be done. */
interface Shape {
  readonly name: string;
  readonly moments: (jobs: number, rate: number) => readonly number[];
  readonly priorities: readonly string[];
  readonly tenants: 1 | 2;
}

const spaced = (share: number) => (jobs: number, rate: number) =>
  Array.from({ length: jobs }, (_, index) => (index * 1000) / (share * rate));

const shapes: readonly Shape[] = [
  { name: 'steady at 0.8', moments: spaced(0.8), priorities: ['normal'], tenants: 1 },
  {
    name: 'bursts of 50',
    moments: (jobs, rate) =>
      Array.from({ length: jobs }, (_, index) => (Math.floor(index / 50) * 50_000) / (0.7 * rate)),
    priorities: ['normal'],
    tenants: 1,
  },
  { name: 'ramp from 0.2 to 2', moments: ramp, priorities: ['normal'], tenants: 1 },
  { name: 'two tenants at 1.2', moments: spaced(1.2), priorities: ['normal'], tenants: 2 },
  { name: 'priorities at 1.2', moments: spaced(1.2), priorities: ['high', 'normal', 'low'], tenants: 1 },
];

interface ShapeResult {
  readonly shape: string;
  readonly jobs: number;
  readonly beforeP50: number;
  readonly beforeP90: number;
  readonly medianSeconds: number;
}

/** @returns whether the ETAs are calibrated and cheap. */
export async function measureEta(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const random = createRandom(options.seed);
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax: 300, timeoutMs: 75_000 });
  const shared = await startApi({ AUTH: 'on' });
  const sharedClient = createHttpClient(shared.url, { connectionsMax: 300, timeoutMs: 75_000 });
  const job = (index: number): Buffer =>
    buildJob(texts, index * itemsPerJob, itemsPerJob, { headers: { Prefer: 'wait=60' } });
  const rate = (await sendInLoops(client, 64, capacitySeconds, job)) / capacitySeconds;
  const results: ShapeResult[] = [];
  for (const shape of shapes) {
    const own = shape.tenants === 2 ? sharedClient : client;
    for (const jobs of [warmUpJobs, jobsPerShape]) {
      // Tenants of their own for each run: a tier has so many requests a minute.
      const keys = Array.from({ length: shape.tenants }, (_, tenant) =>
        shape.tenants === 1 ? {} : makeKey(`eta-${jobs}-${tenant}`),
      );
      const result = await runShape(own, texts, { shape, jobs, rate, keys, random });
      if (jobs === jobsPerShape) results.push(result);
      await delay(settleMs);
    }
  }
  const cost = await measureCost(client, system.url, texts);
  client.close();
  sharedClient.close();
  await shared.stop();
  await system.stop();
  printTable(
    ['ETA', 'jobs', 'took s (median)', 'ended before p50', 'before p90'],
    results.map((one) => [one.shape, one.jobs, one.medianSeconds, one.beforeP50, one.beforeP90]),
  );
  return writeReport(started, {
    part: 'eta',
    seed: options.seed,
    kind: 'emotion',
    settings: { itemsPerJob, jobsPerShape, warmUpJobs, queuedJobs, source },
    rounds: { jobsPerSecond: round(rate, 1), shapes: results, cost },
    summary: results,
    figures: [
      ...results.flatMap(({ shape, beforeP90 }) => [
        {
          name: `${shape}: ended before eta_p90_at`,
          value: beforeP90,
          bound: 0.8,
          holds: 'at least' as const,
        },
        {
          name: `${shape}: ended before eta_p90_at`,
          value: beforeP90,
          bound: 0.97,
          holds: 'at most' as const,
        },
      ]),
      {
        name: `p99 of computing an ETA with ${cost.queuedJobs} jobs queued, ms`,
        value: cost.p99Ms,
        bound: 3,
        holds: 'at most',
      },
    ],
  });
}

const acceptedSchema = z.object({
  id: z.string(),
  created_at: z.iso.datetime(),
  queue: z
    .object({ eta_p50_at: z.iso.datetime().nullable(), eta_p90_at: z.iso.datetime().nullable() })
    .nullable(),
});

async function runShape(
  client: HttpClient,
  texts: readonly string[],
  run: {
    readonly shape: Shape;
    readonly jobs: number;
    readonly rate: number;
    readonly keys: readonly Headers[];
    readonly random: () => number;
  },
): Promise<ShapeResult> {
  const { shape, jobs, rate, keys, random } = run;
  const startMs = Date.now();
  const answers = await sendAt(client, shape.moments(jobs, rate), (index) => {
    const priority = shape.priorities[pickIndex(random, shape.priorities.length)];
    const headers = keys[index % keys.length] ?? {};
    return buildJob(texts, index * itemsPerJob, itemsPerJob, { fields: { priority }, headers });
  });
  const told = answers.map(readAccepted);
  const ended = new Map<string, number>();
  for (const headers of keys) {
    await untilDrained(client, startMs, 120_000, headers);
    for (const { id, endedMs } of await readJobs(client, startMs, headers)) ended.set(id, endedMs);
  }
  const endOf = (id: string): number => ended.get(id) ?? Number.NaN;
  const before = (moment: (one: (typeof told)[number]) => string | null | undefined): number =>
    round(told.filter((one) => endOf(one.id) <= Date.parse(moment(one) ?? '')).length / told.length, 3);
  const took = told.map(({ id, created_at: createdAt }) => endOf(id) - Date.parse(createdAt));
  return {
    shape: shape.name,
    jobs: told.length,
    beforeP50: before(({ queue }) => queue?.eta_p50_at),
    beforeP90: before(({ queue }) => queue?.eta_p90_at),
    medianSeconds: round((took.toSorted((a, b) => a - b)[took.length >> 1] ?? Number.NaN) / 1000, 2),
  };
}

function readAccepted({ status, body }: Answer): z.infer<typeof acceptedSchema> {
  if (status !== 202) throw new Error(`a job was refused: ${status} ${body}`);
  return acceptedSchema.parse(JSON.parse(body));
}

/** The API's own histogram of what a place and an ETA take, over look-ups of jobs all over a long line. */
async function measureCost(client: HttpClient, url: string, texts: readonly string[]) {
  // With one item in flight the line stays, while the workers are there and the ETA is computed in full.
  command('tenant.js', ['default', '--in-flight', '1']);
  await delay(settleMs);
  const requests = Array.from({ length: queuedJobs }, (_, index) =>
    buildJob(texts, index, 1, { fields: { user_id: `user ${index % 1000}`, priority: 'low' } }),
  );
  const answers = await sendAll(client, requests, 64);
  const ids = answers.map((answer) => readAccepted(answer).id);
  await delay(10_000);
  const before = await readHistogram(url);
  const looks = Array.from({ length: lookups }, (_, index) =>
    buildRequest('GET', `/v1/jobs/${ids[Math.floor(((index + 0.5) * ids.length) / lookups)] ?? ''}`),
  );
  await sendAll(client, looks, 1);
  const after = await readHistogram(url);
  const counts = after.map(({ upTo, count }, index) => ({
    upTo,
    count: count - (before[index]?.count ?? 0),
  }));
  const total = counts.at(-1)?.count ?? 0;
  const at = (share: number): number =>
    1000 * (counts.find(({ count }) => count >= share * total)?.upTo ?? Infinity);
  return { queuedJobs: ids.length, lookups: total, p50Ms: at(0.5), p99Ms: at(0.99) };
}

async function readHistogram(url: string): Promise<readonly { upTo: number; count: number }[]> {
  const page = await (await fetch(`${url}/metrics`)).text();
  return [...page.matchAll(/^soma_forecast_seconds_bucket\{le="([^"]+)"\} (\d+)$/gm)].map(
    ([, le, count]) => ({
      upTo: le === '+Inf' ? Infinity : Number(le),
      count: Number(count),
    }),
  );
}

function makeKey(tenant: string): Headers {
  const args = ['create', '--tenant', tenant, '--scopes', 'jobs:write,jobs:read', '--tier', 'premium'];
  return { Authorization: `Bearer ${command('keys.js', args).trim()}` };
}

function command(script: string, args: readonly string[]): string {
  return execFileSync(process.execPath, [`dist/scripts/${script}`, ...args], {
    cwd: packageRoot,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

/** From a fifth of what can be done to twice as much. */
function ramp(jobs: number, rate: number): readonly number[] {
  let momentMs = 0;
  return Array.from({ length: jobs }, (_, index) => {
    momentMs += 1000 / (rate * (0.2 + (1.8 * index) / jobs));
    return momentMs;
  });
}
