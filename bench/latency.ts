// How long a client waits for its result: with 64 clients that each wait for their answer before they ask again, and
// at constant rates where each request counts from the moment at which it was due.

import autocannon from 'autocannon';
import { build, type Histogram } from 'hdr-histogram-js';
import { setTimeout as delay } from 'node:timers/promises';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { startSystem, type System } from './system.ts';
import { readTexts } from './texts.ts';
import { warmUpRequests } from './warm-up.ts';

const ratesPerSecond = [50, 100, 200, 400] as const;
const closedLoopConnections = 64;
const waitSeconds = 10;
const connectionsMax = 1000;
const headers = { Prefer: `wait=${waitSeconds}` };

interface ClosedLoopRound {
  readonly resultsPerSecond: number;
  readonly p50Ms: number;
  readonly errors: number;
  /** Answers that came without the result because it was not there in time. */
  readonly unfinished: number;
}

interface OpenLoopRound {
  readonly ratePerSecond: number;
  readonly sent: number;
  readonly errors: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** @returns true: nothing is required of these figures yet. */
export async function measureLatency(options: BenchOptions): Promise<boolean> {
  const { rounds = 5, seconds = 4 } = options;
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax, timeoutMs: (waitSeconds + 5) * 1000 });
  const requests = texts.map((text) =>
    buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input: { text } }, headers }),
  );
  const first = Array.from(
    { length: warmUpRequests },
    (_, index) => requests[index % requests.length] ?? Buffer.of(),
  );
  await sendAll(client, first, closedLoopConnections);
  const closed: ClosedLoopRound[] = [];
  const open: OpenLoopRound[] = [];
  for (let number = 0; number < rounds; number++) {
    closed.push(await attack(system, texts, seconds));
    for (const rate of ratesPerSecond) open.push(await runAtRate(client, requests, { rate, seconds }));
  }
  client.close();
  await system.stop();
  const summary = { closedLoop: middleOf(closed), openLoop: summarizeOpen(open) };
  printSummary(summary);
  return writeReport(started, {
    part: 'latency',
    seed: options.seed,
    kind: 'emotion',
    settings: {
      ...options,
      rounds,
      seconds,
      source,
      texts: texts.length,
      warmUpRequests,
      closedLoopConnections,
      ratesPerSecond,
      headers,
    },
    rounds: { closedLoop: closed, openLoop: open },
    summary,
    figures: [],
  });
}

async function attack(system: System, texts: readonly string[], seconds: number): Promise<ClosedLoopRound> {
  let next = 0;
  const result = await autocannon({
    url: `${system.url}/v1/jobs`,
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: headers.Prefer },
    connections: closedLoopConnections,
    duration: seconds,
    timeout: waitSeconds + 5,
    setupClient: (client) =>
      client.setBody(JSON.stringify({ kind: 'emotion', input: { text: texts[next++ % texts.length] } })),
  });
  return {
    resultsPerSecond: round((result.statusCodeStats?.['200']?.count ?? 0) / result.duration, 1),
    p50Ms: result.latency.p50,
    errors: result.errors + result.non2xx,
    unfinished: result.statusCodeStats?.['202']?.count ?? 0,
  };
}

/** An open loop: requests leave on time however slow the answers are, and late ones still count from when they were due. */
async function runAtRate(
  client: HttpClient,
  requests: readonly Buffer[],
  { rate, seconds }: { readonly rate: number; readonly seconds: number },
): Promise<OpenLoopRound> {
  const microseconds = build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000 });
  let errors = 0;
  const sendDue = async (index: number, dueMs: number): Promise<void> => {
    const answer = await client.send(requests[index % requests.length] ?? Buffer.of()).catch(() => undefined);
    if (answer?.status !== 200) errors += 1;
    microseconds.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * 1000)));
  };
  const count = rate * seconds;
  const startMs = performance.now();
  const sent: Promise<void>[] = [];
  while (sent.length < count) {
    const dueMs = startMs + (sent.length * 1000) / rate;
    const early = dueMs - performance.now();
    if (early > 0) await delay(early);
    else sent.push(sendDue(sent.length, dueMs));
  }
  await Promise.all(sent);
  return { ratePerSecond: rate, sent: count, errors, ...percentiles(microseconds) };
}

function percentiles(microseconds: Histogram) {
  const at = (percentile: number) => round(microseconds.getValueAtPercentile(percentile) / 1000, 1);
  return { p50Ms: at(50), p90Ms: at(90), p95Ms: at(95), p99Ms: at(99), maxMs: at(100) };
}

function summarizeOpen(rounds: readonly OpenLoopRound[]): readonly OpenLoopRound[] {
  return ratesPerSecond.map((rate) => middleOf(rounds.filter(({ ratePerSecond }) => ratePerSecond === rate)));
}

/** The median of every field. Of errors and unfinished answers too: a median above 0 says that they are the rule. */
function middleOf<Round extends object>(rounds: readonly Round[]): Round {
  const [first] = rounds;
  if (first === undefined) throw new Error('no rounds');
  const middle = { ...first };
  for (const name of Object.keys(first))
    Object.assign(middle, { [name]: round(median(rounds.map((one) => Number(Reflect.get(one, name)))), 1) });
  return middle;
}

function printSummary(summary: { closedLoop: ClosedLoopRound; openLoop: readonly OpenLoopRound[] }): void {
  const { closedLoop, openLoop } = summary;
  printTable(
    ['closed loop', 'results/s', 'p50 ms', 'errors', 'unfinished'],
    [
      [
        `${closedLoopConnections} connections`,
        closedLoop.resultsPerSecond,
        closedLoop.p50Ms,
        closedLoop.errors,
        closedLoop.unfinished,
      ],
    ],
  );
  printTable(
    ['constant rate', 'p50 ms', 'p90 ms', 'p95 ms', 'p99 ms', 'max ms', 'errors'],
    openLoop.map((one) => [
      `${one.ratePerSecond}/s`,
      one.p50Ms,
      one.p90Ms,
      one.p95Ms,
      one.p99Ms,
      one.maxMs,
      one.errors,
    ]),
  );
}
