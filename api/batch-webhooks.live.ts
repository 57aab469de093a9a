// Webhooks of batches from outside: progress and end, to endpoints and to a batch's own URL, in the ledger's order; and
// what cancel, erasure and the end of retention make of them.

import { randomBytes } from 'node:crypto';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { Webhook } from 'standardwebhooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { send as sendTo } from '../scripts/live-client.ts';
import { type Received, startReceiver } from '../scripts/live-receiver.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { parseBatchId } from '../shared/batch.ts';
import { batchDataSchema, webhookMessageSchema } from '../shared/webhook.ts';
import { batchViewSchema } from './batch-view.ts';
import { deliveryPageSchema, newEndpointViewSchema, secretViewSchema } from './webhook-view.ts';

const system = await createLiveSystem({
  WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  WEBHOOK_ALLOW_LOOPBACK: 'true',
  WEBHOOK_TICK_MS: '50',
});
/** Paths that answer 500 with what they were sent; the others 204. */
const broken = new Set<string>();
const receiver = await startReceiver(({ path, body }, response) => {
  response.writeHead(broken.has(path) ? 500 : 204, { 'content-type': 'text/plain' });
  response.end(broken.has(path) ? body : undefined);
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
const lineOf = (index: number) => `${JSON.stringify({ custom_id: `line-${index}`, text: 'Good news' })}\n`;
const uuidOf = (id: string) => parseBatchId(id) ?? '';

async function register(path: string, events: readonly string[]): Promise<string> {
  const answer = await send('POST', '/v1/webhook_endpoints', { url: receiver.address + path, events });
  assert.is(answer.status, 201, answer.text);
  return newEndpointViewSchema.parse(answer.json).secret;
}

const defaultSecret = async () =>
  secretViewSchema.parse((await send('GET', '/v1/webhook_secret')).json).secret;

async function submit(more: Record<string, unknown> = {}) {
  const items = [{ custom_id: 'a', text: 'Good news' }];
  const answer = await send('POST', '/v1/batches', { kind: 'emotion', items, ...more });
  assert.is(answer.status, 202, answer.text);
  return batchViewSchema.parse(JSON.parse(answer.text));
}

/** A batch that runs and cannot end before its upload does. */
async function open(query = ''): Promise<{ id: string; upload: ClientRequest }> {
  const upload = httpRequest(`${api.address}/v1/batches?kind=emotion&on_invalid=skip${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const id = await new Promise<string>((resolve, reject) => {
    upload.on('response', (response) => {
      response.resume();
      response.on('error', () => undefined);
      resolve(String(response.headers['batch-id']));
    });
    upload.on('error', reject);
    upload.write(lineOf(0));
  });
  return { id, upload };
}

function read(one: Received | undefined, secret: string) {
  if (one === undefined) throw new Error('no message came');
  const message = webhookMessageSchema.parse(new Webhook(secret).verify(one.body, { ...one.headers }));
  return { ...message, data: batchDataSchema.strict().parse(message.data) };
}

/** The messages at a path, once `type` is among them, in order of sequence. */
async function untilTold(path: string, secret: string, type: string) {
  await receiver.until(`${type} at ${path}`, (all) =>
    all.some((one) => one.path === path && one.body.startsWith(`{"type":"${type}"`)),
  );
  return receiver.received
    .filter((one) => one.path === path)
    .map((one) => read(one, secret))
    .sort((a, b) => a.sequence - b.sequence);
}

async function eventsOf(id: string): Promise<Map<number, string>> {
  const { rows } = await system.owner.query<{ sequence: number; type: string }>(
    'SELECT sequence, type FROM batch_events WHERE batch_id = $1',
    [uuidOf(id)],
  );
  return new Map(rows.map(({ sequence, type }) => [sequence, type]));
}

const countIn = async (table: string, like: string): Promise<number> =>
  (await system.owner.query(`SELECT FROM ${table} t WHERE strpos(t::text, $1) > 0`, [like])).rowCount ?? 0;

test('tells an endpoint how a batch gets on and that it ended, signed, in the order of its events', async () => {
  const stranger = v7();
  await system.owner.query(
    `WITH secret AS (INSERT INTO webhook_secrets (tenant_id, owner_id, id, key_id, sealed) VALUES ($1, $1, $1, 'k1', ''))
     INSERT INTO webhook_endpoints (tenant_id, id, url, events) VALUES ($1, $1, $2, '{*}')`,
    [stranger, `${receiver.address}/stranger`],
  );
  const secret = await register('/all', ['batch.*']);
  const { id, upload } = await open(`&metadata=${encodeURIComponent('{"run":"7"}')}`);
  const [progress] = await untilTold('/all', secret, 'batch.progress');
  assert.equal(
    [progress?.data.id, progress?.data.status, progress?.data.end_reason, progress?.data.ended_at],
    [id, 'in_progress', null, null],
  );
  assert.equal(progress?.data.counts, { total: 1, succeeded: 1, failed: 0, canceled: 0, expired: 0 });
  upload.end(`{"custom_id":"bad"}\n${lineOf(2)}`);
  const messages = await untilTold('/all', secret, 'batch.ended');
  const events = await eventsOf(id);
  for (const { type, sequence } of messages) assert.is(events.get(sequence), type);
  const batch = batchViewSchema.parse((await send('GET', `/v1/batches/${id}`)).json);
  const ended = messages.at(-1);
  assert.equal([ended?.type, ended?.sequence], ['batch.ended', Math.max(...events.keys())]);
  assert.equal(ended?.data, {
    id,
    object: 'batch',
    kind: 'emotion',
    status: 'ended',
    end_reason: 'completed',
    model: batch.model,
    metadata: { run: '7' },
    input_file_id: null,
    created_at: batch.created_at,
    ended_at: ended?.timestamp,
    counts: { total: 3, succeeded: 2, failed: 1, canceled: 0, expired: 0 },
    error: null,
    links: { self: `/v1/batches/${id}`, results: `/v1/batches/${id}/results` },
  });
  const { data } = deliveryPageSchema.parse((await send('GET', `/v1/deliveries?batch=${id}`)).json);
  assert.equal(new Set(data.map((one) => one.id)), new Set(idsAt('/all')));
  assert.ok(data.every((one) => one.batch_id === id && one.job_id === null));
  assert.is(await countIn('deliveries', stranger), 0);
});

const idsAt = (path: string) =>
  receiver.received.filter((one) => one.path === path).map((one) => one.headers['webhook-id']);

test("tells a batch's own webhook of its end, signed with the tenant's default secret", async () => {
  const url = `${receiver.address}/own`;
  const batch = await submit({ webhook: { url } });
  const messages = await untilTold('/own', await defaultSecret(), 'batch.ended');
  assert.equal(
    messages.map(({ data }) => [data.id, data.end_reason]),
    [[batch.id, 'completed']],
  );
  const hook = encodeURIComponent(JSON.stringify({ url: `${url}-lines`, events: ['batch.*'] }));
  const { id, upload } = await open(`&webhook=${hook}`);
  const [progress] = await untilTold('/own-lines', await defaultSecret(), 'batch.progress');
  assert.is(progress?.data.id, id);
  upload.end();
  await untilTold('/own-lines', await defaultSecret(), 'batch.ended');
});

test('refuses a webhook that must not be called, or that asks for what a batch does not tell', async () => {
  const items = [{ custom_id: 'a', text: 'x' }];
  const refuse = async (webhook: unknown, pointer: string) => {
    const { status, text } = await send('POST', '/v1/batches', { kind: 'emotion', items, webhook });
    assert.ok(status === 422 && text.includes(`"pointer":"${pointer}"`), text);
  };
  await refuse({ url: 'https://10.0.0.1/' }, '/webhook/url');
  await refuse({ url: receiver.address, events: ['job.succeeded'] }, '/webhook/events/0');
  await refuse({ url: receiver.address, include_result: true }, '/webhook/include_result');
  const hook = encodeURIComponent('{"url":"https://10.0.0.1/"}');
  const answer = await fetch(`${api.address}/v1/batches?kind=emotion&webhook=${hook}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lineOf(0),
  });
  assert.match(await answer.text(), '"pointer":"?/webhook/url"');
});

test('tells of a canceled batch, and of one whose file is invalid, why they ended', async () => {
  const secret = await register('/ends', ['batch.ended']);
  const { id, upload } = await open();
  upload.on('error', () => undefined);
  assert.is((await send('POST', `/v1/batches/${id}/cancel`)).status, 202);
  const [canceled] = await untilTold('/ends', secret, 'batch.ended');
  assert.equal([canceled?.data.id, canceled?.data.end_reason], [id, 'canceled']);
  upload.destroy();
  const uploaded = await fetch(`${api.address}/v1/files`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: `${lineOf(0)}{"custom_id":"bad"}\n`,
  });
  const file = z.object({ id: z.string() }).parse(await uploaded.json());
  const url = `${receiver.address}/invalid`;
  const answer = await send('POST', '/v1/batches', {
    kind: 'emotion',
    input_file_id: file.id,
    webhook: { url },
  });
  assert.is(answer.status, 202, answer.text);
  const [invalid] = await untilTold('/invalid', await defaultSecret(), 'batch.ended');
  assert.equal(
    [invalid?.data.end_reason, invalid?.data.counts, invalid?.data.input_file_id],
    ['invalid', { total: 2, succeeded: 0, failed: 1, canceled: 1, expired: 0 }, file.id],
  );
  assert.type(invalid?.data.error?.code, 'string');
});

