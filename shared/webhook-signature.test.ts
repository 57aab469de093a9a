import { Webhook } from 'standardwebhooks';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { compareSignatures } from './compare-signatures.ts';
import { createWebhookSecret, signWebhook } from './webhook-signature.ts';

test('signs 1,000 random bodies as the public package does', () => {
  assert.is(compareSignatures(1000, Math.random), 1000);
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
