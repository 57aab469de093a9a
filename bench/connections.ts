// 1,000 clients, each on a connection of its own, submit at a constant rate while a backlog keeps the workers on the
// same cores busy: how long does a submit take? Submits alone are timed; their results join the backlog.

import { setTimeout as delay } from 'node:timers/promises';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { uniqueTexts } from './mix-texts.ts';
import { readMetrics, sumSamples } from './metrics-page.ts';
import { type Sample, runOpenLoop } from './open-loop.ts';
import type { BenchOptions } from './options.ts';
import type { Arrival } from './personas.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import type { Scenario } from './scenarios.ts';
import { type Percentiles, percentilesOf } from './stage-summary.ts';
import { startSystem, type System } from './system.ts';

const connections = 1000;
const ratePerSecond = 600;
const backlogJobs = 400;
const textsOfBacklogJob = 100;
const warmUpSeconds = 3;

/** Timed as a read is: the answer is the end of it. */
const submit: Scenario = {
  name: 'submit',
  weight: 1,
  measures: 'read',
  asks: { emotion: 1 },
  expects: [202],
  twoSteps: false,
  request: ({ texts }) =>
    buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input: { text: texts.emotion() } } }),
};

interface ConnectionsRound extends Percentiles {
  readonly errors: number;
  /** Texts that went through the models meanwhile, per second: the workers were busy. */
  readonly inferredPerSecond: number;
}

/** @returns whether submits stay within the bound and none fails. */
export async function measureConnections(options: BenchOptions): Promise<boolean> {
  const { seed, rounds: count = 5, seconds = 8 } = options;
  const started = startReport();
  const texts = uniqueTexts(seed);
  const hand = { userId: '', texts, random: Math.random };
  const arrivals = (forSeconds: number): readonly Arrival[] =>
    Array.from({ length: ratePerSecond * forSeconds }, (_, index) => ({
      dueMs: (index * 1000) / ratePerSecond,
      scenario: submit,
      request: submit.request(hand),
    }));
  const system = await startSystem();
  const client = createHttpClient(system.url, {
    connectionsMax: connections,
    timeoutMs: 60_000,
    take: 'in turn',
  });
  await openAll(client);
  await preload(client, texts.emotion);
  await runOpenLoop(client, arrivals(warmUpSeconds));
  const rounds: ConnectionsRound[] = [];
  for (let number = 0; number < count; number++) {
    rounds.push(await runRound(system, client, arrivals(seconds)));
    await delay(500);
  }
  client.close();
  await system.stop();
  printTable(
    ['connections', 'p50 ms', 'p95', 'p99', 'max', 'errors', 'inferred/s'],
    rounds.map((one, index) => [
      `round ${index + 1}`,
      one.p50,
      one.p95,
      one.p99,
      one.max,
      one.errors,
      one.inferredPerSecond,
    ]),
  );
  return writeReport(started, {
    part: 'connections',
    seed,
    kind: 'emotion',
    settings: {
      rounds: count,
      seconds,
      connections,
      ratePerSecond,
      backlogTexts: backlogJobs * textsOfBacklogJob,
    },
    rounds,
    summary: { p95Ms: median(rounds.map(({ p95 }) => p95)), p99Ms: median(rounds.map(({ p99 }) => p99)) },
    figures: [
      {
        name: '1,000 connections, open loop 600/s beside busy workers: accept p95 ms',
        value: median(rounds.map(({ p95 }) => p95)),
        bound: 200,
        aim: 50,
        holds: 'at most',
      },
      {
        name: 'the same: errors',
        value: rounds.reduce((sum, { errors }) => sum + errors, 0),
        bound: 0,
        holds: 'at most',
      },
    ],
  });
}

/** One request on each connection at once, so that all of them stand. */
async function openAll(client: HttpClient): Promise<void> {
  await sendAll(client, Array<Buffer>(connections).fill(buildRequest('GET', '/health/live')), connections);
}

async function preload(client: HttpClient, text: () => string): Promise<void> {
  const requests = Array.from({ length: backlogJobs }, () => {
    const input = { texts: Array.from({ length: textsOfBacklogJob }, text) };
    return buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', priority: 'low', input } });
  });
  const answers = await sendAll(client, requests, 8);
  const refused = answers.find(({ status }) => status !== 202);
  if (refused !== undefined) throw new Error(`the backlog was refused: ${refused.status} ${refused.body}`);
}

async function runRound(
  system: System,
  client: HttpClient,
  arrivals: readonly Arrival[],
): Promise<ConnectionsRound> {
  const inferred = async () => sumSamples(await readMetrics(system.workerUrls), 'soma_items_inferred_total{');
  const before = await inferred();
  const startMs = performance.now();
  const samples: readonly Sample[] = await runOpenLoop(client, arrivals);
  const seconds = (performance.now() - startMs) / 1000;
  const right = samples.filter(({ error }) => error === undefined);
  return {
    ...percentilesOf(right.map(({ doneMs }) => doneMs)),
    errors: samples.length - right.length,
    inferredPerSecond: round(((await inferred()) - before) / seconds, 0),
  };
}
