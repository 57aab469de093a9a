// What the live and fault tests share: a migrated database and a queue prefix of their own on the servers that are
// there, and the real processes on top of them, each known to be ready, stopped by its id, and never left behind.

import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { createPool, type Pool } from '../db/client.ts';
import { migrate } from '../db/migrate.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { findOnPath } from './find-on-path.ts';
import { freePort } from './free-port.ts';
import { type Exit, type GuardedProcess, limit, spawnGuarded } from './guarded-process.ts';

export type ProcessName = 'api' | 'analysis' | 'profile' | 'graph' | 'dispatcher';

/** A process that said it is ready. */
export interface LiveProcess {
  readonly name: ProcessName;
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
  /** @throws Error with its last lines if the process ends before it is ready. */
  readonly start: (name: ProcessName, env?: Record<string, string>) => Promise<LiveProcess>;
  /** Kills what still runs and drops the database. */
  readonly close: () => Promise<void>;
}

const files = {
  api: 'dist/api/main.js',
  analysis: 'dist/workers/analysis.js',
  profile: 'dist/workers/profile.js',
  graph: 'dist/workers/graph.js',
  dispatcher: 'dist/workers/dispatcher.js',
} as const;

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

/** Starts one process and waits until it logs `ready`. */
export async function startProcess(name: ProcessName, env: Record<string, string>): Promise<LiveProcess> {
  const metricsPort = await freePort();
  const warnings: string[] = [];
  const lines: string[] = [];
  let onReady: (port: number) => void;
  const ready = new Promise<number>((resolve) => {
    onReady = resolve;
  });
  const child = spawnGuarded({
    name,
    command: [process.execPath, '--enable-source-maps', files[name]],
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
