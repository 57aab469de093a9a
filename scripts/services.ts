// The servers that Soma needs, for a machine that has none: each is used where its URL is set and started where it
// is not. As a command, `node dist/scripts/services.js [--neo4j] <command...>` runs a command with them and then stops
// them.

import { realpathSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { childEnv, packageRoot } from '../shared/config.ts';
import { startNeo4j } from './embedded-neo4j.ts';
import { startPostgres } from './embedded-postgres.ts';
import { startRedis } from './embedded-redis.ts';
import { type GuardedProcess, spawnGuarded } from './guarded-process.ts';
import { type Service, type ServicePlace, serviceError } from './service.ts';
import { onStopRequest } from './stop-requests.ts';

/** The servers in use. */
export interface Services {
  /** The URLs of all of them, for the environment of the processes that use them. */
  readonly env: Readonly<Record<string, string>>;
  /** Those that we started, by name; the others were given. */
  readonly started: readonly string[];
  /** Resolves when one that we started ends before it was told to. */
  readonly failed: Promise<Error>;
  /** Stops those that we started, last first, and removes data that is not kept. */
  readonly stop: () => Promise<void>;
}

export interface ServicesOptions {
  /** Keep data in `.services/` for the next start, instead of in a temporary folder for this run. */
  readonly keep: boolean;
  /** Start a Neo4j as well; the system needs none. */
  readonly neo4j?: boolean;
  /** Where DATABASE_URL, REDIS_URL and NEO4J_URL are looked for. */
  readonly env?: NodeJS.ProcessEnv;
}

const jobStopLimitMs = 30_000;

const starters = [
  { variable: 'DATABASE_URL', start: startPostgres },
  { variable: 'REDIS_URL', start: startRedis },
  { variable: 'NEO4J_URL', start: startNeo4j, optional: true },
] as const;

/**
 * Starts, side by side, each server whose URL is not set.
 * @throws Error that says which server did not start and why; the others are stopped by then.
 */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const given = options.env ?? childEnv({});
  const place = await choosePlace(options.keep);
  const wanted = starters.filter(
    (starter) => !given[starter.variable] && (!('optional' in starter) || options.neo4j === true),
  );
  const results = await Promise.allSettled(wanted.map(({ start }) => start(place)));
  const services = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    for (const service of services.toReversed()) await service.stop();
    if (!place.kept) await rm(place.folder, { recursive: true, force: true });
  };
  const refused = results.find((result) => result.status === 'rejected');
  if (refused !== undefined) {
    await stop();
    throw refused.reason;
  }
  const urls = starters.flatMap(({ variable }) =>
    given[variable] ? [[variable, given[variable]] as const] : [],
  );
  return {
    env: Object.assign(Object.fromEntries(urls), ...services.map((service) => service.env)),
    started: services.map((service) => service.name),
    failed: whenOneFails(services, () => stopping),
    stop,
  };
}

async function choosePlace(keep: boolean): Promise<ServicePlace> {
  if (!keep) return { folder: await mkdtemp(join(tmpdir(), 'soma-services-')), kept: false };
  const folder = join(packageRoot, '.services');
  await mkdir(folder, { recursive: true });
  return { folder, kept: true };
}

function whenOneFails(services: readonly Service[], isExpected: () => boolean): Promise<Error> {
  return new Promise((resolve) => {
    for (const { process: server } of services) {
      void server.exited.then((exit) => {
        if (!isExpected()) resolve(serviceError(server, exit));
      });
    }
  });
}

/**
 * Runs `command` with the servers' URLs in its environment and returns its exit code; 1 when a server fails, 130 when
 * told to stop before the command began.
 */
export async function runWithServices(command: readonly string[], neo4j = false): Promise<number> {
  let stopReason: string | undefined;
  let job: GuardedProcess | undefined;
  const stopJob = async () => job?.stop('SIGTERM', jobStopLimitMs);
  onStopRequest(
    (reason) => {
      stopReason = reason;
      void stopJob();
    },
    () => void job?.stop('SIGKILL', 0),
  );
  const services = await startServices({ keep: false, neo4j });
  if (stopReason === undefined) {
    job = spawnGuarded({ name: 'job', command, env: services.env, deathSignal: 'TERM', foreground: true });
  }
  const ended = await Promise.race([job?.exited ?? { code: 130 }, services.failed]);
  if (ended instanceof Error) console.error(`services: ${ended.message}`);
  await stopJob();
  await services.stop();
  return ended instanceof Error ? 1 : ended.code;
}

async function main(): Promise<void> {
  const neo4j = process.argv[2] === '--neo4j';
  const command = process.argv.slice(neo4j ? 3 : 2);
  if (command.length === 0) {
    throw new Error('usage: node dist/scripts/services.js [--neo4j] <command> [argument...]');
  }
  process.exitCode = await runWithServices(command, neo4j);
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === import.meta.filename) {
  main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
}
