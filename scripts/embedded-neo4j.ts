// A real Neo4j for a machine that runs none: the Community server out of Maven Central, fetched once, started by its
// main class. It listens on 127.0.0.1 and asks for no password, as the embedded Postgres.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';
import { findOnPath } from './find-on-path.ts';
import { waitForFolder } from './folder-owner.ts';
import { freePort } from './free-port.ts';
import { type GuardedProcess, spawnGuarded } from './guarded-process.ts';
import { type Service, type ServicePlace, serviceError, stopLimitMs, untilReady } from './service.ts';

const takeoverMs = 15_000;
/** 9 s on an idle machine, up to 21 s on a busy one, and as long again for replaying the log after a kill -9. */
const readyMs = 120_000;
const portAttemptsMax = 3;

/** Why Neo4j cannot be started here, in words; undefined if it can. */
export function whyNoNeo4j(): string | undefined {
  const lacking = ['java', 'mvn'].filter((program) => findOnPath(program) === undefined);
  if (lacking.length === 0 || (!lacking.includes('java') && existsSync(libraryFolder()))) return undefined;
  return `${lacking.join(' and ')} not found: install them (Debian, Ubuntu: \`apt-get install openjdk-17-jre-headless maven\`) or set NEO4J_URL`;
}

/**
 * Starts Neo4j on a free port of 127.0.0.1 with its data under `place.folder`.
 * @throws Error with the server's last lines when it does not come up, or saying what to install.
 */
export async function startNeo4j(place: ServicePlace): Promise<Service> {
  const missing = whyNoNeo4j();
  if (missing !== undefined) throw new Error(`no Neo4j on this machine: ${missing}`);
  const library = await fetchLibrary();
  const home = join(place.folder, 'neo4j');
  await mkdir(join(home, 'conf'), { recursive: true, mode: 0o700 });
  await waitForFolder(home, 'neo4j.pid', takeoverMs);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    await writeFile(join(home, 'conf/neo4j.conf'), settings(port));
    const server = spawnServer(library, home);
    await writeFile(join(home, 'neo4j.pid'), `${server.pid}\n`);
    const exit = await untilReady(server, () => answersBolt(port), readyMs);
    if (exit === undefined) {
      return {
        name: 'neo4j',
        env: { NEO4J_URL: `bolt://127.0.0.1:${port}` },
        process: server,
        // What is not kept needs no goodbye, which takes one to two seconds.
        stop: () => (place.kept ? server.stop('SIGTERM', stopLimitMs) : server.stop('SIGKILL', 0)),
      };
    }
    const portTaken = /Address already in use/.test(server.lastLines());
    if (!portTaken || attempt === portAttemptsMax) throw serviceError(server, exit);
  }
}

// The two `internal` lines cut the stop from 12 s to 2 s. Heap and page cache are enough for some 100,000 edges.
function settings(port: number): string {
  return `server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:${port}
server.http.enabled=false
server.https.enabled=false
dbms.security.auth_enabled=false
dbms.usage_report.enabled=false
server.memory.pagecache.size=64m
db.tx_log.rotation.size=16m
db.tx_log.rotation.retention_policy=1 files
internal.dbms.bolt.netty_server_shutdown_quiet_period=0
internal.server.bolt.thread_pool_shutdown_wait_time=1s
`;
}

const javaOptions = ['-Xms256m', '-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];
const openedPackages = ['java.nio', 'java.io', 'sun.nio.ch'];

function spawnServer(library: string, home: string): GuardedProcess {
  const opened = openedPackages.map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);
  const folders = [`--home-dir=${home}`, `--config-dir=${join(home, 'conf')}`];
  const java = [findOnPath('java') ?? 'java', ...javaOptions, ...opened, '-cp', join(library, '*')];
  return spawnGuarded({
    name: 'neo4j',
    command: [...java, 'org.neo4j.server.CommunityEntryPoint', ...folders],
    cwd: home,
    deathSignal: 'TERM',
  });
}

/** The magic number of Bolt, then the versions that we speak: 5.0. */
const handshake = Buffer.from('6060b01700000005000000000000000000000000', 'hex');

/** Bolt is opened last: who agrees on a version can be asked. */
function answersBolt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(handshake));
    socket.setTimeout(2000, () => socket.destroy());
    socket.once('data', (answer) => {
      resolve(answer.length >= 4 && answer.readUInt32BE(0) !== 0);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}

const pom = join(packageRoot, 'scripts/neo4j-pom.xml');

/** Named after what is in it, so that another version is fetched anew. */
function libraryFolder(): string {
  const hash = createHash('sha256').update(readFileSync(pom)).digest('hex');
  return join(packageRoot, '.services', `neo4j-lib-${hash.slice(0, 12)}`);
}

/** 123 MB in 213 files, in 8 to 22 s. A folder that bears the name is whole, whenever we were killed. */
async function fetchLibrary(): Promise<string> {
  const folder = libraryFolder();
  if (existsSync(folder)) return folder;
  console.error('services: fetching Neo4j from Maven Central, once');
  const unfinished = `${folder}.${process.pid}`;
  const quiet = ['-B', '-ntp', '-q', '-f', pom];
  const options = [`-DoutputDirectory=${unfinished}`, '-DincludeScope=runtime'];
  const maven = spawnGuarded({
    name: 'mvn',
    command: [findOnPath('mvn') ?? 'mvn', ...quiet, 'dependency:copy-dependencies', ...options],
    deathSignal: 'TERM',
  });
  const exit = await maven.exited;
  if (exit.code !== 0) {
    await rm(unfinished, { recursive: true, force: true });
    throw serviceError(maven, exit);
  }
  // Another process may have been faster.
  await rename(unfinished, folder).catch(() => rm(unfinished, { recursive: true, force: true }));
  return folder;
}
