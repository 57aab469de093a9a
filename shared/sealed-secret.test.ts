import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readSecretKeys, type SecretKeys } from './sealed-secret.ts';

const key = (id: string) => `${id}:${randomBytes(32).toString('base64')}`;

function read(text: string): SecretKeys {
  const keys = readSecretKeys(text);
  if (keys === undefined) throw new Error('no keys');
  return keys;
}

test('opens what it sealed, at its place alone', () => {
  const keys = read(key('k1'));
  const stored = keys.seal('whsec_abc', 'tenant/endpoint/1');
  assert.is(stored.keyId, 'k1');
  assert.not.ok(stored.sealed.includes('whsec_abc'));
  assert.is(keys.open(stored, 'tenant/endpoint/1'), 'whsec_abc');
  assert.throws(() => keys.open(stored, 'stranger/endpoint/1'));
  assert.not.equal(keys.seal('whsec_abc', 'tenant/endpoint/1').sealed, stored.sealed);
});

test('opens nothing that was changed or cut', () => {
  const keys = read(key('k1'));
  const { keyId, sealed } = keys.seal('whsec_abc', 'place');
  for (const index of [0, 12, 28]) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
    assert.throws(() => keys.open({ keyId, sealed: changed }, 'place'));
  }
  assert.throws(() => keys.open({ keyId, sealed: sealed.subarray(0, 20) }, 'place'));
});

test('seals with the first key and opens with any', () => {
  const [old, fresh] = [key('k1'), key('k2')];
  const stored = read(old).seal('whsec_abc', 'place');
  const both = read(`${fresh},${old}`);
  assert.is(both.open(stored, 'place'), 'whsec_abc');
  assert.is(both.seal('whsec_abc', 'place').keyId, 'k2');
  assert.throws(() => read(fresh).open(stored, 'place'), /sealed with key k1, which WEBHOOK_KEYS lacks/);
});

test('says what is wrong with keys without repeating them', () => {
  assert.is(readSecretKeys(''), undefined);
  for (const text of ['k1', 'k1:abc', `k 1:${'A'.repeat(44)}`]) {
    assert.throws(
      () => readSecretKeys(text),
      (error: Error) => error.message === 'a key is <id>:<base64 of 32 bytes>',
    );
  }
  assert.throws(() => readSecretKeys(`${key('k1')},${key('k1')}`), /same id/);
});

test.run();
