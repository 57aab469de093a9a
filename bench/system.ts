// Starts Soma's processes as its launcher would, on free ports, and ends them. The benchmarks know the system only
// through these: HTTP, metrics and process ids.

import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { childEnv, packageRoot, readConfig } from '../shared/config.ts';
import type { SystemPids } from './cpu-time.ts';
import { allowedCores } from './machine.ts';

export interface System {
  /** Where the API listens. */
  readonly url: string;
  /** Where each analysis worker shows its metrics. */
  readonly workerUrls: readonly string[];
  /** Where each process shows its metrics, by name. */
  readonly metricsUrls: Readonly<Record<string, readonly string[]>>;
  readonly pids: SystemPids;
  readonly stop: () => Promise<void>;
}

export interface SystemOptions {
  /** One analysis worker is pinned to each. */
  readonly cores?: readonly number[];
  /** Whether workers keep results as they do by default; without it each text is run, however often it comes. */
  readonly cache?: boolean;
  /** Also a profile worker, which not every measurement needs. */
  readonly profile?: boolean;
  /** Settings of every process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Options of node for every process, e.g. `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
}

/** A process of the system under measurement. */
export interface RunningProcess {
  readonly url: string;
  readonly pid: number;
  /** SIGTERM, and SIGKILL for what has not ended after the drain limit and a little. */
  readonly stop: () => Promise<void>;
  /** SIGKILL, as a crash would; resolves when it is gone. */
  readonly kill: () => Promise<void>;
}

const readyMsMax = 120_000;
const stopMsMax = 30_000;
/** The intake and the dispatcher count workers every 2 s and size the window in Redis by them. */
const workersSeenMs = 5000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

/** API, dispatcher and one analysis worker per core, pinned like those of `npm start`. */
export async function startSystem(options: SystemOptions = {}): Promise<System> {
  const cores = options.cores ?? allowedCores().slice(0, 2);
  const api = await startApi(options.env, options.nodeFlags);
  const rest = { env: options.env, flags: options.nodeFlags };
  const dispatcher = await startNode('dispatcher', rest);
  const profiles = options.profile === true ? [await startNode('profile', rest)] : [];
  const cache = options.cache === true ? { RESULT_CACHE_MB: String(readConfig().RESULT_CACHE_MB) } : {};
  const workers = await startWorkers(cores, { ...rest, env: { ...cache, ...rest.env } });
  await delay(workersSeenMs);
  const urlsOf = (processes: readonly RunningProcess[]) => processes.map(({ url }) => url);
  return {
    url: api.url,
    workerUrls: urlsOf(workers),
    metricsUrls: {
      api: [api.url],
      dispatcher: [dispatcher.url],
      profile: urlsOf(profiles),
      analysis: urlsOf(workers),
    },
    pids: {
      api: api.pid,
      dispatcher: dispatcher.pid,
      profile: profiles.map(({ pid }) => pid),
      analysis: workers.map(({ pid }) => pid),
    },
    stop: async () => {
      await Promise.all([api, dispatcher, ...profiles, ...workers].map((process) => process.stop()));
    },
  };
}

interface NodeSettings {
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly flags?: readonly string[] | undefined;
}

/** One analysis worker on each core, each ready; they keep no results unless told to. */
export function startWorkers(
  cores: readonly number[],
  { env = {}, flags = [] }: NodeSettings = {},
): Promise<readonly RunningProcess[]> {
  return Promise.all(
    cores.map((core) => {
      const command = ['taskset', '-c', String(core), ...node('workers/analysis.js', flags)];
      return startProcess({ name: 'analysis', command, env: { RESULT_CACHE_MB: '0', ...env } });
    }),
  );
}

/** One background process of workers/ that is not pinned. */
export function startNode(
  name: 'dispatcher' | 'profile',
  { env = {}, flags = [] }: NodeSettings = {},
): Promise<RunningProcess> {
  return startProcess({ name, command: node(`workers/${name}.js`, flags), env });
}

/** Only the API, so that what is submitted stays where the intake put it. */
export function startApi(
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Promise<RunningProcess> {
  return startProcess({ name: 'api', command: node('api/main.js', flags), env });
}

/** Brings the database up to date. @throws Error if that fails; the words are on our stderr. */
export async function migrate(): Promise<void> {
  const child = spawnChild(node('scripts/migrate.js'), {});
  const code = await ended(child);
  if (code !== 0) throw new Error(`migrating ended with ${code}`);
}

async function startProcess(options: {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}): Promise<RunningProcess> {
  const port = await freePort();
  const ports = options.name === 'api' ? { PORT: String(port) } : { METRICS_PORT: String(port) };
  const settings = { LOG_LEVEL: 'error', NODE_ENV: 'production', HOST: '127.0.0.1' };
  const child = spawnChild(options.command, { ...settings, ...options.env, ...ports });
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, child, options.name);
  return {
    url,
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
      await ended(child);
      clearTimeout(late);
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended(child);
    },
  };
}

function node(script: string, flags: readonly string[] = []): readonly string[] {
  return [process.execPath, ...flags, `dist/${script}`];
}

function spawnChild(command: readonly string[], env: Record<string, string>): ChildProcess {
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    cwd: packageRoot,
    env: childEnv(env),
    stdio: ['ignore', process.stderr, process.stderr],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

async function untilReady(url: string, child: ChildProcess, name: string): Promise<void> {
  const deadline = performance.now() + readyMsMax;
  while (performance.now() < deadline && child.exitCode === null && child.signalCode === null) {
    const answer = await fetch(`${url}/health/ready`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok === true) return;
    await delay(100);
  }
  throw new Error(`${name} did not become ready (exit code ${child.exitCode})`);
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('exit', (code) => resolve(code));
  });
}

/** A port that nobody listens on at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
