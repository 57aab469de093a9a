// The sender against a real ledger and receivers that fail, with the clock and the dice in the test's hands: attempts
// come when the schedule says, under one id, and the log names what happened.

import { randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Received, startReceiver } from '../scripts/live-receiver.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { readSecretKeys } from '../shared/sealed-secret.ts';
import { deliveryIds } from '../shared/webhook.ts';
import { resealSecrets } from './reseal-secrets.ts';
import { createWebhookRig } from './webhook-rig.ts';

const key = () => randomBytes(32).toString('base64');
const oldKey = `old:${key()}`;
const system = await createLiveSystem();
const config = readConfig({
  ...system.env,
  DATABASE_URL: system.databaseUrl,
  WEBHOOK_ALLOW_LOOPBACK: 'true',
  WEBHOOK_TIMEOUT_MS: '2000',
  WEBHOOK_CONNECT_MS: '1000',
});

/** What each path answers, in turn; the last for ever. 204 otherwise. */
const scripts = new Map<string, (number | readonly [status: number, retryAfter: string])[]>();
let together = 0;
let togetherMax = 0;
const receiver = await startReceiver(({ path }, response) => {
  if (path === '/slow') {
    togetherMax = Math.max(togetherMax, ++together);
    setTimeout(() => {
      together -= 1;
      response.writeHead(204).end();
    }, 20);
    return;
  }
  const script = scripts.get(path) ?? [204];
  const next = (script.length > 1 ? script.shift() : script[0]) ?? 204;
  const [status, retryAfter] = typeof next === 'number' ? [next, undefined] : next;
  response.writeHead(status, {
    'content-type': 'text/plain',
    ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }),
  });
  response.end();
});

const rig = await createWebhookRig({ config, keyText: oldKey });
const { database, deliver, makeEndpoint, run, runNext, sender, stateOf, turnClock } = rig;
test.after(async () => {
  await rig.close();
  await system.close();
  await receiver.close();
});

const at = (path: string): Received[] => receiver.received.filter((one) => one.path === path);

test('tries a message that fails eight times as the schedule says, under one id, and gives up', async () => {
  scripts.set('/500', [500]);
  const endpoint = await makeEndpoint(`${receiver.address}/500`);
  const [id] = await deliver({ endpointId: endpoint.id });
  await run();
  const waits = [0];
  while ((await stateOf(id)).status === 'pending') waits.push(await runNext(id));
  assert.equal(
    waits.map((seconds) => Math.round(seconds)),
    [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000],
  );
  const { status, statusReason: reason, outcomes } = await stateOf(id);
  assert.equal(
    [status, reason, outcomes],
    ['failed', 'exhausted', Array.from({ length: 8 }, () => 'http_error')],
  );
  const messages = at('/500');
  assert.equal(
    [...new Set(messages.map((one) => one.headers['webhook-id']))],
    [deliveryIds.format(id ?? '')],
  );
  assert.is(new Set(messages.map((one) => one.body)).size, 1);
  // Each attempt is signed at its own time.
  assert.is(new Set(messages.map((one) => one.headers['webhook-timestamp'])).size, 8);
});

test('heeds Retry-After of 429 and 503, and of nothing else', async () => {
  scripts.set('/429', [[429, '120'], [503, '10000'], [500, '7200'], 204]);
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/429`);
  const [id] = await deliver({ endpointId });
  await run();
  const waits = [await runNext(id), await runNext(id), await runNext(id)].map(Math.round);
  assert.equal(waits, [120, 10_000, 1800]);
  const { status, outcomes } = await stateOf(id);
  assert.equal([status, outcomes], ['succeeded', ['rate_limited', 'http_error', 'http_error', 'succeeded']]);
});

test('sends nothing to a receiver that asked to be left alone', async () => {
  scripts.set('/pause', [[429, '60'], 204]);
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/pause`);
  await deliver({ endpointId });
  await run();
  const [later] = await deliver({ endpointId });
  turnClock(30_000);
  await run();
  assert.equal([at('/pause').length, (await stateOf(later)).outcomes], [1, []]);
  turnClock(31_000);
  await run();
  assert.is((await stateOf(later)).status, 'succeeded');
});

test('disables an endpoint that answers 410, and fails what waits for it', async () => {
  scripts.set('/410', [410]);
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/410`);
  const ids = await deliver({ endpointId }, 30);
  await run();
  const { rows } = await database.query('SELECT status, status_reason FROM webhook_endpoints WHERE id = $1', [
    endpointId,
  ]);
  assert.equal(rows, [{ status: 'disabled', status_reason: 'gone' }]);
  const states = await Promise.all(ids.map(stateOf));
  assert.ok(states.every(({ status }) => status === 'failed'));
  const reasons = new Set(states.map(({ statusReason }) => statusReason));
  assert.equal(reasons, new Set(['gone', 'endpoint_disabled']));
  assert.ok(at('/410').length <= 8, `${at('/410').length} attempts`);
});

test('disables an endpoint after five days of nothing but failure, and tells the others', async () => {
  scripts.set('/dead', [500]);
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/dead`);
  const watcher = await makeEndpoint(`${receiver.address}/watcher`);
  await database.query(`UPDATE webhook_endpoints SET events = '{endpoint.disabled}' WHERE id = $1`, [
    watcher.id,
  ]);
  const statusOf = async () =>
    (
      await database.query<{ status: string }>('SELECT status FROM webhook_endpoints WHERE id = $1', [
        endpointId,
      ])
    ).rows[0]?.status;
  const day = 86_400_000;
  for (let days = 0; days < 5; days++) {
    await deliver({ endpointId });
    await run();
    assert.is(await statusOf(), 'enabled', `after ${days} days`);
    turnClock(day + 1000);
  }
  await deliver({ endpointId });
  await run();
  assert.is(await statusOf(), 'disabled');
  // The ledger's clock made this one, so it is too old for the sender's.
  const { rows } = await database.query(
    `SELECT type, data->>'status_reason' AS reason FROM deliveries WHERE endpoint_id = $1`,
    [watcher.id],
  );
  assert.equal(rows, [{ type: 'endpoint.disabled', reason: 'failing' }]);
});

