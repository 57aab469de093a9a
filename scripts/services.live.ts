// The embedded servers answer, keep what they were told over a restart, and never outlive their launcher.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createPool } from '../db/client.ts';
import { packageRoot } from '../shared/config.ts';
import { startPostgres } from './embedded-postgres.ts';
import { startRedis } from './embedded-redis.ts';
import { type GuardedProcess, spawnGuarded } from './guarded-process.ts';
import { startServices } from './services.ts';
import { whenGone } from './when-gone.ts';

const noneGiven = { DATABASE_URL: '', REDIS_URL: '' };
const waitMsMax = 15_000;
const folder = await mkdtemp(join(tmpdir(), 'soma-services-test-'));
test.after(() => rm(folder, { recursive: true, force: true }));

async function ask(url: string, sql: string): Promise<unknown[]> {
  const pool = createPool(url, { role: 'owner', max: 1 });
  const { rows } = await pool.query({ text: sql, rowMode: 'array' });
  await pool.end();
  return rows.flat();
}

async function withRedis<T>(url: string, use: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  const result = await use(redis);
  redis.disconnect();
  return result;
}

test('starts a durable Postgres and a Redis that never evicts', async () => {
  const services = await startServices({ keep: false, env: noneGiven });
  assert.equal(services.started, ['postgres', 'redis']);
  const settings = await ask(
    services.env['DATABASE_URL'] ?? '',
    `SELECT current_setting('fsync'), current_setting('synchronous_commit'), current_setting('max_connections'),
            current_setting('listen_addresses'), current_database()`,
  );
  assert.equal(settings, ['on', 'on', '200', '127.0.0.1', 'soma']);
  const redis = await withRedis(services.env['REDIS_URL'] ?? '', (client) => client.config('GET', '*'));
  const found = JSON.stringify(redis);
  for (const part of ['"appendonly","yes"', '"appendfsync","everysec"', '"maxmemory-policy","noeviction"']) {
    assert.ok(found.includes(part), part);
  }
  await services.stop();
});

test('uses a given URL as it is and starts nothing for it', async () => {
  const env = { DATABASE_URL: 'postgres://soma@db/soma', REDIS_URL: 'redis://cache' };
  const services = await startServices({ keep: false, env });
  assert.equal(services.started, []);
  assert.equal(services.env, env);
  await services.stop();
});

test('finds kept data again after a kill -9 of both servers', async () => {
  const place = { folder, kept: true };
  const [postgres, redis] = await Promise.all([startPostgres(place), startRedis(place)]);
  await ask(postgres.env['DATABASE_URL'] ?? '', 'CREATE TABLE kept AS SELECT 42 AS answer');
  await withRedis(redis.env['REDIS_URL'] ?? '', (client) => client.set('kept', '42'));
  await Promise.all([postgres.process.stop('SIGKILL', 0), redis.process.stop('SIGKILL', 0)]);
  const again = await Promise.all([startPostgres(place), startRedis(place)]);
  assert.equal(await ask(again[0].env['DATABASE_URL'] ?? '', 'SELECT answer FROM kept'), [42]);
  assert.is(await withRedis(again[1].env['REDIS_URL'] ?? '', (client) => client.get('kept')), '42');
  await Promise.all(again.map((service) => service.stop()));
});

test('says how a server ended that was not told to', async () => {
  const services = await startServices({
    keep: false,
    env: { ...noneGiven, DATABASE_URL: 'postgres://given/x' },
  });
  await withRedis(services.env['REDIS_URL'] ?? '', (client) =>
    client.call('SHUTDOWN', 'NOSAVE').catch(() => undefined),
  );
  const error = await services.failed;
  assert.match(error.message, /redis stopped \(exit code 0\); its last lines:\n.*bye/s);
  await services.stop();
});

const told = z.object({ parent: z.number(), job: z.number(), postgres: z.number(), redis: z.number() });

/** Runs the command form; its job prints the process ids of all concerned and then waits. */
async function runCommand(): Promise<{ launcher: GuardedProcess; pids: z.infer<typeof told> }> {
  let tell: (line: string) => void;
  const line = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const launcher = spawnGuarded({
    name: 'launcher',
    command: [
      process.execPath,
      'dist/scripts/services.js',
      process.execPath,
      '--input-type=module',
      '-e',
      jobCode,
    ],
    cwd: packageRoot,
    env: { ...noneGiven, TMPDIR: folder },
    deathSignal: 'KILL',
    onLine: (text) => tell(text),
  });
  return { launcher, pids: told.parse(JSON.parse(await line)) };
}

const jobCode = `
  import { readdirSync, readFileSync } from 'node:fs';
  const parent = process.ppid;
  const children = readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).flatMap((pid) => {
    try {
      const [, name, rest] = /\\((.*)\\) \\S (\\d+)/.exec(readFileSync('/proc/' + pid + '/stat', 'utf8'));
      return Number(rest) === parent ? [[name, Number(pid)]] : [];
    } catch { return []; }
  });
  const pidOf = (part) => children.find(([name]) => name.includes(part))?.[1];
  console.log(JSON.stringify({
    parent, job: process.pid, postgres: pidOf('postgres'), redis: pidOf('redis') ?? pidOf('valkey'),
  }));
  setInterval(() => {}, 1000);
`;

if (process.platform === 'linux') {
  test('leaves nothing running after a kill -9 of the launcher', async () => {
    const { launcher, pids } = await runCommand();
    process.kill(pids.parent, 'SIGKILL');
    await launcher.exited;
    await Promise.all([pids.job, pids.postgres, pids.redis].map((pid) => whenGone(pid, waitMsMax)));
  });

  test('ends the command and every server when the launcher is told to stop', async () => {
    const { launcher, pids } = await runCommand();
    await launcher.stop('SIGTERM', waitMsMax);
    await Promise.all([pids.job, pids.postgres, pids.redis].map((pid) => whenGone(pid, waitMsMax)));
  });
}

test("exits with the command's code", async () => {
  const command = [process.execPath, 'dist/scripts/services.js', process.execPath, '-e', 'process.exit(7)'];
  const env = { DATABASE_URL: 'postgres://given/x', REDIS_URL: 'redis://given' };
  const launcher = spawnGuarded({ name: 'launcher', command, cwd: packageRoot, env, deathSignal: 'KILL' });
  assert.is((await launcher.exited).code, 7);
});

test.run();
