// Endpoints from outside: what may be registered, changed and listed, and what another tenant, a key without the scope
// and a server without keys are told.

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { expectProblem, send as sendTo } from '../scripts/live-client.ts';
import { startReceiver } from '../scripts/live-receiver.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { createApiKey, type Scope, scopes } from '../shared/api-key.ts';
import {
  deliveryViewSchema,
  endpointListSchema,
  endpointViewSchema,
  newEndpointViewSchema,
  secretViewSchema,
} from './webhook-view.ts';

const system = await createLiveSystem({
  AUTH: 'on',
  WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  WEBHOOK_ALLOW_LOOPBACK: 'true',
  WEBHOOK_TICK_MS: '50',
});
const receiver = await startReceiver();
const [api, bare] = await Promise.all([
  system.start('api'),
  system.start('api', { WEBHOOK_KEYS: '', WEBHOOK_ALLOW_LOOPBACK: 'false' }),
  system.start('webhooks'),
]);
test.after(async () => {
  await system.close();
  await receiver.close();
});

async function makeKey(tenant: string, allowed: readonly Scope[] = scopes): Promise<string> {
  const key = createApiKey();
  const tenantId = await ensureTenant(system.owner, tenant, 'premium');
  await insertKey(system.owner, { id: key.id, tenantId, hash: key.hash, scopes: allowed });
  return key.text;
}

const [key, stranger, blind] = await Promise.all([
  makeKey('owner'),
  makeKey('stranger'),
  makeKey('owner', ['jobs:read', 'jobs:write']),
]);

const send = (method: string, path: string, body?: unknown, as = key, at = api.address) =>
  sendTo(at + path, method, body, as);

async function register(path: string, more: Record<string, unknown> = {}) {
  const answer = await send('POST', '/v1/webhook_endpoints', { url: receiver.address + path, ...more });
  assert.is(answer.status, 201, answer.text);
  return newEndpointViewSchema.parse(answer.json);
}

test('changes, lists and limits endpoints, and refuses what is wrong with one', async () => {
  const endpoint = await register('/changed', { events: ['batch.*'] });
  const path = `/v1/webhook_endpoints/${endpoint.id}`;
  const changes = { url: `${receiver.address}/moved`, events: ['*'], description: 'x', status: 'disabled' };
  const changed = endpointViewSchema.parse((await send('PATCH', path, changes)).json);
  assert.equal(
    [changed.url, changed.events, changed.description, changed.status, changed.status_reason],
    [changes.url, ['*'], 'x', 'disabled', 'disabled_by_client'],
  );
  const listed = endpointListSchema.parse((await send('GET', '/v1/webhook_endpoints')).json);
  assert.ok(listed.data.some(({ id }) => id === endpoint.id));
  const faults: readonly (readonly [object, string])[] = [
    [{ url: 'http://10.0.0.1/' }, '"pointer":"/url","code":"address_refused"'],
    [{ url: 'http://example.com/' }, '"pointer":"/url","code":"https_required"'],
    [{ url: 'https://example.com:25/' }, '"pointer":"/url","code":"port_refused"'],
    [{ url: 'https://a:b@example.com/' }, '"pointer":"/url","code":"userinfo"'],
    [{ url: receiver.address, events: [] }, '"pointer":"/events"'],
    [{ url: receiver.address, events: ['job.unknown'] }, '"pointer":"/events/0"'],
    [{ url: receiver.address, secret: 'mine' }, '"pointer":"/secret","code":"unknown_field"'],
  ];
  for (const [body, text] of faults) {
    const { status, text: found } = await send('POST', '/v1/webhook_endpoints', body);
    assert.is(status, 422, found);
    assert.match(found, text);
  }
  await expectProblem(send('PATCH', path, {}), 422, 'invalid_request');
  await expectProblem(send('PATCH', path, { url: 'https://127.0.0.1.nowhere:1/' }), 422, 'invalid_request');
  await expectProblem(
    send('POST', '/v1/jobs', {
      kind: 'emotion',
      input: { text: 'x' },
      webhook: { url: 'https://[64:ff9b::7f00:1]/' },
    }),
    422,
    'invalid_request',
  );
  const wave = { since: '2026-11-24T00:00:00Z', until: '2026-11-23T00:00:00Z' };
  await expectProblem(send('POST', `${path}/recover`, wave), 422, 'invalid_request');
  await system.owner.query(
    `INSERT INTO webhook_endpoints (tenant_id, id, url, events, status)
     SELECT tenant_id, gen_random_uuid(), url, '{batch.ended}', 'disabled' FROM webhook_endpoints, generate_series(1, 50)
     WHERE id = $1`,
    [endpoint.id.slice(5)],
  );
  await expectProblem(
    send('POST', '/v1/webhook_endpoints', { url: receiver.address }),
    409,
    'endpoint_limit_reached',
  );
  await system.owner.query(`DELETE FROM webhook_endpoints WHERE events = '{batch.ended}'`);
});

test('shows nothing to another tenant, nor to a key without the scope', async () => {
  const endpoint = await register('/private', { events: ['webhook.test'] });
  const made = deliveryViewSchema.parse(
    (await send('POST', `/v1/webhook_endpoints/${endpoint.id}/test`)).json,
  );
  const endpointPath = `/v1/webhook_endpoints/${endpoint.id}`;
  const calls: readonly (readonly [string, string, unknown?])[] = [
    ['GET', endpointPath],
    ['PATCH', endpointPath, { status: 'disabled' }],
    ['DELETE', endpointPath],
    ['POST', `${endpointPath}/rotate_secret`],
    ['POST', `${endpointPath}/test`],
    ['POST', `${endpointPath}/recover`, { since: '2026-01-01T00:00:00Z' }],
    ['GET', `/v1/deliveries/${made.id}`],
    ['POST', `/v1/deliveries/${made.id}/replay`],
  ];
  for (const [method, path, body] of calls) {
    assert.is((await send(method, path, body, stranger)).status, 404, `${method} ${path}`);
    await expectProblem(send(method, path, body, blind), 403, 'insufficient_scope');
  }
  for (const path of ['/v1/webhook_endpoints', '/v1/deliveries', `/v1/deliveries?endpoint=${endpoint.id}`])
    assert.match((await send('GET', path, undefined, stranger)).text, '"data":[]');
  const secret = async (as: string) =>
    secretViewSchema.parse((await send('GET', '/v1/webhook_secret', undefined, as)).json);
  assert.is.not((await secret(key)).secret, (await secret(stranger)).secret);
  await expectProblem(send('GET', '/v1/webhook_secret', undefined, blind), 403, 'insufficient_scope');
  assert.is(endpointViewSchema.parse((await send('GET', endpointPath)).json).status, 'enabled');
});

test('refuses webhooks where there are no keys to seal secrets with, and no loopback unless it is allowed', async () => {
  const at = bare.address;
  await expectProblem(
    send('POST', '/v1/webhook_endpoints', { url: 'https://example.com/' }, key, at),
    503,
    'webhooks_unavailable',
  );
  await expectProblem(send('GET', '/v1/webhook_secret', undefined, key, at), 503, 'webhooks_unavailable');
  const job = { kind: 'emotion', input: { text: 'x' }, webhook: { url: 'https://example.com/' } };
  await expectProblem(send('POST', '/v1/jobs', job, key, at), 503, 'webhooks_unavailable');
});

test.run();
