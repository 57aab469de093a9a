// One tenant with 150,000 items under 1,000 invented people, another with a single job now and then, then with a backlog
// of its own: how soon the other's job starts, and what sharing costs in CPU per item against the first alone.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { readCpuTimes } from './cpu-time.ts';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import {
  forgetJobs,
  forgetWaiting,
  insertWaiting,
  type JobStart,
  type Ledger,
  listStarts,
  makeTenant,
  openLedger,
} from './ledger.ts';
import { allowedCores, describeModel } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { createRandom } from './random.ts';
import { median, printTable, quantile, round, startReport, writeReport } from './report.ts';
import { type RunningProcess, startApi, startNode, startWorkers } from './system.ts';
import { readTexts } from './texts.ts';

/** More than two workers of a fast processor get through in all phases. */
const backlogItems = 150_000;
const people = 1000;
const rounds = 3;
/** Long enough for some thousand items on a slow processor: shorter ones differ by a fifth among themselves. */
const phaseSeconds = 15;
/** What the end of one phase leaves in the workers' hands is over by then. */
const betweenMs = 1500;
/** Between two probes, by chance up to this. */
const pauseMsMax = 500;
/** More than both workers get through in a phase. */
const rivalJobs = 12_000;

/** Items of each job of the backlog: a job is never split, so one of 100 items is a pool of 100. */
const shapes = [1, 100] as const;
const phases = ['alone', 'probes', 'rival'] as const;
type Phase = (typeof phases)[number];

interface Measured {
  readonly itemsPerJob: number;
  readonly phase: Phase;
  readonly items: number;
  /** Of the whole system but the client: API, dispatcher, workers, models, Postgres, Redis. */
  readonly cpuMicrosecondsPerItem: number;
  readonly modelMicrosecondsPerItem: number;
  /** Tokens with padding to tokens. */
  readonly padding: number;
}

interface Stage {
  readonly ledger: Ledger;
  readonly texts: readonly string[];
  readonly random: () => number;
  readonly pids: Parameters<typeof readCpuTimes>[0];
  readonly workers: readonly RunningProcess[];
  readonly rival: { readonly tenantId: string; readonly authorization: string };
  readonly client: HttpClient;
}

/** @returns whether single jobs start within two pools, and sharing costs 5 % at most. */
export async function measureFairness(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const random = createRandom(options.seed);
  const ledger = openLedger();
  const measured: Measured[] = [];
  const starts: (JobStart & { readonly itemsPerJob: number })[] = [];
  for (const itemsPerJob of shapes) {
    await forgetJobs(ledger);
    const found = await measureShape({ ledger, texts, random, itemsPerJob });
    measured.push(...found.measured);
    starts.push(...found.starts.map((start) => ({ ...start, itemsPerJob })));
  }
  await ledger.end();

  const summary = shapes.map((itemsPerJob) => summarize(itemsPerJob, measured, starts));
  printSummary(summary);
  const atMost = (name: string, value: number, bound: number) =>
    ({ name, value, bound, holds: 'at most' }) as const;
  return writeReport(started, {
    part: 'fairness',
    seed: options.seed,
    kind: 'emotion',
    settings: { source, backlogItems, people, rounds, phaseSeconds, pauseMsMax, rivalJobs },
    rounds: { measured, starts },
    summary,
    figures: summary.flatMap((one) => {
      const jobs = `jobs of ${one.itemsPerJob}`;
      return [
        {
          name: `${jobs}: single jobs of the other`,
          value: one.probes,
          bound: 15,
          holds: 'at least',
        } as const,
        atMost(`${jobs}: pools ahead of a single job, most`, one.poolsAheadMost, 2),
        atMost(`${jobs}: items in the pool of a single job, most`, one.poolItemsMost, 64),
        atMost(`${jobs}: CPU per item with single jobs / alone`, one.probesToAlone, 1.05),
        // The rival's jobs have one text each. Beside jobs of 100, that they are dearer is no price of sharing.
        ...(one.itemsPerJob === 1
          ? [atMost(`${jobs}: CPU per item with a second backlog / alone`, one.rivalToAlone, 1.05)]
          : []),
      ];
    }),
  });
}

