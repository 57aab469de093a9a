// What is ours passes, in every form in which headers and bodies come; all else is refused.

import { createHmac, randomBytes } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createWebhookSecret, signWebhook } from '../webhook-signature.ts';
import { SomaError } from './soma-error.ts';
import { verifyWebhook } from './verify-webhook.ts';

const now = Date.UTC(2026, 10, 25);
const secret = `whsec_${Buffer.from('a key of 24 bytes or more').toString('base64')}`;
const body = JSON.stringify({
  type: 'job.succeeded',
  timestamp: '2026-11-25T00:00:00.000Z',
  sequence: 3,
  data: { id: 'job_1', text: 'ä😀' },
});

function sign(text: string, { at = now, key = secret, id = 'msg_1' } = {}): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  const mac = createHmac('sha256', Buffer.from(key.slice('whsec_'.length), 'base64'))
    .update(`${id}.${timestamp}.${text}`)
    .digest('base64');
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${mac}` };
}

const isRefused = (error: unknown) => error instanceof SomaError && error.code === 'invalid_signature';

test('agrees with the example of the Standard Webhooks specification', () => {
  // Its body is no event of ours, which is looked at only once the signature fits.
  const delivery = {
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    body: '{"test": 2432232314}',
  };
  const verify = () =>
    verifyWebhook(delivery, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', { now: 1_614_265_330_000 });
  assert.throws(verify, (error: unknown) => error instanceof SomaError && error.code === 'unexpected_answer');
});

test('reads what was signed, as text or bytes, with plain headers or Headers', () => {
  const headers = sign(body);
  const event = verifyWebhook({ headers, body }, secret, { now });
  assert.is(event.type, 'job.succeeded');
  assert.is(event.sequence, 3);
  assert.equal(
    verifyWebhook({ headers: new Headers(headers), body: Buffer.from(body) }, secret, { now }),
    event,
  );
});

test('takes what our sender and what the public package sign, and what it refuses so does the package', () => {
  const [fresh, old, foreign] = [createWebhookSecret(), createWebhookSecret(), createWebhookSecret()];
  const at = new Date();
  for (const text of ['ä😀', '\u0000\u2028"\\', 'x'.repeat(10_000)]) {
    const message = JSON.stringify({ type: 'job.succeeded', sequence: 3, data: { text } });
    const ours = signWebhook([fresh, old], { id: 'dlv_1', at, body: Buffer.from(message) });
    const theirs = { ...ours, 'webhook-signature': new Webhook(fresh).sign('dlv_1', at, message) };
    for (const [headers, secrets] of [
      [ours, [fresh, old]],
      [theirs, [fresh]],
    ] as const)
      for (const one of secrets) {
        const event = verifyWebhook({ headers, body: message }, one);
        assert.equal(event, new Webhook(one).verify(message, headers));
        assert.equal(event.data, { text });
      }
    for (const [changed, key] of [
      [message, foreign],
      [`${message} `, fresh],
    ] as const) {
      assert.throws(() => verifyWebhook({ headers: ours, body: changed }, key), isRefused);
      assert.throws(() => new Webhook(key).verify(changed, ours));
    }
  }
});

test('takes either secret while one replaces the other, and either of two signatures', () => {
  const old = `whsec_${randomBytes(24).toString('base64')}`;
  const headers = sign(body);
  assert.ok(verifyWebhook({ headers, body }, [old, secret], { now }));
  const both = `${sign(body, { key: old })['webhook-signature']} ${headers['webhook-signature']}`;
  assert.ok(verifyWebhook({ headers: { ...headers, 'webhook-signature': both }, body }, secret, { now }));
});

test('refuses a changed body, id, time, another key, and another version of signatures', () => {
  const headers = sign(body);
  const signature = headers['webhook-signature'] ?? '';
  for (const [delivery, key] of [
    [{ headers, body: body.replace('job_1', 'job_2') }, secret],
    [{ headers: { ...headers, 'webhook-id': 'msg_2' }, body }, secret],
    [{ headers: { ...headers, 'webhook-timestamp': String(now / 1000 + 1) }, body }, secret],
    [{ headers, body }, `whsec_${randomBytes(24).toString('base64')}`],
    [{ headers: { ...headers, 'webhook-signature': signature.replace('v1,', 'v1a,') }, body }, secret],
    [{ headers: { ...headers, 'webhook-signature': signature.slice(0, -8) }, body }, secret],
    [{ headers: { ...headers, 'webhook-signature': '' }, body }, secret],
    [{ headers: { ...headers, 'webhook-signature': [signature] }, body }, secret],
    [{ headers: {}, body }, secret],
  ] as const)
    assert.throws(() => verifyWebhook(delivery, key, { now }), isRefused);
});

test('refuses what is more than five minutes old or ahead, and times that are none', () => {
  const atOffset = (offsetMs: number) => () =>
    verifyWebhook({ headers: sign(body, { at: now + offsetMs }), body }, secret, { now });
  assert.ok(atOffset(-300_000)());
  assert.ok(atOffset(300_000)());
  assert.throws(atOffset(-301_000), isRefused);
  assert.throws(atOffset(301_000), isRefused);
  const headers = { ...sign(body), 'webhook-timestamp': 'now' };
  assert.throws(() => verifyWebhook({ headers, body }, secret, { now }), isRefused);
});

test('takes no empty secret', () => {
  assert.throws(() => verifyWebhook({ headers: sign(body), body }, 'whsec_', { now }), TypeError);
});

test.run();
