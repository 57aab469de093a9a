// What the live and fault tests share: a migrated database and a queue prefix of their own on the servers that are
// there, the real processes on top of them, each known to be ready, stopped by its id, and never left behind; and the
// jobs that tests lay into the ledger themselves.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { z } from 'zod';
import { type Claim, type Completion, startJobs } from '../db/attempts.ts';
import { createPool, type Pool, type Tx } from '../db/client.ts';
import { migrate } from '../db/migrate.ts';
import type { NewJob } from '../db/submissions.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { findOnPath } from './find-on-path.ts';
import { freePort } from './free-port.ts';
import { type Exit, type GuardedProcess, limit, spawnGuarded } from './guarded-process.ts';
import { parseProcfile } from './procfile.ts';

/** A process that said it is ready. */
export interface LiveProcess {
  /** Its line in the Procfile. */
  readonly name: string;
  readonly pid: number;
  /** `http://127.0.0.1:<port>` of the API, or of the metrics of a background process. */
  readonly address: string;
  readonly exited: Promise<Exit>;
  /** SIGKILL, as a crash or the kernel would. */
  readonly kill: () => Promise<Exit>;
  /** SIGTERM, then up to `limitMs` to end by itself. */
  readonly stop: (limitMs?: number) => Promise<Exit>;
  /** What it wrote, the newest lines. */
  readonly lines: () => readonly string[];
  /** Log lines of at least level warn, as they were written. */
  readonly warnings: () => readonly string[];
}

export interface LiveSystem {
  readonly databaseUrl: string;
  /** Environment under which every process of this system runs. */
  readonly env: Readonly<Record<string, string>>;
  /** With the owner's rights, for looking at everything and for setting states that no API makes. */
  readonly owner: Pool;
  /**
   * Starts a process of the Procfile, by its name there.
   * @throws Error with its last lines if the process ends before it is ready
   */
  readonly start: (name: string, env?: Record<string, string>) => Promise<LiveProcess>;
  /** Kills what still runs and drops the database. */
  readonly close: () => Promise<void>;
}

/** Lines of a process that are kept. */
const linesMax = 5000;

/** Loading and checking the models takes some 2 s on an idle machine. */
const readyMs = 90_000;

/** @param settings environment for all processes, e.g. `{ FAULT_INJECTION: 'true' }`. */
export async function createLiveSystem(settings: Record<string, string> = {}): Promise<LiveSystem> {
  const name = `soma_test_${randomBytes(6).toString('hex')}`;
  const { url, drop } = await createDatabase(name);
  const env = {
    NODE_ENV: 'test',
    LOG_LEVEL: 'info',
    DATABASE_URL: url,
    QUEUE_PREFIX: `{${name}}`,
    WORKER_NICE: '0',
    // Tests hold the model busy with the same texts again and again; those of the cache turn it on.
    RESULT_CACHE_MB: '0',
    ...settings,
  };
  const owner = createPool(url, { role: 'owner', max: 3 });
  const running = new Set<LiveProcess>();
  return {
    databaseUrl: url,
    env,
    owner,
    start: async (processName, changes = {}) => {
      const started = await startProcess(processName, { ...env, ...changes });
      running.add(started);
      void started.exited.then(() => running.delete(started));
      return started;
    },
    close: async () => {
      await Promise.all([...running].map((one) => one.kill()));
      await owner.end();
      await drop();
    },
  };
}

const redisProgram = findOnPath('redis-server', 'valkey-server');

/** Whether `startRedis` can: a test that kills or flushes a Redis must not do so to the one that others use. */
export const hasOwnRedis = redisProgram !== undefined;

/** A Redis that keeps nothing, on a port of 127.0.0.1 that the caller chose, so that it can come back there. */
export function startRedis(port: number): GuardedProcess {
  if (redisProgram === undefined) throw new Error('neither redis-server nor valkey-server is on PATH');
  return spawnGuarded({
    name: 'redis',
    command: [
      redisProgram,
      '--port',
      String(port),
      '--bind',
      '127.0.0.1',
      '--save',
      '',
      '--appendonly',
      'no',
    ],
    deathSignal: 'KILL',
  });
}

