// Webhooks from outside: endpoints, secrets, messages of real jobs, the log, replay and recovery, and what erasure
// and the end of retention leave of it.

import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { expectProblem, send as sendTo } from '../scripts/live-client.ts';
import { type Received, startReceiver } from '../scripts/live-receiver.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { webhookMessageSchema } from '../shared/webhook.ts';
import {
  deliveryDetailSchema,
  deliveryPageSchema,
  deliveryViewSchema,
  endpointViewSchema,
  newEndpointViewSchema,
  recoveryViewSchema,
  secretViewSchema,
} from './webhook-view.ts';

const system = await createLiveSystem({
  WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  WEBHOOK_ALLOW_LOOPBACK: 'true',
  WEBHOOK_TICK_MS: '50',
});
/** What the receiver answers by path; 204 otherwise. */
const statuses = new Map<string, number>();
const receiver = await startReceiver((received, response) => {
  response.writeHead(statuses.get(received.path) ?? 204, { 'content-type': 'text/plain' });
  response.end(statuses.has(received.path) ? `no: ${received.body.slice(0, 2000)}` : undefined);
});
const [api] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('dispatcher'),
  system.start('webhooks'),
]);
test.after(async () => {
  await system.close();
  await receiver.close();
});

const send = (method: string, path: string, body?: unknown) => sendTo(api.address + path, method, body);

async function register(path: string, more: Record<string, unknown> = {}) {
  const answer = await send('POST', '/v1/webhook_endpoints', { url: receiver.address + path, ...more });
  assert.is(answer.status, 201, answer.text);
  return newEndpointViewSchema.parse(answer.json);
}

const idSchema = z.object({ id: z.string() });

async function submit(more: Record<string, unknown> = {}): Promise<string> {
  const answer = await send('POST', '/v1/jobs', { kind: 'emotion', input: { text: 'Good news' }, ...more });
  assert.is(answer.status, 202, answer.text);
  return idSchema.parse(answer.json).id;
}

const idOf = (data: object): unknown => Reflect.get(data, 'id');

const at = (path: string) => receiver.received.filter((one) => one.path === path);
const untilCame = (path: string, count: number) =>
  receiver.until(
    `${count} messages at ${path}`,
    (all) => all.filter((one) => one.path === path).length >= count,
  );

function read(one: Received | undefined, secret: string): z.output<typeof webhookMessageSchema> {
  if (one === undefined) throw new Error('no message came');
  return webhookMessageSchema.parse(new Webhook(secret).verify(one.body, { ...one.headers }));
}

async function detail(id: string | undefined) {
  return deliveryDetailSchema.parse((await send('GET', `/v1/deliveries/${id}`)).json);
}

const untilEnded = (id: string | undefined) =>
  until('the delivery to end', async () => {
    const found = await detail(id);
    return found.status === 'pending' ? undefined : found;
  });

