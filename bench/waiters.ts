// 500 clients that wait for a job each: how soon after the commit of its end each has its answer, when the jobs end one
// after another and when all end at once, and whether anybody asks the database meanwhile.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { microsecondsPerText, readCpuTimes } from './cpu-time.ts';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { type Ledger, openLedger } from './ledger.ts';
import type { BenchOptions } from './options.ts';
import { printTable, quantile, round, startReport, writeReport } from './report.ts';
import { startSystem, type System } from './system.ts';
import { readTexts } from './texts.ts';

const waiters = 500;
const idleSeconds = 8;
const openMsMax = 20_000;
const settleMs = 2000;
/** Over how long the jobs of a round fall due, in seconds. */
const shapes = { spread: 10, burst: 0 } as const;
/** From the submit of the first to the first that is due: the waits are opened and the idle time is measured in it. */
const leadMs = 20_000;

type Shape = keyof typeof shapes;

interface Round {
  readonly shape: Shape;
  /** Statements of the clients' reads while all waited. */
  readonly reads: number;
  readonly unfinished: number;
  /** CPU of the API from before the first job fell due. */
  readonly apiMicrosecondsPerAnswer: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** @returns whether the answers are quick and nobody polled. */
export async function measureWaiters(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const ledger = openLedger();
  await expectCommitTimes(ledger);
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax: waiters + 50, timeoutMs: 70_000 });
  const warm = buildRequest('POST', '/v1/jobs', {
    body: { kind: 'emotion', input: { texts: texts.slice(0, 50) } },
    headers: { Prefer: 'wait=30' },
  });
  await sendAll(
    client,
    Array.from({ length: 20 }, () => warm),
    10,
  );
  const rounds: Round[] = [];
  for (const shape of ['spread', 'burst'] as const)
    rounds.push(await runRound({ client, ledger, system, texts, shape }));
  client.close();
  await Promise.all([ledger.end(), system.stop()]);

  printTable(
    [
      '500 waiters',
      'commit to answer: p50 ms',
      'p95 ms',
      'p99 ms',
      'max ms',
      'unfinished',
      'reads while idle',
    ],
    rounds.map((one) => [one.shape, one.p50Ms, one.p95Ms, one.p99Ms, one.maxMs, one.unfinished, one.reads]),
  );
  const atMost = (name: string, value: number, bound: number) =>
    ({ name, value, bound, holds: 'at most' }) as const;
  return writeReport(started, {
    part: 'waiters',
    seed: options.seed,
    kind: 'emotion',
    settings: { source, waiters, idleSeconds, shapes, clock: 'pg_xact_commit_timestamp to the last byte' },
    rounds,
    summary: Object.fromEntries(rounds.map((one) => [one.shape, one])),
    figures: rounds.flatMap(({ shape, p95Ms, reads, unfinished }) => [
      atMost(`${shape}: commit to answer, p95 ms`, p95Ms, 20),
      atMost(`${shape}: reads of the database while ${waiters} wait`, reads, 0),
      atMost(`${shape}: answers without the end`, unfinished, 0),
    ]),
  });
}

const jobSchema = z.object({ id: z.string(), status: z.string() });

async function runRound(args: {
  readonly client: HttpClient;
  readonly ledger: Ledger;
  readonly system: System;
  readonly texts: readonly string[];
  readonly shape: Shape;
}): Promise<Round> {
  const { client, ledger, shape } = args;
  const firstMs = Date.now() + leadMs;
  const submits = Array.from({ length: waiters }, (_, index) => {
    const dueMs = firstMs + (index * shapes[shape] * 1000) / waiters;
    const input = { text: args.texts[index % args.texts.length] };
    return buildRequest('POST', '/v1/jobs', {
      body: { kind: 'emotion', input, not_before: new Date(dueMs).toISOString() },
    });
  });
  const ids = (await sendAll(client, submits, 50)).map(({ body }) => jobSchema.parse(JSON.parse(body)).id);
  const waits = ids.map(async (id) => {
    const { body } = await client.send(buildRequest('GET', `/v1/jobs/${id}?wait=60`));
    return { id, body, atMs: Date.now() };
  });
  await untilWaiting(args.system.url);
  // Who has just come to wait still looks once.
  await delay(settleMs);
  const reads = await countReads(client, ledger, ids[0] ?? '');
  if (Date.now() > firstMs) throw new Error('the first job fell due before the idle time was over');
  const before = readCpuTimes(args.system.pids);
  const answers = await Promise.all(waits);
  const cpu = microsecondsPerText(before, readCpuTimes(args.system.pids), waiters);
  const committed = await listCommitTimes(ledger, ids);
  const ended = answers.filter(({ body }) => jobSchema.parse(JSON.parse(body)).status === 'succeeded');
  const ms = ended.map(({ id, atMs }) => atMs - (committed.get(id) ?? Number.NaN));
  const at = (part: number) => round(quantile(ms, part), 1);
  return {
    shape,
    reads,
    unfinished: answers.length - ended.length,
    apiMicrosecondsPerAnswer: cpu['api'] ?? Number.NaN,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}

async function untilWaiting(url: string): Promise<void> {
  const deadline = performance.now() + openMsMax;
  while (performance.now() < deadline) {
    const page = await (await fetch(`${url}/metrics`)).text();
    if (page.includes(`\nsoma_waiters ${waiters}\n`)) return;
    await delay(50);
  }
  throw new Error(`not all of ${waiters} clients came to wait`);
}

/**
 * Connections that read jobs for clients do nothing else, and are never closed: their last statement's start tells
 * whether there was one. One read at the end shows that it would have been seen.
 */
async function countReads(client: HttpClient, ledger: Ledger, id: string): Promise<number> {
  const since = await now(ledger);
  await delay(idleSeconds * 1000);
  const reads = await countReadsSince(ledger, since);
  await client.send(buildRequest('GET', `/v1/jobs/${id}`));
  if ((await countReadsSince(ledger, since)) === 0) throw new Error('reads cannot be seen');
  return reads;
}

async function now(ledger: Ledger): Promise<string> {
  const { rows } = await ledger.query('SELECT clock_timestamp()::text AS now');
  return z.tuple([z.object({ now: z.string() })]).parse(rows)[0].now;
}

async function countReadsSince(ledger: Ledger, since: string): Promise<number> {
  const { rows } = await ledger.query(
    `SELECT count(*)::integer AS reads FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND query_start > $1::timestamptz
       AND query ~ '(from "jobs"|from "analyses"|from "job_events"|app\\.tenant)'`,
    [since],
  );
  return z.tuple([z.object({ reads: z.number() })]).parse(rows)[0].reads;
}

async function expectCommitTimes(ledger: Ledger): Promise<void> {
  const { rows } = await ledger.query('SHOW track_commit_timestamp');
  const [{ track_commit_timestamp: tracked }] = z
    .tuple([z.object({ track_commit_timestamp: z.string() })])
    .parse(rows);
  if (tracked !== 'on') throw new Error('this part needs a Postgres with track_commit_timestamp=on');
}

/** When the transaction that wrote each job last was committed, in milliseconds since 1970: that of its end. */
async function listCommitTimes(ledger: Ledger, ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const { rows } = await ledger.query(
    `SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8 * 1000 AS ms FROM jobs
     WHERE id = ANY($1::uuid[])`,
    [ids.map((id) => id.slice('job_'.length))],
  );
  const times = z.array(z.object({ id: z.string(), ms: z.number() })).parse(rows);
  return new Map(times.map(({ id, ms }) => [`job_${id}`, ms]));
}
