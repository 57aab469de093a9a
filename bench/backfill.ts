// What live traffic feels of a backfill: requests at a constant rate, with and without a backfill behind them, in pairs
// whose halves follow each other, so that the neighbours of this machine weigh on both.

import { build } from 'hdr-histogram-js';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { childEnv, packageRoot } from '../shared/config.ts';
import { buildRequest, createHttpClient, type HttpClient } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import { sendInLoops } from './queue-load.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { startSystem, type System } from './system.ts';
import { generateTexts } from './texts.ts';

/** Live jobs, of one text each and normal priority, come at this share of the rate at which the system does such. */
const liveShare = 0.1;
const capacitySeconds = 6;
const capacityClients = 64;
const waitSeconds = 10;
const warmUpSeconds = 3;
/** More than a run can do. */
const backfillRows = 100_000;
const chunkRows = 500;
const limitMs = 180_000;

interface Half {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly errors: number;
}

interface Pair {
  readonly alone: Half;
  readonly beside: Half;
  readonly ratio: number;
  readonly backfillRowsPerSecond: number;
}

/** @returns whether live requests are served about as fast beside a backfill as without one. */
export async function measureBackfill(options: BenchOptions): Promise<boolean> {
  const { rounds = 5, seconds = 10, seed } = options;
  const started = startReport();
  const folder = mkdtempSync(join(tmpdir(), 'soma-bench-'));
  const input = join(folder, 'rows.jsonl');
  const lines = generateTexts(backfillRows, seed + 1).map((text) => JSON.stringify({ text }));
  writeFileSync(input, `${lines.join('\n')}\n`);
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax: 500, timeoutMs: (waitSeconds + 5) * 1000 });
  const requests = generateTexts(5000, seed).map((text) =>
    buildRequest('POST', '/v1/jobs', {
      body: { kind: 'emotion', input: { text } },
      headers: { Prefer: `wait=${waitSeconds}` },
    }),
  );
  const request = (index: number): Buffer => requests[index % requests.length] ?? Buffer.of();
  const done = await sendInLoops(client, capacityClients, capacitySeconds, request);
  const ratePerSecond = Math.max(1, Math.round((liveShare * done) / capacitySeconds));
  const run = () => runAtRate(client, request, { ratePerSecond, seconds });
  await runAtRate(client, request, { ratePerSecond, seconds: warmUpSeconds });
  const pairs: Pair[] = [];
  for (let number = 0; number < rounds; number++) {
    const output = join(folder, `results-${number}.jsonl`);
    const measureBeside = () => besideBackfill(system, { input, output }, run);
    // Every second pair the other way round, so that a drift of the machine favours neither.
    const first = number % 2 === 0 ? await run() : undefined;
    const { half: beside, rowsPerSecond } = await measureBeside();
    const alone = first ?? (await run());
    pairs.push({
      alone,
      beside,
      ratio: round(beside.p95Ms / alone.p95Ms, 3),
      backfillRowsPerSecond: rowsPerSecond,
    });
  }
  client.close();
  await system.stop();
  rmSync(folder, { recursive: true, force: true });
  return report(started, options, { rounds, seconds, ratePerSecond, pairs });
}

function report(
  started: ReturnType<typeof startReport>,
  { seed }: BenchOptions,
  measured: { rounds: number; seconds: number; ratePerSecond: number; pairs: readonly Pair[] },
): boolean {
  const { pairs, ...settings } = measured;
  printTable(
    ['pair', 'alone p95 ms', 'beside p95 ms', 'ratio', 'backfill rows/s'],
    pairs.map(({ alone, beside, ratio, backfillRowsPerSecond }, index) => [
      String(index + 1),
      alone.p95Ms,
      beside.p95Ms,
      ratio,
      backfillRowsPerSecond,
    ]),
  );
  const errors = pairs.reduce((sum, { alone, beside }) => sum + alone.errors + beside.errors, 0);
  const rate = round(median(pairs.map((pair) => pair.backfillRowsPerSecond)), 0);
  return writeReport(started, {
    part: 'backfill',
    seed,
    kind: 'emotion',
    settings: { ...settings, liveShare, waitSeconds, chunkRows, backfillRows },
    rounds: pairs,
    summary: { medianRatio: median(pairs.map(({ ratio }) => ratio)), backfillRowsPerSecond: rate },
    figures: [
      {
        name: 'live p95 beside a backfill, to p95 without (median of the pairs)',
        value: round(median(pairs.map(({ ratio }) => ratio)), 3),
        bound: 1.2,
        holds: 'at most',
      },
      // A backfill that stands still would disturb nobody.
      { name: 'rows per second of the backfill meanwhile', value: rate, bound: 1, holds: 'at least' },
      { name: 'live requests without a result', value: errors, bound: 0, holds: 'at most' },
    ],
  });
}

