// What `soma doctor` asks of the servers behind the API: Postgres, Redis, Neo4j, and of the ledger who works and for
// how long the first in line has waited.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { createPool, type Pool } from '../../db/client.ts';
import { connectNeo4j } from '../../db/graph-neo4j.ts';
import { isMigrated } from '../../db/migrate.ts';
import { listProcesses, type ProcessRow } from '../../db/processes.ts';
import { measureLines } from '../../db/queue-age.ts';
import type { Config } from '../../shared/config.ts';
import { createDispatchQueue } from '../../shared/queues.ts';
import { describeError } from '../describe-error.ts';
import { fail, type Finding, ok, skip, warn } from './finding.ts';

const connectMs = 3000;
const skewMs = { warn: 2000, fail: 60_000 } as const;
const queueAgeMsWarn = 60_000;

/** Postgres, and what only it can tell: the schema, the clocks, the processes, the queue. */
export async function checkLedger(config: Config): Promise<readonly Finding[]> {
  const address = addressOf(config.DATABASE_URL);
  const pool = createPool(config.DATABASE_URL, {
    role: 'owner',
    max: 1,
    connectTimeoutMs: connectMs,
    statementTimeoutMs: 10_000,
  });
  try {
    const version = await askVersion(pool);
    if (!(await isMigrated(pool))) {
      return [
        ok('postgres', `${version} at ${address}`),
        fail('migrations', 'the database is behind this code', 'npm run migrate'),
      ];
    }
    return [
      ok('postgres', `${version} at ${address}`),
      ok('migrations', 'up to date'),
      await checkClock(pool),
      ...judgeProcesses(await listProcesses(pool), config),
      await checkQueue(pool, config),
    ];
  } catch (error) {
    const remedy = 'Start it, or set DATABASE_URL; `npm start` brings one of its own where it is not set';
    return [fail('postgres', `${address}: ${describeError(error)}`, remedy)];
  } finally {
    await pool.end();
  }
}

async function askVersion(pool: Pool): Promise<string> {
  const { rows } = await pool.query('SHOW server_version');
  const [row] = z.array(z.object({ server_version: z.string() })).parse(rows);
  return `Postgres ${row?.server_version.split(' ')[0] ?? 'of unknown version'}`;
}

async function checkClock(pool: Pool): Promise<Finding> {
  const before = Date.now();
  const { rows } = await pool.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now');
  const [row] = z.array(z.object({ now: z.coerce.number() })).parse(rows);
  return judgeSkew('clock of postgres', (row?.now ?? 0) - (before + Date.now()) / 2);
}

/** @param skew how far the other clock is ahead of ours, in milliseconds */
export function judgeSkew(check: string, skew: number): Finding {
  const detail = `${(Math.abs(skew) / 1000).toFixed(1)} s ${skew < 0 ? 'behind' : 'ahead of'} ours`;
  const remedy = 'Set both clocks by NTP (timedatectl set-ntp true): deadlines and leases compare them';
  if (Math.abs(skew) >= skewMs.fail) return fail(check, detail, remedy);
  return Math.abs(skew) >= skewMs.warn ? warn(check, detail, remedy) : ok(check, detail);
}

