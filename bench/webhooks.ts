// `npm run bench -- webhooks`: deliveries a second to a receiver on the same cores, what a dead endpoint does to healthy
// ones, and what webhooks cost a tenant that has none.

import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { z } from 'zod';
import { type Receiver, startReceiver } from '../scripts/live-receiver.ts';
import { defaultTenantId } from '../shared/job.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { measureTriggerCost, readTicks } from './webhooks-cost.ts';
import { createWebhookSystem, type WebhookSystem } from './webhooks-system.ts';

const throughputEndpoints = 10;
const throughputJobs = 300;
const healthyEndpoints = 20;
const deadPending = 10_000;
/** Jobs that end a second, each told to every healthy endpoint: 100 deliveries a second. */
const jobsPerSecond = 5;

export async function measureWebhooks({ rounds = 5, seconds = 6, seed }: BenchOptions): Promise<boolean> {
  const started = startReport();
  const { rates, senderMs } = await measureThroughput(rounds);
  const pairs = await measureDeadBesideHealthy(rounds, seconds);
  const cost = await measureTriggerCost();
  const rate = round(median(rates), 0);
  const ratios = pairs.map((pair) => pair.withDead / pair.alone);
  printTable(
    ['', 'alone', 'beside a dead one'],
    pairs.map(({ alone, withDead }, index) => [
      `pair ${index + 1}, p95 ms`,
      round(alone, 1),
      round(withDead, 1),
    ]),
  );
  printTable(
    ['statement, 256 jobs, ms', 'without trigger', 'with', 'ratio'],
    (['insert', 'start', 'complete'] as const).map((name) => [
      name,
      cost.medianMs.without[name] ?? 0,
      cost.medianMs.with[name] ?? 0,
      cost.ratios[name],
    ]),
  );
  return writeReport(started, {
    part: 'webhooks',
    seed,
    kind: 'emotion',
    settings: {
      rounds,
      seconds,
      throughput: { endpoints: throughputEndpoints, deliveries: throughputEndpoints * throughputJobs },
      dead: {
        healthy: healthyEndpoints,
        pending: deadPending,
        deliveriesPerSecond: jobsPerSecond * healthyEndpoints,
      },
    },
    rounds: { rates, pairs },
    summary: {
      deliveriesPerSecond: rate,
      senderCpuMsPerDelivery: senderMs,
      p95Ratio: round(median(ratios), 3),
      triggerCost: cost,
    },
    figures: [
      { name: 'deliveries per second', value: rate, bound: 300, holds: 'at least' },
      {
        name: 'healthy p95 beside a dead endpoint, times that without',
        value: round(median(ratios), 3),
        bound: 1.2,
        holds: 'at most',
      },
      {
        name: 'completing 256 jobs of a tenant without webhooks, times that without the trigger',
        value: cost.ratios.complete,
        bound: 1.05,
        holds: 'at most',
      },
    ],
  });
}

interface Throughput {
  /** Deliveries a second, from the commit that makes them to the last arrival, per round. */
  readonly rates: readonly number[];
  /** CPU of the webhooks process per delivery, in milliseconds. */
  readonly senderMs: number;
}

async function measureThroughput(rounds: number): Promise<Throughput> {
  const webhooks = await createWebhookSystem();
  const receiver = await startReceiver();
  try {
    for (let index = 0; index < throughputEndpoints; index++)
      await webhooks.addEndpoint(defaultTenantId, `${receiver.address}/${index}`);
    const { pid } = await webhooks.startSender();
    const rates: number[] = [];
    let ticksBefore = 0;
    // The first round warms up.
    for (let index = 0; index <= rounds; index++) {
      const jobs = await webhooks.addJobs(defaultTenantId, throughputJobs);
      if (index === 1) ticksBefore = readTicks(pid);
      const wanted = receiver.received.length + throughputJobs * throughputEndpoints;
      const startedMs = performance.now();
      await webhooks.endJobs(defaultTenantId, jobs);
      await receiver.until('all deliveries', (all) => all.length >= wanted, 120_000);
      const rate = (throughputJobs * throughputEndpoints) / ((performance.now() - startedMs) / 1000);
      if (index > 0) rates.push(round(rate, 1));
    }
    const cpuMs = (readTicks(pid) - ticksBefore) * 10;
    return { rates, senderMs: round(cpuMs / (rounds * throughputJobs * throughputEndpoints), 3) };
  } finally {
    await webhooks.close();
    await receiver.close();
  }
}

interface Pair {
  /** p95 in milliseconds from the end of a job to its message at the receiver. */
  readonly alone: number;
  readonly withDead: number;
}

async function measureDeadBesideHealthy(rounds: number, seconds: number): Promise<Pair[]> {
  const webhooks = await createWebhookSystem();
  const receiver = await startReceiver();
  const blackHole = await startBlackHole();
  const deadTenant = v7();
  try {
    for (let index = 0; index < healthyEndpoints; index++)
      await webhooks.addEndpoint(defaultTenantId, `${receiver.address}/${index}`);
    const dead = await webhooks.addEndpoint(deadTenant, blackHole.url);
    await webhooks.startSender();
    await measureLatency(webhooks, receiver, 2);
    const pairs: Pair[] = [];
    for (let index = 0; index < rounds; index++) {
      const measured = { alone: 0, withDead: 0 };
      for (const side of index % 2 === 0
        ? (['alone', 'withDead'] as const)
        : (['withDead', 'alone'] as const)) {
        if (side === 'withDead') await fillDead(webhooks, deadTenant);
        await delay(1000);
        measured[side] = await measureLatency(webhooks, receiver, seconds);
        if (side === 'withDead') await emptyDead(webhooks, dead);
      }
      pairs.push({ alone: round(measured.alone, 2), withDead: round(measured.withDead, 2) });
    }
    return pairs;
  } finally {
    await webhooks.close();
    await receiver.close();
    await blackHole.close();
  }
}

/** p95 of `seconds` of jobs that end at an even pace. */
async function measureLatency(webhooks: WebhookSystem, receiver: Receiver, seconds: number): Promise<number> {
  const count = jobsPerSecond * seconds;
  const jobs = await webhooks.addJobs(defaultTenantId, count);
  const before = receiver.received.length;
  const endedMs = new Map<string, number>();
  const startedMs = performance.now();
  for (const [index, job] of jobs.entries()) {
    await delay(Math.max(0, startedMs + (index * 1000) / jobsPerSecond - performance.now()));
    endedMs.set(job, performance.now());
    await webhooks.endJobs(defaultTenantId, [job]);
  }
  await receiver.until('all deliveries', (all) => all.length >= before + count * healthyEndpoints, 60_000);
  const latencies = receiver.received.slice(before).flatMap(({ body, atMs }) => {
    const { data } = z.object({ data: z.object({ id: z.string() }) }).parse(JSON.parse(body));
    const ended = endedMs.get(data.id.slice('job_'.length));
    return ended === undefined ? [] : [atMs - ended];
  });
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? Number.NaN;
}

async function fillDead(webhooks: WebhookSystem, tenantId: string): Promise<void> {
  for (let made = 0; made < deadPending; made += 1000)
    await webhooks.endJobs(tenantId, await webhooks.addJobs(tenantId, 1000));
}

async function emptyDead({ worker }: WebhookSystem, endpointId: string): Promise<void> {
  await worker.query('DELETE FROM deliveries WHERE endpoint_id = $1', [endpointId]);
}

/** Takes connections and never says a word: what costs a sender most. */
async function startBlackHole(): Promise<{ url: string; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