/** Measures while a backfill is at work, then stops it and waits until nothing of it is left. */
async function besideBackfill(
  system: System,
  files: { readonly input: string; readonly output: string },
  measure: () => Promise<Half>,
): Promise<{ readonly half: Half; readonly rowsPerSecond: number }> {
  const child = startBackfill(system, files);
  try {
    await untilTrue('the first results of the backfill', () => Promise.resolve(countRows(files.output) > 0));
    const before = countRows(files.output);
    const startedMs = performance.now();
    const half = await measure();
    const rowsPerSecond = ((countRows(files.output) - before) * 1000) / (performance.now() - startedMs);
    return { half, rowsPerSecond: round(rowsPerSecond, 0) };
  } finally {
    child.kill('SIGINT');
    await untilTrue('the end of the backfill', () =>
      Promise.resolve(child.exitCode !== null || child.signalCode !== null),
    );
    await cancelBatches(system);
  }
}

function startBackfill(system: System, { input, output }: { input: string; output: string }): ChildProcess {
  const args = [
    'dist/scripts/backfill.js',
    input,
    '--output',
    output,
    '--chunk',
    String(chunkRows),
    '--quiet',
  ];
  return spawn(process.execPath, [...args, '--url', system.url], {
    cwd: packageRoot,
    env: childEnv({}),
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

function countRows(path: string): number {
  try {
    return readFileSync(path, 'latin1').split('\n').length - 1;
  } catch {
    return 0;
  }
}

const pageSchema = z.object({ data: z.array(z.object({ id: z.string(), status: z.string() })) });

/** What the stopped backfill has left on the server would weigh on the next half. */
async function cancelBatches({ url }: System): Promise<void> {
  const running = async (): Promise<readonly string[]> => {
    const answer = await fetch(`${url}/v1/batches?limit=100`);
    const { data } = pageSchema.parse(await answer.json());
    return data.filter(({ status }) => status !== 'ended').map(({ id }) => id);
  };
  for (const id of await running()) await fetch(`${url}/v1/batches/${id}/cancel`, { method: 'POST' });
  await untilTrue('the end of its batches', async () => (await running()).length === 0);
}

async function untilTrue(what: string, ask: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await ask())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`);
    await delay(50);
  }
}

/** An open loop: requests leave on time however slow the answers are, and count from when they were due. */
async function runAtRate(
  client: HttpClient,
  request: (index: number) => Buffer,
  { ratePerSecond, seconds }: { readonly ratePerSecond: number; readonly seconds: number },
): Promise<Half> {
  const microseconds = build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000 });
  let errors = 0;
  const sendDue = async (index: number, dueMs: number): Promise<void> => {
    const answer = await client.send(request(index)).catch(() => undefined);
    if (answer?.status !== 200) errors += 1;
    microseconds.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * 1000)));
  };
  const startMs = performance.now();
  const sent: Promise<void>[] = [];
  while (sent.length < ratePerSecond * seconds) {
    const dueMs = startMs + (sent.length * 1000) / ratePerSecond;
    const early = dueMs - performance.now();
    if (early > 0) await delay(early);
    else sent.push(sendDue(sent.length, dueMs));
  }
  await Promise.all(sent);
  const at = (percentile: number) => round(microseconds.getValueAtPercentile(percentile) / 1000, 1);
  return { p50Ms: at(50), p95Ms: at(95), p99Ms: at(99), errors };
}
