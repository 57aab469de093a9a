// Three times what the workers can do, each job with two seconds: how much of it is there in time with deadlines, and how
// much of the same load without them, first come first served.

import { createHttpClient, type HttpClient } from './http-client.ts';
import type { BenchOptions } from './options.ts';
import {
  buildJob,
  momentsAt,
  readJobs,
  type SeenJob,
  sendAt,
  sendInLoops,
  sumItems,
  untilDrained,
} from './queue-load.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import { startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const itemsPerJob = 20;
const overload = 3;
const deadlineMs = 2000;
const loopClients = 64;
const legSeconds = 20;

interface Leg {
  readonly offeredItemsPerSecond: number;
  /** Items of jobs that ended within two seconds, from when the queue was full on. */
  readonly goodputItemsPerSecond: number;
  readonly refusedJobs: number;
  readonly jobs: Readonly<Record<string, number>>;
  readonly itemsInferredLate: number;
}

/** @returns whether no item was inferred late and the goodput is near capacity. */
export async function measureDeadlines(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { source, texts } = readTexts(options.texts, options.seed);
  const seconds = options.seconds ?? legSeconds;
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax: 500, timeoutMs: 75_000 });
  const capacity = async (): Promise<number> => {
    const headers = { Prefer: 'wait=60' };
    const job = (index: number): Buffer => buildJob(texts, index * itemsPerJob, itemsPerJob, { headers });
    return (itemsPerJob * (await sendInLoops(client, loopClients, seconds, job))) / seconds;
  };
  await capacity();
  const before = await capacity();
  const rate = (overload * before) / itemsPerJob;
  const timed = await runLeg(client, texts, { rate, seconds, withDeadlines: true });
  const after = await capacity();
  // Last, since it leaves most of its jobs queued.
  const fifo = await runLeg(client, texts, { rate, seconds, withDeadlines: false });
  client.close();
  await system.stop();
  const capacityItems = (before + after) / 2;
  printTable(
    ['3x capacity', 'offered items/s', 'in time items/s', 'of capacity', 'inferred late'],
    [
      { name: 'deadlines of 2 s', ...timed },
      { name: 'first come first served', ...fifo },
    ].map((leg) => [
      leg.name,
      Math.round(leg.offeredItemsPerSecond),
      Math.round(leg.goodputItemsPerSecond),
      round(leg.goodputItemsPerSecond / capacityItems, 3),
      leg.itemsInferredLate,
    ]),
  );
  return writeReport(started, {
    part: 'deadlines',
    seed: options.seed,
    kind: 'emotion',
    settings: { seconds, itemsPerJob, overload, deadlineMs, source },
    rounds: { capacity: [before, after], deadlines: timed, fifo },
    summary: {
      capacityItemsPerSecond: Math.round(capacityItems),
      fifoOfCapacity: round(fifo.goodputItemsPerSecond / capacityItems, 3),
    },
    figures: [
      {
        name: 'items inferred after their deadline',
        value: timed.itemsInferredLate,
        bound: 0,
        holds: 'at most',
      },
      {
        name: 'items in time / capacity, at 3x capacity with deadlines of 2 s',
        value: round(timed.goodputItemsPerSecond / capacityItems, 3),
        bound: 0.9,
        holds: 'at least',
      },
    ],
  });
}

async function runLeg(
  client: HttpClient,
  texts: readonly string[],
  leg: { readonly rate: number; readonly seconds: number; readonly withDeadlines: boolean },
): Promise<Leg> {
  const startMs = Date.now();
  const job = (index: number): Buffer => {
    const deadline = { deadline_at: new Date(Date.now() + deadlineMs).toISOString() };
    const more = leg.withDeadlines ? { fields: deadline } : {};
    return buildJob(texts, index * itemsPerJob, itemsPerJob, more);
  };
  const answers = await sendAt(client, momentsAt(leg.rate, leg.seconds), job);
  // Until those that were let in have ended, one way or the other.
  if (leg.withDeadlines) await untilDrained(client, startMs);
  const jobs = await readJobs(client, startMs);
  const isMeasured = ({ endedMs }: SeenJob): boolean =>
    endedMs >= startMs + deadlineMs && endedMs < startMs + leg.seconds * 1000;
  const dueMs = ({ createdMs }: SeenJob): number => createdMs + deadlineMs;
  const inTime = jobs.filter(
    (one) => isMeasured(one) && one.status === 'succeeded' && one.endedMs <= dueMs(one),
  );
  const late = jobs.filter((one) => one.status === 'succeeded' && one.inferredMs > dueMs(one));
  return {
    offeredItemsPerSecond: leg.rate * itemsPerJob,
    goodputItemsPerSecond: sumItems(inTime) / (leg.seconds - deadlineMs / 1000),
    refusedJobs: answers.filter(({ status }) => status !== 202).length,
    jobs: countBy(jobs),
    itemsInferredLate: sumItems(late),
  };
}

function countBy(jobs: readonly SeenJob[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of jobs) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