test('makes a message of progress once in ten seconds, however often the ledger notes it', async () => {
  const secret = await register('/paced', ['batch.*']);
  const { id } = await submit();
  await untilTold('/paced', secret, 'batch.ended');
  const counts = { counts: { total: 1, succeeded: 1, failed: 0, canceled: 0, expired: 0 } };
  for (const [index, seconds] of [0, 0.5, 9.9, 10.1, 19, 20.2].entries())
    await system.owner.query(
      `INSERT INTO batch_events (tenant_id, batch_id, sequence, type, data, at)
       SELECT tenant_id, id, 100 + $2, 'batch.progress', $3, now() + make_interval(secs => 3600 + $4::float8)
       FROM batches WHERE id = $1`,
      [uuidOf(id), index, JSON.stringify(counts), seconds],
    );
  const { rows } = await system.owner.query<{ sequence: number }>(
    `SELECT DISTINCT sequence FROM deliveries WHERE subject_id = $1 AND sequence >= 100 ORDER BY sequence`,
    [uuidOf(id)],
  );
  assert.equal(
    rows.map(({ sequence }) => sequence),
    [100, 103, 105],
  );
});

const metadata = { label: 'canarywren' };
const places = ['deliveries', 'delivery_attempts', 'webhook_requests'];

test('erases with a batch what was said of it and what was answered, at once, and tells no more', async () => {
  broken.add('/echo').add('/echo-own');
  const secret = await register('/echo', ['batch.*']);
  const own = { url: `${receiver.address}/echo-own`, events: ['batch.*'] };
  const more = Object.entries({ metadata, webhook: own })
    .map(([name, value]) => `&${name}=${encodeURIComponent(JSON.stringify(value))}`)
    .join('');
  const { id, upload } = await open(more);
  upload.on('error', () => undefined);
  await untilTold('/echo', secret, 'batch.progress');
  await until('the answers to be in the log', async () =>
    (await countIn('delivery_attempts', 'canarywren')) >= 2 ? true : undefined,
  );
  const ids = receiver.received
    .filter(({ body }) => body.includes(id))
    .map(({ headers }) => headers['webhook-id']?.slice('dlv_'.length) ?? '');
  assert.ok(ids.length >= 2);
  assert.is((await send('DELETE', `/v1/batches/${id}`)).status, 202);
  const isForgotten = async () => {
    for (const table of places)
      for (const trace of ['canarywren', 'echo-own', uuidOf(id), ...ids])
        assert.is(await countIn(table, trace), 0, `${table} ${trace}`);
  };
  await isForgotten();
  upload.destroy();
  await until('the sweep', async () => ((await countIn('batches', uuidOf(id))) === 0 ? true : undefined));
  await isForgotten();
});

test('still tells of a batch whose retention is over, and nothing but that it ended', async () => {
  broken.add('/late');
  const secret = await register('/late', ['batch.ended']);
  const { id } = await submit({ metadata: { label: 'canarylark' } });
  await until('the answer to be in the log', async () =>
    (await countIn('delivery_attempts', 'canarylark')) > 0 ? true : undefined,
  );
  broken.delete('/late');
  await system.owner.query('DELETE FROM jobs WHERE batch_id = $1', [uuidOf(id)]);
  await system.owner.query('UPDATE batches SET expires_at = now() WHERE id = $1', [uuidOf(id)]);
  await system.owner.query('DELETE FROM batches WHERE id = $1', [uuidOf(id)]);
  await receiver.until('the second attempt', (all) => all.filter(({ path }) => path === '/late').length > 1);
  const [first, second] = receiver.received.filter(({ path }) => path === '/late');
  assert.match(first?.body ?? '', 'canarylark');
  assert.equal(read(second, secret).data, { id, object: 'batch', status: 'ended', deleted: true });
  assert.is(await countIn('delivery_attempts', 'canarylark'), 0);
});

test.run();
