// A whole system that a fault run can break: its own Redis, database and processes, a client that keeps the id of
// every job that was accepted, and the two runs that the reports and the tests have in common.

import { hostname } from 'node:os';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { freePort } from '../../scripts/free-port.ts';
import {
  createLiveSystem,
  type LiveProcess,
  type LiveSystem,
  startRedis,
  until,
} from '../../scripts/live-system.ts';
import { createRandom, pickIndex } from '../random.ts';
import { type Audit, audit } from './audit.ts';

/** Clients that submit at the same time. */
const lanes = 32;
const drainMsMax = 400_000;

interface FaultSystem {
  readonly system: LiveSystem;
  readonly api: LiveProcess;
  readonly workers: LiveProcess[];
  readonly flushAll: () => Promise<void>;
  readonly close: () => Promise<void>;
}

async function startFaultSystem(workers: number): Promise<FaultSystem> {
  const port = await freePort();
  const server = startRedis(port);
  const system = await createLiveSystem({ REDIS_URL: `redis://127.0.0.1:${port}` });
  const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  await redis.ping();
  const [api, , ...started] = await Promise.all([
    system.start('api'),
    system.start('dispatcher'),
    ...Array.from({ length: workers }, () => system.start('analysis')),
  ]);
  return {
    system,
    api,
    workers: started,
    flushAll: async () => {
      await redis.flushall();
    },
    close: async () => {
      redis.disconnect();
      await system.close();
      await server.stop('SIGKILL', 0);
    },
  };
}

const words = [
  'I',
  'love',
  'this',
  'so',
  'sad',
  'angry',
  'why',
  'thanks',
  'not',
  'happy',
  'today',
  'sorry',
  '😀',
];
const idSchema = z.object({ id: z.string() });

/** Submits `jobs` jobs of one to three items; adds the id of each 202 to `accepted`. */
export async function submitAll(
  api: string,
  jobs: number,
  random: () => number,
  accepted: string[],
): Promise<void> {
  const numbers = Array.from({ length: jobs }, (_, index) => index).values();
  const lane = async (): Promise<void> => {
    for (const number of numbers) {
      const items = number % 10 === 0 ? 3 : 1;
      const texts = Array.from({ length: items }, () => makeText(random));
      const response = await fetch(`${api}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ kind: 'emotion', input: { texts } }),
        signal: AbortSignal.timeout(60_000),
      });
      const body: unknown = await response.json();
      if (response.status === 202) accepted.push(idSchema.parse(body).id);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function makeText(random: () => number): string {
  const length = 3 + pickIndex(random, 20);
  return Array.from({ length }, () => words[pickIndex(random, words.length)]).join(' ');
}

async function countTerminal(system: LiveSystem): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    'SELECT count(*)::integer AS count FROM jobs WHERE ended_at IS NOT NULL',
  );
  return rows[0]?.count ?? 0;
}

export async function untilTerminal(system: LiveSystem, count: number): Promise<void> {
  const what = `${count} jobs to end`;
  await until(what, async () => ((await countTerminal(system)) >= count ? true : undefined), drainMsMax);
}

/** Milliseconds since 1970 at which workers died, by their names in the ledger. */
type Deaths = Map<string, number>;

async function killOne(faults: FaultSystem, random: () => number, deaths: Deaths): Promise<void> {
  const [victim] = faults.workers.splice(pickIndex(random, faults.workers.length), 1);
  if (victim === undefined) return;
  await victim.kill();
  deaths.set(`${hostname()}:${victim.pid}`, Date.now());
  faults.workers.push(await faults.system.start('analysis'));
}

export interface CrashRun {
  readonly audit: Audit;
  readonly kills: number;
  readonly flushes: number;
  readonly seconds: number;
}

/** Runs `jobs` jobs through two workers while they are killed `kills` times and Redis loses everything once. */
export async function runCrashes(options: { jobs: number; kills: number; seed: number }): Promise<CrashRun> {
  const { jobs, kills } = options;
  const random = createRandom(options.seed);
  const faults = await startFaultSystem(2);
  const started = performance.now();
  const accepted: string[] = [];
  const deaths: Deaths = new Map();
  try {
    const submitting = submitAll(faults.api.address, jobs, createRandom(options.seed + 1), accepted);
    // Faults come at even shares of the work done, each a little later than the share by chance.
    for (let fault = 1; fault <= kills + 1; fault++) {
      await untilTerminal(faults.system, Math.floor(((fault - 0.5 + random() / 4) * jobs) / (kills + 2)));
      if (fault === Math.ceil(kills / 2) + 1) await faults.flushAll();
      else await killOne(faults, random, deaths);
    }
    await submitting;
    await untilTerminal(faults.system, accepted.length);
    const books = await audit({
      owner: faults.system.owner,
      api: faults.api.address,
      accepted,
      diedAt: deaths,
    });
    return { audit: books, kills: deaths.size, flushes: 1, seconds: (performance.now() - started) / 1000 };
  } finally {
    await faults.close();
  }
}

export interface RollRun {
  readonly audit: Audit;
  /** How each worker that was told to stop ended. */
  readonly stops: readonly { readonly code: number; readonly seconds: number }[];
  readonly stalled: number;
}

/** Replaces each of two workers by SIGTERM while `jobs` jobs run. */
export async function runRoll(options: { jobs: number; seed: number }): Promise<RollRun> {
  const { jobs } = options;
  const faults = await startFaultSystem(2);
  const accepted: string[] = [];
  const stops = [];
  const old = [...faults.workers];
  try {
    const submitting = submitAll(faults.api.address, jobs, createRandom(options.seed), accepted);
    for (const [index, worker] of old.entries()) {
      await untilTerminal(faults.system, Math.floor(((index + 1) * jobs) / 4));
      const started = performance.now();
      const { code } = await worker.stop();
      stops.push({ code, seconds: (performance.now() - started) / 1000 });
      faults.workers.push(await faults.system.start('analysis'));
    }
    await submitting;
    await untilTerminal(faults.system, accepted.length);
    const { owner } = faults.system;
    const books = await audit({ owner, api: faults.api.address, accepted, diedAt: new Map() });
    const warnings = [...old, ...faults.workers].flatMap((worker) => worker.warnings());
    return { audit: books, stops, stalled: warnings.filter((line) => line.includes('stalled')).length };
  } finally {
    await faults.close();
  }
}