/** What only some clients miss is a warning; webhooks that are not configured are missed by nobody. */
export function judgeProcesses(
  processes: readonly Pick<ProcessRow, 'type' | 'seenAt'>[],
  { WEBHOOK_KEYS }: Pick<Config, 'WEBHOOK_KEYS'>,
): readonly Finding[] {
  const remedies = {
    analysis: 'Without one nothing is analysed: npm start, or node dist/workers/analysis.js',
    dispatcher: 'Without one backlogs, schedules and lost work stand still: npm start',
    profile: 'Without one no profile is made: npm start, or node dist/workers/profile.js',
    webhooks: 'Without one messages wait in the ledger: npm start, or node dist/workers/webhooks.js',
  } as const;
  return Object.entries(remedies).map(([type, remedy]) => {
    const found = processes.filter((one) => one.type === type);
    const oldest = Math.max(0, ...found.map(({ seenAt }) => (Date.now() - seenAt.getTime()) / 1000));
    if (found.length > 0)
      return ok(type, `${found.length} alive, last heartbeat at most ${oldest.toFixed(0)} s ago`);
    if (type === 'webhooks' && WEBHOOK_KEYS === '')
      return skip(type, 'WEBHOOK_KEYS is not set: there are none');
    return type === 'profile' || type === 'webhooks'
      ? warn(type, 'none is alive', remedy)
      : fail(type, 'none has been seen for 15 s', remedy);
  });
}

async function checkQueue(pool: Pool, { QUEUE_AGE_MS_MAX }: Config): Promise<Finding> {
  const lines = await measureLines(pool);
  const oldest = Math.max(0, ...lines.map(({ firstQueuedAt }) => Date.now() - firstQueuedAt.getTime()));
  return judgeQueueAge(oldest, QUEUE_AGE_MS_MAX);
}

export function judgeQueueAge(ageMs: number, ageMsMax: number): Finding {
  const detail = ageMs === 0 ? 'nobody waits' : `the first in line has waited ${Math.round(ageMs / 1000)} s`;
  const remedy = 'More workers: npm start -- --formation analysis=<cores>; see also "analysis" above';
  if (ageMs >= ageMsMax)
    return fail('queue', `${detail}; submits are refused from ${ageMsMax / 1000} s on`, remedy);
  return ageMs >= queueAgeMsWarn ? warn('queue', detail, remedy) : ok('queue', detail);
}

export async function checkRedis(config: Config): Promise<readonly Finding[]> {
  const address = addressOf(config.REDIS_URL);
  let problem: unknown = new Error(`no answer within ${connectMs} ms`);
  const queue = createDispatchQueue(config, (error) => {
    problem = error;
  });
  try {
    const deadline = performance.now() + connectMs;
    while (!queue.isReady() && performance.now() < deadline) await delay(20);
    if (!queue.isReady()) throw problem;
    return judgeRedis(await queue.info(), address);
  } catch (error) {
    const remedy = 'Start it, or set REDIS_URL; accepted jobs are safe in Postgres meanwhile, but none runs';
    return [fail('redis', `${address}: ${describeError(error)}`, remedy)];
  } finally {
    await queue.close();
  }
}

/** @param info what Redis answers to INFO */
export function judgeRedis(info: string, address: string): readonly Finding[] {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
  const policy = field('maxmemory_policy');
  return [
    ok('redis', `${field('redis_version')} at ${address}, ${field('used_memory_human')} in use`),
    policy === 'noeviction'
      ? ok('redis eviction', 'noeviction')
      : fail(
          'redis eviction',
          `maxmemory-policy is ${policy}: a full Redis would throw work away`,
          'redis-cli config set maxmemory-policy noeviction',
        ),
  ];
}

export async function checkNeo4j(config: Config): Promise<Finding> {
  const { NEO4J_URL: url, NEO4J_USER: user, NEO4J_PASSWORD: password } = config;
  if (url === '') return skip('neo4j', 'none is configured: Postgres answers for the graph');
  const neo4j = connectNeo4j({ url, user, password });
  try {
    await neo4j.command(connectMs, 'RETURN 1');
    return ok('neo4j', `answers at ${addressOf(url)}`);
  } catch (error) {
    const remedy = 'Start it or mend NEO4J_URL, NEO4J_USER, NEO4J_PASSWORD; Postgres answers meanwhile';
    return fail('neo4j', `${addressOf(url)}: ${describeError(error)}`, remedy);
  } finally {
    await neo4j.close();
  }
}

/** Host and port: a URL may hold a password. */
function addressOf(url: string): string {
  return new URL(url).host;
}
