// Clients that together ask for three times what can be done, and come back when they are told to: how fast a refusal
// is, for one item and for a hundred, and how many are admitted when they come back.

import { setTimeout as delay } from 'node:timers/promises';
import { createHttpClient, type HttpClient } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import { buildJob, quantile, sendInLoops } from './queue-load.ts';
import { createRandom } from './random.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import { startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const sizes = [1, 100] as const;
const clients = 60;
const overload = 3;
const queueAgeMsMax = 2000;
const defaultSeconds = 60;
const capacitySeconds = 10;

interface Refusal {
  readonly items: number;
  readonly tookMs: number;
  readonly retryAfterSeconds: number;
}

interface Seen {
  readonly refusals: Refusal[];
  /** Whether those who came back when told were admitted. */
  readonly returns: boolean[];
  accepted: number;
}

/** @returns whether refusals are quick and honest. */
export async function measureOverload(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const seconds = options.seconds ?? defaultSeconds;
  const system = await startSystem({ env: { QUEUE_AGE_MS_MAX: String(queueAgeMsMax) } });
  const client = createHttpClient(system.url, { connectionsMax: clients, timeoutMs: 75_000 });
  const [few, many] = sizes;
  const itemsPerJob = (few + many) / 2;
  const waiting = { headers: { Prefer: 'wait=60' } };
  const done = await sendInLoops(client, 8, capacitySeconds, (index) =>
    buildJob(texts, Math.round(index * itemsPerJob), Math.round(itemsPerJob), waiting),
  );
  if (done === 0) throw new Error(`no job was done in ${capacitySeconds} s`);
  const capacity = (done * itemsPerJob) / capacitySeconds;
  // Each client's jobs are `pause` apart when none is refused.
  const pauseMs = (1000 * clients * itemsPerJob) / (overload * capacity);
  const seen = await runClients(client, texts, { seconds, pauseMs, seed: options.seed });
  client.close();
  await system.stop();
  const tookMs = (items: number, share: number): number =>
    round(
      quantile(
        seen.refusals.filter((refusal) => refusal.items === items).map((refusal) => refusal.tookMs),
        share,
      ),
      1,
    );
  const honest = seen.returns.filter(Boolean).length / seen.returns.length;
  const bySize = sizes.map((items) => ({
    items,
    refused: seen.refusals.filter((refusal) => refusal.items === items).length,
    p50Ms: tookMs(items, 0.5),
    p95Ms: tookMs(items, 0.95),
    p99Ms: tookMs(items, 0.99),
  }));
  printTable(
    ['refusals', 'number', 'p50 ms', 'p95 ms', 'p99 ms'],
    bySize.map(({ items, refused, p50Ms, p95Ms, p99Ms }) => [`${items} items`, refused, p50Ms, p95Ms, p99Ms]),
  );
  const retryAfter = seen.refusals.map(({ retryAfterSeconds }) => retryAfterSeconds);
  return writeReport(started, {
    part: 'overload',
    seed: options.seed,
    kind: 'emotion',
    settings: { seconds, clients, sizes, overload, queueAgeMsMax, source },
    rounds: { capacityItemsPerSecond: Math.round(capacity), accepted: seen.accepted, bySize },
    summary: {
      returns: seen.returns.length,
      retryAfterSeconds: { p50: quantile(retryAfter, 0.5), p95: quantile(retryAfter, 0.95) },
    },
    figures: [
      ...bySize.map(({ items, p95Ms }) => ({
        name: `p95 of a refusal of ${items} items, ms`,
        value: p95Ms,
        bound: 50,
        holds: 'at most' as const,
      })),
      {
        name: 'share admitted of those who came back when told',
        value: round(honest, 3),
        bound: 0.8,
        holds: 'at least',
      },
    ],
  });
}

async function runClients(
  client: HttpClient,
  texts: readonly string[],
  load: { readonly seconds: number; readonly pauseMs: number; readonly seed: number },
): Promise<Seen> {
  const endMs = performance.now() + load.seconds * 1000;
  const seen: Seen = { refusals: [], returns: [], accepted: 0 };
  const run = async (number: number): Promise<void> => {
    const random = createRandom(load.seed + number);
    const items = sizes[number % sizes.length] ?? 1;
    await delay(random() * load.pauseMs);
    let cameBack = false;
    for (let turn = 0; performance.now() < endMs; turn++) {
      const sentMs = performance.now();
      const answer = await client.send(buildJob(texts, (number * 1000 + turn) * items, items));
      if (cameBack) seen.returns.push(answer.status === 202);
      cameBack = answer.status === 503;
      if (answer.status === 202) seen.accepted += 1;
      else if (answer.status !== 503) throw new Error(`an answer of ${answer.status}: ${answer.body}`);
      const retryAfterSeconds = answer.retryAfterSeconds ?? 0;
      if (cameBack) seen.refusals.push({ items, tookMs: performance.now() - sentMs, retryAfterSeconds });
      await delay(cameBack ? retryAfterSeconds * 1000 : -Math.log(1 - random()) * load.pauseMs);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => run(number)));
  return seen;
}