/** A database `name` on the configured server, migrated unless told otherwise. */
export async function createDatabase(
  name: string,
  migrated = true,
): Promise<{ url: string; drop: () => Promise<void> }> {
  const serverUrl = readConfig().DATABASE_URL;
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  await onServer(serverUrl, `CREATE DATABASE ${name} TEMPLATE template0`);
  if (migrated) await migrate(url.href);
  return { url: url.href, drop: () => onServer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function onServer(url: string, sql: string): Promise<void> {
  const pool = createPool(url, { role: 'owner', max: 1, statementTimeoutMs: 60_000 });
  await pool.query(sql).finally(() => pool.end());
}

const lineSchema = z.object({
  level: z.string(),
  msg: z.string().optional(),
  address: z.object({ port: z.number() }).optional(),
});

/** Starts one process of the Procfile and waits until it logs `ready`. */
async function startProcess(name: string, env: Record<string, string>): Promise<LiveProcess> {
  const metricsPort = await freePort();
  const warnings: string[] = [];
  const lines: string[] = [];
  let onReady: (port: number) => void;
  const ready = new Promise<number>((resolve) => {
    onReady = resolve;
  });
  const child = spawnGuarded({
    name,
    command: [process.execPath, '--enable-source-maps', fileOf(name)],
    cwd: packageRoot,
    env: { PORT: '0', METRICS_PORT: String(metricsPort), ...env },
    deathSignal: 'KILL',
    onLine: (line) => {
      lines.push(line);
      if (lines.length > linesMax) lines.shift();
      const entry = readLine(line);
      if (entry === undefined || ['warn', 'error', 'fatal'].includes(entry.level)) warnings.push(line);
      if (entry?.msg === 'ready') onReady(entry.address?.port ?? metricsPort);
    },
  });
  const port = await Promise.race([ready, child.exited, limit(readyMs)]);
  if (typeof port !== 'number' || child.pid === undefined) {
    const end = await child.stop('SIGKILL', 0);
    throw new Error(`${name} did not get ready (${end.text}):\n${warnings.slice(-20).join('\n')}`);
  }
  return {
    name,
    pid: child.pid,
    address: `http://127.0.0.1:${port}`,
    exited: child.exited,
    kill: () => child.stop('SIGKILL', 5000),
    stop: (limitMs = 30_000) => child.stop('SIGTERM', limitMs),
    lines: () => lines,
    warnings: () => warnings,
  };
}

function fileOf(name: string): string {
  const lines = parseProcfile(readFileSync(join(packageRoot, 'Procfile'), 'utf8'));
  const file = lines.find((line) => line.name === name)?.command.at(-1);
  if (file === undefined) throw new Error(`no process ${name} in the Procfile`);
  return file;
}

function readLine(line: string): z.infer<typeof lineSchema> | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/**
 * Asks until the answer is not undefined, for states of which no event tells.
 * @throws Error naming `what` after `limitMs`.
 */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined>,
  limitMs = 60_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`);
    await delay(15);
  }
}

/** A job as the intake records it, queued and dispatched, of two texts unless told otherwise. */
export function newJob(changes: Partial<NewJob> = {}): NewJob {
  const texts = changes.texts ?? ['one', 'two'];
  return {
    tenantId: defaultTenantId,
    id: v7(),
    kind: 'emotion',
    modelVersion: '1',
    modelDigest: 'd',
    class: 1,
    status: 'queued',
    userId: null,
    customId: null,
    metadata: {},
    tags: [],
    options: {},
    storeInput: true,
    texts,
    characterCount: texts.join('').length,
    dispatchId: v7(),
    notBefore: null,
    deadlineAt: null,
    createdAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    idempotency: null,
    ...changes,
  };
}

/** Claims a dispatched job as worker `w` would: undefined if it is not to be had. */
export async function claimJob(
  tx: Tx,
  job: Pick<NewJob, 'tenantId' | 'id' | 'dispatchId'>,
  more: { readonly leaseMs?: number; readonly attemptsMax?: number } = {},
): Promise<Claim | undefined> {
  const { tenantId, id, dispatchId } = job;
  const jobs = [{ tenantId, id, dispatchId: dispatchId ?? v7() }];
  const [claim] = await startJobs(tx, { jobs, worker: 'w', leaseMs: 60_000, attemptsMax: 5, ...more });
  return claim;
}

/** Like `claimJob`. @throws Error if the job is not to be had */
export async function mustClaimJob(...args: Parameters<typeof claimJob>): Promise<Claim> {
  const claim = await claimJob(...args);
  if (claim === undefined) throw new Error('the job was not to be had');
  return claim;
}

/** What a worker writes when all items of a claim have `output`. */
export function completionOf(
  claim: Claim,
  output: object = {},
  changes: Partial<Completion> = {},
): Completion {
  return {
    ...claim,
    results: claim.texts.map((_, index) => ({ index, output: JSON.stringify(output) })),
    facts: [],
    timing: { batch_wait: 0.25, tokenize: 0.125, inference: 0.5 },
    execution: {
      attempt: claim.attempt,
      worker: 'w',
      device: 'cpu',
      pool_items: 1,
      micro_batch_items: 1,
      micro_batch_tokens: 1,
      padding_ratio: 1,
      flush_reason: 'idle',
      cache: 'none',
    },
    ...changes,
  };
}