async function measureShape(args: {
  readonly ledger: Ledger;
  readonly texts: readonly string[];
  readonly random: () => number;
  readonly itemsPerJob: number;
}) {
  const { ledger, texts, itemsPerJob } = args;
  // The tenant of an API without keys has no quota, which is what lets it queue so much in seconds.
  const open = await startApi();
  await loadBacklog(open.url, texts, itemsPerJob);
  const rival = await makeTenant(ledger, 'rival', 'premium');
  const api = await startApi({ AUTH: 'on' });
  const dispatcher = await startNode('dispatcher');
  const workers = await startWorkers(allowedCores().slice(0, 2));
  const pids = { api: api.pid, dispatcher: dispatcher.pid, analysis: workers.map(({ pid }) => pid) };
  const client = createHttpClient(api.url, { connectionsMax: 4, timeoutMs: 70_000 });
  const stage = { ...args, pids, workers, rival, client };
  const measured: Measured[] = [];
  const probes: string[] = [];
  await delay(4 * betweenMs);
  for (let number = 0; number < rounds; number++) {
    for (const phase of phases) {
      const ends = performance.now() + phaseSeconds * 1000;
      if (phase === 'rival') await addRival(stage);
      const before = await read(stage);
      if (phase === 'probes') probes.push(...(await probe(stage, ends)));
      await delay(Math.max(0, ends - performance.now()));
      measured.push({ itemsPerJob, phase, ...compare(before, await read(stage)) });
      if (phase === 'rival') await forgetWaiting(ledger, rival.tenantId);
      await delay(betweenMs);
    }
  }
  const left = await countWaiting(ledger);
  if (left === 0) throw new Error('the backlog was gone before the last round');
  const starts = await listStarts(ledger, probes);
  client.close();
  await Promise.all([open, api, dispatcher, ...workers].map((one) => one.stop()));
  return { measured, starts };
}

async function loadBacklog(url: string, texts: readonly string[], itemsPerJob: number): Promise<void> {
  const client = createHttpClient(url, { connectionsMax: 64, timeoutMs: 30_000 });
  const requests = Array.from({ length: backlogItems / itemsPerJob }, (_, index) =>
    buildRequest('POST', '/v1/jobs', {
      body: {
        kind: 'emotion',
        user_id: `invented-${index % people}`,
        input: {
          texts: Array.from(
            { length: itemsPerJob },
            (__, item) => texts[(index * itemsPerJob + item) % texts.length],
          ),
        },
      },
    }),
  );
  const answers = await sendAll(client, requests, 64);
  client.close();
  const refused = answers.find(({ status }) => status !== 202);
  if (refused !== undefined) throw new Error(`the backlog was refused: ${refused.body}`);
}

const idSchema = z.object({ id: z.string() });

/** One job after another, each at a moment by chance, until the time is over. @returns their ids in the ledger */
async function probe({ client, rival, texts, random }: Stage, ends: number): Promise<readonly string[]> {
  const ids: string[] = [];
  while (performance.now() < ends) {
    await delay(random() * pauseMsMax);
    const text = texts[Math.floor(random() * texts.length)];
    const headers = { Authorization: rival.authorization, Prefer: 'wait=60' };
    const body = { kind: 'emotion', input: { text } };
    const answer = await client.send(buildRequest('POST', '/v1/jobs', { body, headers }));
    if (answer.status !== 200) throw new Error(`a single job was not done in time: ${answer.body}`);
    ids.push(idSchema.parse(JSON.parse(answer.body)).id.slice('job_'.length));
  }
  return ids;
}

async function addRival({ ledger, rival, texts }: Stage): Promise<void> {
  const model = describeModel('emotion');
  for (let from = 0; from < rivalJobs; from += 1000) {
    const group = Array.from({ length: 1000 }, (_, index) => texts[(from + index) % texts.length] ?? '');
    await insertWaiting(ledger, rival.tenantId, model, group);
  }
  // Now both share, from here to the end of the phase.
  await delay(betweenMs);
}

async function countWaiting(ledger: Ledger): Promise<number> {
  const { rows } = await ledger.query(`SELECT FROM jobs WHERE status = 'queued' LIMIT 1`);
  return rows.length;
}