test('counts five days anew after a success', async () => {
  scripts.set('/moody', [500, 204, 500]);
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/moody`);
  for (let round = 0; round < 3; round++) {
    await deliver({ endpointId });
    await run();
    turnClock(2000);
  }
  const { rows } = await database.query<{ failing_since: Date }>(
    'SELECT failing_since FROM webhook_endpoints WHERE id = $1',
    [endpointId],
  );
  assert.ok(rig.now().getTime() - (rows[0]?.failing_since.getTime() ?? 0) < 60_000);
});

test("gives up on a job's own URL after five days, without ever disabling it", async () => {
  scripts.set('/own', [500]);
  await rig.storeSecret(defaultTenantId);
  const [id] = await deliver({ url: `${receiver.address}/own` });
  await run();
  turnClock(6 * 86_400_000);
  await run();
  assert.equal([(await stateOf(id)).status, (await stateOf(id)).statusReason], ['failed', 'gave_up']);
  scripts.set('/own', [204]);
  const [next] = await deliver({ url: `${receiver.address}/own` });
  await run();
  assert.is((await stateOf(next)).status, 'succeeded');
});

test('tries a dead endpoint now and then without using up its messages, and drains it when it is back', async () => {
  scripts.set('/down', [500]);
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/down`);
  const ids = await deliver({ endpointId }, 200);
  await run();
  assert.ok(at('/down').length <= 8, `${at('/down').length} attempts before the circuit opened`);
  const before = at('/down').length;
  for (let probe = 0; probe < 3; probe++) {
    turnClock(300_000);
    await run();
  }
  assert.is(at('/down').length, before + 3);
  scripts.set('/down', [204]);
  turnClock(300_000);
  await run();
  // Those that were tried have a time of their own to come.
  for (let round = 0; round < 3; round++) {
    turnClock(3_600_000);
    await run();
  }
  const states = await Promise.all(ids.map(stateOf));
  assert.ok(states.every(({ status }) => status === 'succeeded'));
});

test('names in the log what no answer came of', async () => {
  const cases = {
    'https://127.0.0.1:1/': 'connection_refused',
    'https://nothing.invalid/': 'dns_failed',
    [receiver.address.replace('http:', 'https:')]: 'tls_failed',
    'https://10.0.0.1/': 'address_refused',
    'http://169.254.169.254/latest/meta-data': 'address_refused',
  };
  for (const [url, outcome] of Object.entries(cases)) {
    const { id: endpointId } = await makeEndpoint(url);
    const [id] = await deliver({ endpointId });
    await run();
    assert.equal((await stateOf(id)).outcomes, [outcome], url);
  }
});

test('sends to an endpoint at most four messages at a time, however many processes there are', async () => {
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/slow`);
  const other = await rig.startSender();
  const ids = await deliver({ endpointId }, 60);
  await Promise.all([sender, other].map((one) => one.tick()));
  await Promise.all([sender, other].map((one) => one.settled()));
  assert.equal([at('/slow').length, togetherMax], [60, 4]);
  assert.is((await stateOf(ids.at(-1))).status, 'succeeded');
  await other.close(5000);
});

test('takes over from a process that is gone', async () => {
  const { id: endpointId } = await makeEndpoint(`${receiver.address}/orphan`);
  const holder = await rig.startSender();
  await deliver({ endpointId });
  await holder.tick();
  await holder.settled();
  const [second] = await deliver({ endpointId });
  await run();
  assert.is((await stateOf(second)).status, 'pending');
  await holder.close(5000);
  await until('the other to take over', async () => {
    await run();
    return (await stateOf(second)).status === 'succeeded' ? true : undefined;
  });
});

test('goes on with a secret that another key sealed, and seals it anew', async () => {
  const endpoint = await makeEndpoint(`${receiver.address}/resealed`);
  const both = readSecretKeys(`new:${key()},${oldKey}`);
  assert.ok(both);
  await resealSecrets(database, both, rig.log);
  const { rows } = await database.query('SELECT DISTINCT key_id FROM webhook_secrets');
  assert.equal(rows, [{ key_id: 'new' }]);
  const [id] = await deliver({ endpointId: endpoint.id });
  await run();
  // This sender has the old key alone: it cannot sign, and says so, and the message waits.
  assert.equal([(await stateOf(id)).status, (await stateOf(id)).statusReason], ['pending', 'not_made']);
  await sender.close(5000);
  const next = await rig.startSender(both);
  turnClock(61_000);
  await next.tick();
  await next.settled();
  const [message] = at('/resealed');
  assert.is((await stateOf(id)).status, 'succeeded');
  const signature = new Webhook(endpoint.secret).sign(
    message?.headers['webhook-id'] ?? '',
    new Date(Number(message?.headers['webhook-timestamp']) * 1000),
    message?.body ?? '',
  );
  assert.is(message?.headers['webhook-signature'], signature);
  await next.close(5000);
});

test.run();
