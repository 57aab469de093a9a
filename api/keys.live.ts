// Keys over real HTTP: who gets in, with what scope, for how long after a revocation, and that no log has a secret.

import { spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { ensureTenant, insertKey, revokeKey } from '../db/keys.ts';
import { createLiveSystem, hasOwnRedis, startRedis, until } from '../scripts/live-system.ts';
import { freePort } from '../scripts/free-port.ts';
import { createApiKey, type Scope, scopes } from '../shared/api-key.ts';
import { childEnv, packageRoot } from '../shared/config.ts';

const system = await createLiveSystem({ AUTH: 'on', LOG_LEVEL: 'debug' });
const [api, other] = await Promise.all([system.start('api'), system.start('api')]);
test.after(() => system.close());

const tenantId = await ensureTenant(system.owner, 'acme', 'premium');

async function makeKey(allowed: readonly Scope[], owner = tenantId): Promise<{ id: string; text: string }> {
  const key = createApiKey();
  await insertKey(system.owner, { id: key.id, tenantId: owner, hash: key.hash, scopes: allowed });
  return key;
}

interface Ask {
  readonly key?: string;
  readonly method?: string;
  readonly body?: unknown;
  readonly address?: string;
}

async function ask(path: string, { key, method = 'GET', body, address = api.address }: Ask = {}) {
  const response = await fetch(address + path, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  const code = /"code":"(\w+)"/.exec(text)?.[1];
  return { status: response.status, code, text, challenge: response.headers.get('www-authenticate') };
}

const job = { kind: 'emotion', input: { text: 'Good' } };

test('asks for a key wherever one is needed, and nowhere else', async () => {
  for (const path of [
    '/v1/jobs',
    '/v1/users/u/graph',
    '/api/profile/u',
    '/health/detailed',
    '/metrics',
    '/nowhere',
  ]) {
    const answer = await ask(path);
    assert.equal([answer.status, answer.code], [401, 'unauthenticated'], path);
    assert.match(answer.challenge ?? '', /^Bearer realm="soma"$/);
  }
  for (const path of ['/health', '/health/live', '/health/ready', '/docs', '/docs/problems', '/openapi.json'])
    assert.is((await ask(path)).status, 200, path);
});

test('refuses what is no key, a key of nobody, and another secret', async () => {
  const { text } = await makeKey(scopes);
  const stranger = createApiKey();
  const impostor = createApiKey();
  await insertKey(system.owner, { id: impostor.id, tenantId, hash: stranger.hash, scopes });
  for (const key of [text.slice(0, -1), `${text}0`, 'x', stranger.text, impostor.text]) {
    const answer = await ask('/v1/jobs', { key });
    assert.equal([answer.status, answer.code], [401, 'invalid_key']);
    assert.match(answer.challenge ?? '', /error="invalid_token"/);
    assert.not(answer.text.includes(key));
  }
});

test('names the scope that a key lacks', async () => {
  const asks: readonly (readonly [path: string, method: string, scope: Scope])[] = [
    ['/v1/jobs', 'POST', 'jobs:write'],
    ['/v1/jobs/job_1', 'GET', 'jobs:read'],
    ['/V1/JOBS/job_1/', 'GET', 'jobs:read'],
    ['/v1/users/u/graph', 'GET', 'users:read'],
    ['/v1/users/u/graph/what-if', 'POST', 'users:read'],
    ['/v1/users/u', 'DELETE', 'users:write'],
    ['/v1/webhook_endpoints', 'GET', 'webhooks'],
    ['/api/emotions/analyze', 'POST', 'jobs:write'],
    ['/api/emotions/history/u', 'GET', 'users:read'],
    ['/api/profile/generate', 'POST', 'jobs:write'],
    ['/health/detailed', 'GET', 'admin'],
    ['/metrics', 'GET', 'admin'],
  ];
  for (const [path, method, scope] of asks) {
    const without = await makeKey(scopes.filter((one) => one !== scope));
    const refused = await ask(path, { key: without.text, method });
    assert.equal([refused.status, refused.code], [403, 'insufficient_scope'], `${method} ${path}`);
    assert.match(refused.challenge ?? '', `scope="${scope}"`);
    const allowed = await ask(path, { key: (await makeKey([scope])).text, method });
    assert.not.ok([401, 403].includes(allowed.status), `${method} ${path}: ${allowed.status}`);
  }
});

test('records a job for the tenant of the key', async () => {
  const { text } = await makeKey(['jobs:write', 'jobs:read']);
  const answer = await ask('/v1/jobs', { key: text, method: 'POST', body: job });
  assert.is(answer.status, 202);
  const { id } = z.object({ id: z.string() }).parse(JSON.parse(answer.text));
  const { rows } = await system.owner.query('SELECT tenant_id FROM jobs WHERE id = $1', [id.slice(4)]);
  assert.equal(rows, [{ tenant_id: tenantId }]);
});

test('refuses a revoked key in every process within 5 s', async () => {
  const { id, text } = await makeKey(['jobs:read']);
  const statusAt = async (address: string) => (await ask('/v1/jobs/job_1', { key: text, address })).status;
  for (const { address } of [api, other]) assert.is(await statusAt(address), 404);
  assert.ok(await revokeKey(system.owner, id));
  const started = performance.now();
  for (const { address } of [api, other])
    await until('the refusal', async () => ((await statusAt(address)) === 401 ? true : undefined), 10_000);
  const tookMs = performance.now() - started;
  assert.ok(tookMs < 5000, `it took ${tookMs} ms`);
});

test('refuses a key that has expired, and lists how long a key is good', async () => {
  const key = createApiKey();
  const stored = { id: key.id, tenantId, hash: key.hash, scopes };
  await insertKey(system.owner, { ...stored, expiresAt: new Date(Date.now() + 1500) });
  const status = async () => (await ask('/v1/jobs/job_1', { key: key.text })).status;
  assert.is(await status(), 404);
  await until('the refusal', async () => ((await status()) === 401 ? true : undefined), 10_000);
  const made = keys(
    'create',
    '--tenant',
    'brief',
    '--scopes',
    'jobs:read',
    '--expires',
    '2099-01-01T00:00:00Z',
  );
  assert.is(made.code, 0, made.err);
  assert.match(keys('list', '--tenant', 'brief').out, /\tvalid until 2099-01-01T00:00:00.000Z$/);
  assert.is(
    keys('create', '--tenant', 'brief', '--scopes', 'jobs:read', '--expires', '2020-01-01T00:00:00Z').code,
    1,
  );
});

test('knows keys while Redis is away', async () => {
  if (!hasOwnRedis) return;
  const port = await freePort();
  const redis = startRedis(port);
  const lonely = await system.start('api', { REDIS_URL: `redis://127.0.0.1:${port}` });
  await redis.stop('SIGKILL', 5000);
  const { text } = await makeKey(['jobs:write']);
  const answer = await ask('/v1/jobs', { key: text, method: 'POST', body: job, address: lonely.address });
  assert.is(answer.status, 202);
  await lonely.kill();
});

/** Runs scripts/keys as an operator would. */
function keys(...args: readonly string[]): { code: number | null; out: string; err: string } {
  const run = spawnSync(process.execPath, ['dist/scripts/keys.js', ...args], {
    cwd: packageRoot,
    env: childEnv({ DATABASE_URL: system.databaseUrl }),
    encoding: 'utf8',
  });
  return { code: run.status, out: run.stdout.trim(), err: run.stderr };
}

test('remembers when a key was used last, and writes it for many requests at once', async () => {
  const owner = await ensureTenant(system.owner, 'hooli', 'premium');
  const [used, unused] = [await makeKey(scopes, owner), await makeKey(scopes, owner)];
  const third = await system.start('api');
  const before = Date.now();
  for (let round = 0; round < 5; round++)
    assert.is((await ask('/v1/jobs', { key: used.text, address: third.address })).status, 200);
  const wrong = `${unused.text.slice(0, -1)}${unused.text.endsWith('0') ? '1' : '0'}`;
  assert.is((await ask('/v1/jobs', { key: wrong, address: third.address })).status, 401);
  await third.stop();
  const { rows } = await system.owner.query<{ id: string; at: Date | null; version: string }>(
    'SELECT id, last_used_at AS at, xmin::text AS version FROM api_keys WHERE id = ANY($1)',
    [[used.id, unused.id]],
  );
  const [ofUsed, ofUnused] = [used, unused].map(({ id }) => rows.find((row) => row.id === id));
  assert.ok(ofUsed?.at != null && ofUsed.at.getTime() >= before && ofUsed.at.getTime() <= Date.now());
  assert.is(ofUnused?.at, null);
  assert.match(keys('list', '--tenant', 'hooli').out, `\tused ${ofUsed.at.toISOString()}\tvalid`);
});

test('makes, lists and revokes keys by a command', async () => {
  const made = keys('create', '--tenant', 'globex', '--scopes', 'jobs:write,jobs:read', '--tier', 'standard');
  assert.is(made.code, 0, made.err);
  assert.is((await ask('/v1/jobs/job_1', { key: made.out })).status, 404);
  assert.is((await ask('/metrics', { key: made.out })).status, 403);
  const listed = keys('list', '--tenant', 'globex').out;
  assert.match(listed, /^\w{12}\tglobex\tstandard\tjobs:write,jobs:read\t\S+\tnever used\tvalid$/);
  assert.not(listed.includes(made.out.slice(23)));
  const id = listed.slice(0, 12);
  assert.is(keys('revoke', id).code, 0);
  assert.is(keys('revoke', id).code, 1);
  assert.match(keys('list', '--tenant', 'globex').out, /\trevoked /);
  for (const wrong of [
    [],
    ['create', '--tenant', 'x'],
    ['create', '--tenant', 'x', '--scopes', 'all'],
    ['revoke'],
  ])
    assert.is(keys(...wrong).code, 1, wrong.join(' '));
});

test('writes no key to a log', async () => {
  const { text } = await makeKey(['jobs:read']);
  await ask(`/v1/jobs/${text}`, { key: text });
  await ask(`/${text}`, { key: text });
  const logged = [api, other].flatMap((one) => one.lines()).join('\n');
  assert.ok(logged.includes('ready'));
  assert.not.match(logged, 'soma_live_');
  assert.not.match(logged, /bearer/i);
});

test.run();
