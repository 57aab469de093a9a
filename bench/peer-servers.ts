// Starts the servers that Soma is measured against: each a page of Python in bench/peers/, with the same model file, on
// the same cores.

import { type ChildProcess, spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listTree } from './cpu-time.ts';
import { childEnv, packageRoot, readConfig } from '../shared/config.ts';
import { freePort } from './system.ts';

export type PeerName = 'celery' | 'fastapi' | 'litserve' | 'bentoml';

export interface PeerServer {
  readonly name: PeerName;
  readonly url: string;
  /** Roots of its processes; what they started belongs to it. */
  readonly pids: readonly number[];
  /** Answers come before the results are there, which are counted by `/stored`. */
  readonly durable: boolean;
  readonly stop: () => Promise<void>;
}

/** Loading the model in each process takes a few seconds, and longer on a machine that others use. */
const readyMsMax = 120_000;
const stopMsMax = 15_000;
/** Number of the database in Redis: Soma's queue is in 0. */
const redisDatabase = 1;
const processesEach = '2';

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const { pid } of running) if (pid !== undefined) signalAll(listTree(pid), 'SIGKILL');
});

/** @param bin the Python environment's folder of programs */
export async function startPeer(name: PeerName, bin: string): Promise<PeerServer> {
  const port = await freePort();
  const commands = commandsOf(name, String(port));
  const children = commands.map(([program = '', ...args]) => spawnPeer(join(bin, program), args, bin));
  const url = `http://127.0.0.1:${port}`;
  await untilReady(name, url, children);
  return {
    name,
    url,
    pids: children.flatMap(({ pid }) => pid ?? []),
    durable: name === 'celery',
    stop: async () => {
      await Promise.all(children.map(stopPeer));
    },
  };
}

function commandsOf(name: PeerName, port: string): readonly (readonly string[])[] {
  const place = ['--app-dir', 'bench/peers', '--host', '127.0.0.1', '--port', port];
  const fast = ['--loop', 'uvloop', '--http', 'httptools', '--no-access-log', '--log-level', 'warning'];
  const pool = ['--pool', 'prefork', '--concurrency', processesEach];
  const quiet = ['--loglevel', 'warning', '--without-gossip', '--without-mingle', '--without-heartbeat'];
  const commands: Readonly<Record<PeerName, readonly (readonly string[])[]>> = {
    fastapi: [['uvicorn', 'plain_fastapi:app', ...place, ...fast, '--workers', processesEach]],
    celery: [
      ['uvicorn', 'celery_api:app', ...place, ...fast],
      ['celery', '--app', 'celery_tasks', '--workdir', 'bench/peers', 'worker', ...pool, ...quiet],
    ],
    litserve: [['python', 'bench/peers/lit_server.py', '--port', port]],
    bentoml: [['bentoml', 'serve', 'bento_service:Emotions', '--working-dir', 'bench/peers', '--port', port]],
  };
  return commands[name];
}

function spawnPeer(program: string, args: readonly string[], bin: string): ChildProcess {
  const config = readConfig();
  const redis = new URL(config.REDIS_URL);
  redis.pathname = `/${redisDatabase}`;
  const child = spawn(program, [...args], {
    cwd: packageRoot,
    env: childEnv({
      PATH: [bin, childEnv({})['PATH'] ?? ''].join(delimiter),
      PYTHONPATH: join(packageRoot, 'bench/peers'),
      PYTHONDONTWRITEBYTECODE: '1',
      PEER_DATABASE_URL: config.DATABASE_URL,
      PEER_REDIS_URL: redis.href,
      OMP_NUM_THREADS: '1',
      BENTOML_DO_NOT_TRACK: 'True',
      BENTOML_HOST: '127.0.0.1',
    }),
    stdio: ['ignore', 'ignore', process.stderr],
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

async function untilReady(name: PeerName, url: string, children: readonly ChildProcess[]): Promise<void> {
  const deadlineMs = performance.now() + readyMsMax;
  const ended = () => children.some(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
  while (performance.now() < deadlineMs && !ended()) {
    const answer = await fetch(`${url}/analyze`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ texts: ['ready?'] }),
      signal: AbortSignal.timeout(5000),
    }).catch(() => undefined);
    await answer?.arrayBuffer().catch(() => undefined);
    if (answer?.ok === true) return;
    await delay(200);
  }
  throw new Error(`${name} did not become ready`);
}

/** BentoML's workers are in groups of their own and outlive it if it is killed: whoever is left is named before. */
async function stopPeer(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const tree = listTree(pid);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const late = setTimeout(() => signalAll(tree, 'SIGKILL'), stopMsMax);
  await ended;
  clearTimeout(late);
  signalAll(tree, 'SIGKILL');
}

/** Those that are gone are none. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
    }
  }
}