interface Reading {
  readonly items: number;
  readonly tokens: number;
  readonly padding: number;
  readonly cpu: Readonly<Record<string, number>>;
}

async function read({ workers, pids }: Stage): Promise<Reading> {
  const pages = await Promise.all(workers.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
  const cpu = readCpuTimes(pids);
  const sum = (pattern: RegExp) =>
    pages.reduce((total, page) => total + Number(pattern.exec(page)?.[1] ?? 0), 0);
  return {
    items: sum(/^soma_items_inferred_total\{kind="emotion"\} (\S+)$/m),
    tokens: sum(/^soma_tokens_total\{kind="emotion",type="real"\} (\S+)$/m),
    padding: sum(/^soma_tokens_total\{kind="emotion",type="padding"\} (\S+)$/m),
    cpu,
  };
}

function compare(before: Reading, after: Reading) {
  const items = after.items - before.items;
  const perItem = (names: readonly string[]) => {
    const seconds = names.reduce((sum, name) => sum + (after.cpu[name] ?? 0) - (before.cpu[name] ?? 0), 0);
    return round((seconds * 1e6) / items, 1);
  };
  return {
    items,
    cpuMicrosecondsPerItem: perItem(Object.keys(after.cpu).filter((name) => name !== 'client')),
    modelMicrosecondsPerItem: perItem(['inference']),
    padding: round(1 + (after.padding - before.padding) / (after.tokens - before.tokens), 3),
  };
}

function summarize(
  itemsPerJob: number,
  measured: readonly Measured[],
  starts: readonly (JobStart & { readonly itemsPerJob: number })[],
) {
  const own = starts.filter((start) => start.itemsPerJob === itemsPerJob);
  const of = (phase: Phase) =>
    measured.filter((one) => one.itemsPerJob === itemsPerJob && one.phase === phase);
  const cpu = (phase: Phase) => of(phase).map((one) => one.cpuMicrosecondsPerItem);
  // Rounds are pairs: the machine's mood in one is that of both.
  const toAlone = (phase: Phase) =>
    round(median(cpu(phase).map((value, index) => value / (cpu('alone')[index] ?? Number.NaN))), 3);
  const most = (values: readonly number[]) => Math.max(...values);
  return {
    itemsPerJob,
    probes: own.length,
    poolsAheadMost: most(own.map((start) => start.pools_ahead)),
    poolsAheadEverywhereMost: most(own.map((start) => start.pools_ahead_everywhere)),
    itemsAheadMost: most(own.map((start) => start.items_ahead)),
    poolItemsMost: most(own.map((start) => start.pool_items)),
    startMs: {
      p50: round(
        quantile(
          own.map((start) => start.wait_ms),
          0.5,
        ),
        1,
      ),
      max: round(most(own.map((start) => start.wait_ms)), 1),
    },
    probesToAlone: toAlone('probes'),
    rivalToAlone: toAlone('rival'),
    phases: phases.map((phase) => ({
      phase,
      cpuMicrosecondsPerItem: round(median(cpu(phase)), 0),
      modelMicrosecondsPerItem: round(median(of(phase).map((one) => one.modelMicrosecondsPerItem)), 0),
      padding: round(median(of(phase).map((one) => one.padding)), 3),
    })),
  };
}

function printSummary(summary: readonly ReturnType<typeof summarize>[]): void {
  printTable(
    ['backlog', 'phase', 'CPU µs/item', 'of it the model', 'padding'],
    summary.flatMap((one) =>
      one.phases.map((phase) => [
        `jobs of ${one.itemsPerJob}`,
        phase.phase,
        phase.cpuMicrosecondsPerItem,
        phase.modelMicrosecondsPerItem,
        phase.padding,
      ]),
    ),
  );
  printTable(
    [
      'single jobs behind',
      'count',
      'pools ahead',
      'on both workers',
      'items ahead',
      'start p50 ms',
      'max ms',
    ],
    summary.map((one) => [
      `jobs of ${one.itemsPerJob}`,
      one.probes,
      one.poolsAheadMost,
      one.poolsAheadEverywhereMost,
      one.itemsAheadMost,
      one.startMs.p50,
      one.startMs.max,
    ]),
  );
}
