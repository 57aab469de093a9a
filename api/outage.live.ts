// What clients get while Postgres or Redis is away, and what becomes of the jobs that were accepted.

import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../scripts/free-port.ts';
import { createLiveSystem, hasOwnRedis, startRedis, until } from '../scripts/live-system.ts';
import { jobViewSchema } from './job-view.ts';

const answerMsMax = 2000;
/** What a loaded machine may add to the times that the API itself keeps. */
const slackMs = 500;

const system = await createLiveSystem();
test.after(() => system.close());

function post(address: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ kind: 'emotion', input: { text: 'Is anybody there?' } }),
    signal: AbortSignal.timeout(90_000),
  });
}

async function assertUnavailable(ask: () => Promise<Response>): Promise<void> {
  const started = performance.now();
  const response = await ask();
  const ms = performance.now() - started;
  const text = await response.text();
  assert.is(response.status, 503, text);
  assert.match(text, '"code":"ledger_unavailable"');
  assert.match(text, '"retryable":true');
  assert.ok(Number(response.headers.get('retry-after')) >= 1);
  assert.ok(ms < answerMsMax + slackMs, `answered after ${ms} ms`);
}

async function countJobs(): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>('SELECT count(*)::integer AS count FROM jobs');
  return rows[0]?.count ?? -1;
}

/** Accepts connections and never says a word. */
async function startMute(): Promise<{ port: number; server: Server; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, server, sockets };
}

function withPort(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

test('answers 503 within two seconds while Postgres refuses', async () => {
  const api = await system.start('api', { DATABASE_URL: withPort(system.databaseUrl, await freePort()) });
  await assertUnavailable(() => post(api.address));
  await assertUnavailable(() => post(api.address, { prefer: 'wait=10', 'idempotency-key': 'k' }));
  await assertUnavailable(() => fetch(`${api.address}/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000`));
  assert.is((await fetch(`${api.address}/health/live`)).status, 200);
  assert.is((await fetch(`${api.address}/health/ready`)).status, 503);
  assert.is((await api.stop()).code, 0);
});

test('answers 503 within two seconds while Postgres accepts and says nothing, whatever the crowd', async () => {
  const mute = await startMute();
  const api = await system.start('api', { DATABASE_URL: withPort(system.databaseUrl, mute.port) });
  await assertUnavailable(() => post(api.address));
  await Promise.all(Array.from({ length: 40 }, () => assertUnavailable(() => post(api.address))));
  assert.is((await fetch(`${api.address}/health/live`)).status, 200);
  await api.kill();
  for (const socket of mute.sockets) socket.destroy();
  mute.server.close();
});

test('accepts nothing that is not in the ledger while the ledger is locked', async () => {
  const api = await system.start('api');
  const before = await countJobs();
  const lock = await system.owner.connect();
  await lock.query('BEGIN; LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE');
  await assertUnavailable(() => post(api.address));
  await lock.query('COMMIT');
  lock.release();
  const response = await post(api.address);
  assert.is(response.status, 202);
  const job = jobViewSchema.parse(await response.json());
  const { rows } = await system.owner.query('SELECT status FROM jobs WHERE id = $1', [job.id.slice(4)]);
  assert.is(rows.length, 1);
  assert.is(await countJobs(), before + 1);
  await api.kill();
});

if (hasOwnRedis) {
  test('accepts jobs while Redis is away and runs them after its return, empty as it comes', async () => {
    const port = await freePort();
    const env = { REDIS_URL: `redis://127.0.0.1:${port}`, RECONCILE_MS: '1000' };
    const first = startRedis(port);
    const [api] = await Promise.all([
      system.start('api', env),
      system.start('analysis', env),
      system.start('dispatcher', env),
    ]);
    assert.is((await post(api.address, { prefer: 'wait=60' })).status, 200);
    await first.stop('SIGKILL', 0);
    const jobs = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const response = await post(api.address);
        assert.is(response.status, 202);
        return jobViewSchema.parse(await response.json());
      }),
    );
    const readiness = await until('the API to see that Redis is away', async () => {
      const body = await (await fetch(`${api.address}/health/detailed`)).text();
      return body.includes('"redis":{"status":"unavailable"}') ? body : undefined;
    });
    assert.match(readiness, '"ledger":{"status":"ok"}');
    assert.is((await fetch(`${api.address}/health/ready`)).status, 200);

    const second = startRedis(port);
    for (const job of jobs) {
      const response = await fetch(`${api.address}${job.links.self}?wait=60`);
      const ended = jobViewSchema.parse(await response.json());
      assert.equal([ended.status, ended.attempts.length], ['succeeded', 1]);
    }
    await second.stop('SIGKILL', 0);
  });
}

test.run();
