// Tiers over real HTTP and several API processes: as many requests and items as were sold, and an honest way back.

import { Redis } from 'ioredis';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { freePort } from '../scripts/free-port.ts';
import { createLiveSystem, hasOwnRedis, startRedis, until } from '../scripts/live-system.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { readConfig } from '../shared/config.ts';
import type { Tier } from '../shared/tenant.ts';

// However busy the machine is, it is Redis that counts.
const system = await createLiveSystem({ AUTH: 'on', QUOTA_TIMEOUT_MS: '10000' });
const [api, other] = await Promise.all([system.start('api'), system.start('api')]);
const redis = new Redis(readConfig().REDIS_URL);
test.after(async () => {
  redis.disconnect();
  await system.close();
});

let made = 0;

async function makeTenant(tier: Tier): Promise<{ tenantId: string; key: string }> {
  made += 1;
  const tenantId = await ensureTenant(system.owner, `tenant-${made}`, tier);
  const key = createApiKey();
  await insertKey(system.owner, { id: key.id, tenantId, hash: key.hash, scopes });
  return { tenantId, key: key.text };
}

const quotaKey = (name: string, tenantId: string): string =>
  `${system.env['QUEUE_PREFIX'] ?? ''}:quota:${name}:${tenantId}`;

async function get(key: string, address = api.address): Promise<Response> {
  return fetch(`${address}/v1/jobs/job_1`, {
    headers: { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(30_000),
  });
}

async function submit(key: string, items: number, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ kind: 'emotion', input: { texts: Array.from({ length: items }, () => 'Good') } }),
    signal: AbortSignal.timeout(30_000),
  });
}

test('counts in Redis as soon as both processes have reached it', async () => {
  const { tenantId, key } = await makeTenant('premium');
  const count = async (): Promise<number> => Number(await redis.get(quotaKey('requests', tenantId)));
  await until('the count of both', async () => {
    const before = await count();
    await Promise.all([get(key), get(key, other.address)]);
    return (await count()) === before + 2 ? true : undefined;
  });
});

test('counts exactly over processes, and tells with every answer', async () => {
  for (const [tier, limit] of [
    ['free', 10],
    ['standard', 60],
  ] as const) {
    const { key } = await makeTenant(tier);
    const first = await get(key);
    assert.match(first.headers.get('ratelimit-policy') ?? '', `"requests";q=${limit};w=60, "items";q=`);
    assert.match(first.headers.get('ratelimit') ?? '', `"requests";r=${limit - 1};t=60, "items";r=`);
    const answers = await Promise.all(
      Array.from({ length: limit * 2 }, (_, index) => get(key, [api, other][index % 2]?.address)),
    );
    const passed = answers.filter(({ status }) => status === 404).length;
    assert.is(passed, limit - 1, tier);
    const [refused] = answers.filter(({ status }) => status === 429);
    assert.match((await refused?.text()) ?? '', '"code":"rate_limited"');
    assert.match(refused?.headers.get('ratelimit') ?? '', '"requests";r=0;t=');
    const seconds = Number(refused?.headers.get('retry-after'));
    assert.ok(seconds > 50 && seconds <= 60, `retry after ${seconds}`);
  }
});

test('lets everyone in again who comes back when told', async () => {
  const { tenantId, key } = await makeTenant('free');
  await Promise.all(Array.from({ length: 10 }, () => get(key)));
  await redis.pexpire(quotaKey('requests', tenantId), 1500);
  const refused = await get(key);
  assert.equal([refused.status, refused.headers.get('retry-after')], [429, '2']);
  const back = performance.now() + 2000;
  await until('the moment', async () => (performance.now() >= back ? true : undefined));
  const answers = await Promise.all(Array.from({ length: 10 }, () => get(key)));
  assert.ok(answers.every(({ status }) => status === 404));
});

test('counts the items of a submit, all or none', async () => {
  const { tenantId, key } = await makeTenant('standard');
  await redis.set(quotaKey('items', tenantId), 49_950, 'PX', 3_600_000);
  const refused = await submit(key, 51);
  assert.is(refused.status, 429);
  assert.match(await refused.text(), '"code":"quota_exceeded"');
  assert.match(refused.headers.get('ratelimit') ?? '', '"items";r=50;t=3600');
  assert.is(refused.headers.get('retry-after'), '3600');
  const accepted = await submit(key, 50);
  assert.is(accepted.status, 202);
  assert.match(accepted.headers.get('ratelimit') ?? '', '"items";r=0;t=');
  assert.is((await get(key)).status, 404);
});

test('takes no items for a submit that is repeated under its key, and answers it when none are left', async () => {
  const { tenantId, key } = await makeTenant('standard');
  await redis.set(quotaKey('items', tenantId), 49_900, 'PX', 3_600_000);
  const first = await submit(key, 60, { 'idempotency-key': 'one' });
  assert.equal([first.status, itemsLeft(first)], [202, 40]);
  const repeated = await submit(key, 60, { 'idempotency-key': 'one' });
  assert.equal([repeated.status, repeated.headers.get('idempotent-replayed')], [202, 'true']);
  const small = await submit(key, 10, { 'idempotency-key': 'two' });
  assert.equal([small.status, itemsLeft(small)], [202, 30]);
  const again = await submit(key, 10, { 'idempotency-key': 'two' });
  assert.equal([again.status, again.headers.get('idempotent-replayed'), itemsLeft(again)], [202, 'true', 30]);
  const other = await submit(key, 11, { 'idempotency-key': 'two' });
  assert.equal([other.status, itemsLeft(other)], [422, 30]);
  assert.is(await redis.get(quotaKey('items', tenantId)), '49970');
  const none = await submit(key, 31, { 'idempotency-key': 'three' });
  assert.is(none.status, 429);
});

function itemsLeft(response: Response): number {
  return Number(/"items";r=(\d+)/.exec(response.headers.get('ratelimit') ?? '')?.[1]);
}

test('counts on alone from what it knows while Redis is away', async () => {
  if (!hasOwnRedis) return;
  const port = await freePort();
  const own = startRedis(port);
  const lonely = await system.start('api', { REDIS_URL: `redis://127.0.0.1:${port}` });
  const { key } = await makeTenant('free');
  await until('the count in Redis', async () => {
    const answer = await get(key, lonely.address);
    return answer.status === 404 ? true : undefined;
  });
  const used =
    10 - Number(/r=(\d+)/.exec((await get(key, lonely.address)).headers.get('ratelimit') ?? '')?.[1]);
  await own.stop('SIGKILL', 5000);
  const answers = [];
  for (let round = 0; round < 12; round++) {
    const started = performance.now();
    answers.push((await get(key, lonely.address)).status);
    assert.ok(performance.now() - started < 400, 'an answer waited for Redis');
  }
  assert.is(answers.filter((status) => status === 404).length, 10 - used);
  await lonely.kill();
});

test('limits no one without a key', async () => {
  const open = await system.start('api', { AUTH: 'off' });
  for (let round = 0; round < 15; round++) {
    const answer = await fetch(`${open.address}/v1/jobs/job_1`);
    assert.is(answer.status, 404);
    assert.is(answer.headers.get('ratelimit'), null);
  }
  await open.kill();
});

test.run();