test('tells an endpoint what happens to a job, signed and in order of sequence', async () => {
  const endpoint = await register('/all', {
    events: ['job.*'],
    include_result: true,
    description: 'All of it',
  });
  const job = await submit({ user_id: 'u', tags: ['t'] });
  await untilCame('/all', 2);
  const messages = at('/all')
    .map((one) => read(one, endpoint.secret))
    .sort((a, b) => a.sequence - b.sequence);
  assert.equal(
    messages.map(({ type, sequence }) => [type, sequence]),
    [
      ['job.started', 2],
      ['job.succeeded', 3],
    ],
  );
  for (const { data } of messages) assert.equal([idOf(data), Reflect.get(data, 'user_id')], [job, 'u']);
  assert.match(
    JSON.stringify(messages[1]?.data),
    /"result":\{"items":\[\{"index":0,"status":"succeeded","output":\{/,
  );
  assert.not.match(JSON.stringify(messages[0]?.data), '"result":{');
  const ids = at('/all').map((one) => one.headers['webhook-id']);
  assert.is(new Set(ids).size, 2);
  const { data } = deliveryPageSchema.parse(
    (await send('GET', `/v1/deliveries?endpoint=${endpoint.id}&job=${job}`)).json,
  );
  assert.equal(new Set(data.map(({ id }) => id)), new Set(ids));
  const log = await untilEnded(data[0]?.id);
  assert.equal(
    [
      log.status,
      log.attempt_count,
      log.attempts[0]?.outcome,
      log.attempts[0]?.status_code,
      log.attempts[0]?.response_body,
    ],
    ['succeeded', 1, 'succeeded', 204, null],
  );
  assert.is((await send('DELETE', `/v1/webhook_endpoints/${endpoint.id}`)).status, 204);
  await expectProblem(send('GET', `/v1/deliveries/${log.id}`), 404, 'delivery_not_found');
});

test("signs a job's own webhook with the tenant's default secret, and repeats it with the job", async () => {
  const { secret } = secretViewSchema.parse((await send('GET', '/v1/webhook_secret')).json);
  const url = `${receiver.address}/own`;
  const job = await submit({ webhook: { url } });
  await untilCame('/own', 1);
  const message = read(at('/own')[0], secret);
  assert.equal([message.type, idOf(message.data)], ['job.succeeded', job]);
  const again = idSchema.parse((await send('POST', `/v1/jobs/${job}/retry`)).json).id;
  await untilCame('/own', 2);
  assert.is(idOf(read(at('/own')[1], secret).data), again);
  const { data } = deliveryPageSchema.parse((await send('GET', `/v1/deliveries?job=${job}`)).json);
  assert.equal([data.length, data[0]?.url, data[0]?.endpoint_id], [1, url, null]);
  const rotated = secretViewSchema.parse((await send('POST', '/v1/webhook_secret/rotate')).json);
  assert.ok(rotated.previous_expires_at !== null && rotated.secret !== secret);
  await submit({ webhook: { url, events: ['job.started'] } });
  await untilCame('/own', 3);
  for (const one of [secret, rotated.secret]) assert.is(read(at('/own')[2], one).type, 'job.started');
});

test('tells of canceled and expired jobs', async () => {
  const endpoint = await register('/ends', { events: ['job.canceled', 'job.expired'] });
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const canceled = await submit({ not_before: later });
  await send('POST', `/v1/jobs/${canceled}/cancel`);
  const soon = new Date(Date.now() + 1500).toISOString();
  const expired = await submit({ not_before: new Date(Date.now() + 1400).toISOString(), deadline_at: soon });
  await untilCame('/ends', 2);
  const found = at('/ends').map((one) => read(one, endpoint.secret));
  assert.equal(Object.fromEntries(found.map(({ type, data }) => [type, idOf(data)])), {
    'job.canceled': canceled,
    'job.expired': expired,
  });
});

test('shows a secret once and signs with two while it is rotated', async () => {
  const endpoint = await register('/rotated', { events: ['webhook.test'] });
  const path = `/v1/webhook_endpoints/${endpoint.id}`;
  assert.not.match((await send('GET', path)).text, 'whsec_');
  assert.not.match((await send('GET', '/v1/webhook_endpoints')).text, 'whsec_');
  const { rows } = await system.owner.query<{ found: boolean }>(
    `SELECT bool_or(strpos(encode(sealed, 'escape'), $1) > 0 OR strpos(encode(sealed, 'hex'), $2) > 0) AS found FROM webhook_secrets`,
    [endpoint.secret.slice(6), Buffer.from(endpoint.secret.slice(6), 'base64').toString('hex')],
  );
  assert.is(rows[0]?.found, false);
  const rotated = secretViewSchema.parse((await send('POST', `${path}/rotate_secret`)).json);
  const overlapMs = Date.parse(rotated.previous_expires_at ?? '') - Date.now();
  assert.ok(Math.abs(overlapMs - 86_400_000) < 60_000, `${overlapMs}`);
  const made = deliveryViewSchema.parse((await send('POST', `${path}/test`)).json);
  await untilCame('/rotated', 1);
  for (const secret of [endpoint.secret, rotated.secret])
    assert.is(read(at('/rotated')[0], secret).type, 'webhook.test');
  assert.is(at('/rotated')[0]?.headers['webhook-id'], made.id);
});

test('keeps the log of failures, and sends again what failed, one or a window of it', async () => {
  const endpoint = await register('/gone', { events: ['job.succeeded'] });
  const path = `/v1/webhook_endpoints/${endpoint.id}`;
  const since = new Date(Date.now() - 1000).toISOString();
  statuses.set('/gone', 410);
  const job = await submit();
  await untilCame('/gone', 1);
  const page = deliveryPageSchema.parse((await send('GET', `/v1/deliveries?endpoint=${endpoint.id}`)).json);
  const failed = await untilEnded(page.data[0]?.id);
  assert.equal(
    [failed.status, failed.status_reason, failed.attempts[0]?.outcome],
    ['failed', 'gone', 'gone'],
  );
  const body = failed.attempts[0]?.response_body ?? '';
  assert.ok(body.startsWith('no: {"type":"job.succeeded"') && body.length <= 1024, body);
  const off = await until('the endpoint to be disabled', async () => {
    const view = endpointViewSchema.parse((await send('GET', path)).json);
    return view.status === 'disabled' ? view : undefined;
  });
  assert.is(off.status_reason, 'gone');
  await expectProblem(send('POST', `/v1/deliveries/${failed.id}/replay`), 409, 'endpoint_disabled');
  await expectProblem(send('POST', `${path}/test`), 409, 'endpoint_disabled');
  await expectProblem(send('POST', `${path}/recover`, { since }), 409, 'endpoint_disabled');
  statuses.delete('/gone');
  const on = endpointViewSchema.parse((await send('PATCH', path, { status: 'enabled' })).json);
  assert.equal([on.status, on.status_reason, on.failing_since], ['enabled', null, null]);
  const recover = async (more: object) => {
    const answer = await send('POST', `${path}/recover`, { since, ...more });
    assert.is(answer.status, 200, answer.text);
    return recoveryViewSchema.parse(answer.json);
  };
  assert.is((await recover({ dry_run: true })).deliveries, 1);
  const before = { dry_run: true, until: new Date(Date.parse(since) + 1).toISOString() };
  assert.is((await recover(before)).deliveries, 0);
  assert.is((await recover({})).deliveries, 1);
  await untilCame('/gone', 2);
  const recovered = await untilEnded(failed.id);
  assert.equal([recovered.status, recovered.attempt_count, recovered.job_id], ['succeeded', 2, job]);
  assert.is((await recover({})).deliveries, 0);
  assert.is((await send('POST', `/v1/deliveries/${failed.id}/replay`)).status, 202);
  await untilCame('/gone', 3);
  assert.equal([...new Set(at('/gone').map((one) => one.headers['webhook-id']))], [failed.id]);
  await untilEnded(failed.id);
  const [other] = deliveryPageSchema.parse((await send('GET', '/v1/deliveries?status=pending')).json).data;
  assert.is(other, undefined);
  statuses.set('/gone', 500);
  assert.is((await send('POST', `/v1/deliveries/${failed.id}/replay`)).status, 202);
  await untilCame('/gone', 4);
  await expectProblem(send('POST', `/v1/deliveries/${failed.id}/replay`), 409, 'delivery_pending');
});

test('tells the other endpoints when one is disabled', async () => {
  const watcher = await register('/watch', { events: ['endpoint.*'] });
  const victim = await register('/victim', { events: ['webhook.test'] });
  statuses.set('/victim', 410);
  await send('POST', `/v1/webhook_endpoints/${victim.id}/test`);
  await untilCame('/watch', 1);
  const { type, data } = read(at('/watch')[0], watcher.secret);
  assert.equal(
    [type, idOf(data), Reflect.get(data, 'status_reason')],
    ['endpoint.disabled', victim.id, 'gone'],
  );
});

test('erases with a job what was said of it, and what was answered', async () => {
  statuses.set('/echo', 500);
  const endpoint = await register('/echo', { events: ['job.succeeded'] });
  const job = await submit({ custom_id: 'canarywren', webhook: { url: `${receiver.address}/canarywren` } });
  await until('the answer to be in the log', async () => {
    const { rowCount } = await system.owner.query(
      `SELECT FROM delivery_attempts WHERE strpos(body, 'canarywren') > 0`,
    );
    return rowCount !== 0 ? true : undefined;
  });
  await send('DELETE', `/v1/jobs/${job}`);
  for (const table of ['deliveries', 'delivery_attempts', 'webhook_requests']) {
    const { rowCount } = await system.owner.query(
      `SELECT FROM ${table} t WHERE strpos(t::text, 'canarywren') > 0`,
    );
    assert.is(rowCount, 0, table);
  }
  const { data } = deliveryPageSchema.parse(
    (await send('GET', `/v1/deliveries?endpoint=${endpoint.id}`)).json,
  );
  assert.equal(data, []);
});

test('still tells of a job whose retention is over, and nothing but that it ended', async () => {
  statuses.set('/late', 500);
  const endpoint = await register('/late', { events: ['job.succeeded'] });
  const job = await submit({ custom_id: 'canarylark' });
  await untilCame('/late', 1);
  await until('the attempt to be in the log', async () => {
    const { rowCount } = await system.owner.query(
      `SELECT FROM delivery_attempts WHERE strpos(body, 'canarylark') > 0`,
    );
    return rowCount !== 0 ? true : undefined;
  });
  statuses.delete('/late');
  await system.owner.query('UPDATE jobs SET expires_at = now() WHERE id = $1', [job.slice(4)]);
  await system.owner.query('DELETE FROM jobs WHERE id = $1', [job.slice(4)]);
  await untilCame('/late', 2);
  const [first, second] = at('/late');
  assert.match(first?.body ?? '', 'canarylark');
  assert.equal(read(second, endpoint.secret).data, {
    id: job,
    object: 'job',
    status: 'succeeded',
    deleted: true,
  });
  const { rowCount } = await system.owner.query(
    `SELECT FROM delivery_attempts WHERE strpos(body, 'canarylark') > 0`,
  );
  assert.is(rowCount, 0);
});

test.run();
