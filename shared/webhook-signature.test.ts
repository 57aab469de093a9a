import { randomBytes, randomInt } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createWebhookSecret, signWebhook } from './webhook-signature.ts';

test('signs 1,000 random bodies as the public package does', () => {
  for (let round = 0; round < 1000; round++) {
    const secret = createWebhookSecret();
    const id = `dlv_${randomBytes(8).toString('hex')}`;
    const at = new Date(1_700_000_000_000 + randomInt(2 ** 40));
    // Any Unicode, surrogate pairs and controls among it.
    const text = JSON.stringify({
      text: randomBytes(randomInt(400)).toString(round % 2 === 0 ? 'utf8' : 'latin1'),
      emoji: String.fromCodePoint(0x1f300 + randomInt(500)),
    });
    const headers = signWebhook([secret], { id, at, body: Buffer.from(text) });
    assert.is(headers['webhook-signature'], new Webhook(secret).sign(id, at, text));
  }
});

test('is verified by the public package with the new and with the old secret', () => {
  const [fresh, old] = [createWebhookSecret(), createWebhookSecret()];
  const body = Buffer.from('{"type":"webhook.test"}');
  const headers = signWebhook([fresh, old], { id: 'dlv_1', at: new Date(), body });
  assert.is(headers['webhook-signature'].split(' ').length, 2);
  for (const secret of [fresh, old])
    assert.equal(new Webhook(secret).verify(body.toString(), headers), { type: 'webhook.test' });
  assert.throws(() => new Webhook(createWebhookSecret()).verify(body.toString(), headers));
  assert.throws(() => new Webhook(fresh).verify(`${body.toString()} `, headers));
});

test('makes secrets of 32 random bytes', () => {
  const secrets = Array.from({ length: 100 }, createWebhookSecret);
  assert.is(new Set(secrets).size, 100);
  for (const secret of secrets) {
    assert.match(secret, /^whsec_/);
    assert.is(Buffer.from(secret.slice(6), 'base64').length, 32);
  }
});

test.run();
