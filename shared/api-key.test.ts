// Keys are told from typos without asking anyone.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createApiKey, parseApiKey } from './api-key.ts';

test('reads the keys that it makes', () => {
  for (let round = 0; round < 200; round++) {
    const { text, id, hash } = createApiKey();
    assert.match(text, /^soma_live_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
    const read = parseApiKey(text);
    assert.is(read?.id, id);
    assert.ok(read?.hash.equals(hash));
  }
});

test('makes no key twice', () => {
  const keys = Array.from({ length: 1000 }, () => createApiKey());
  assert.is(new Set(keys.map(({ id }) => id)).size, 1000);
  assert.is(new Set(keys.map(({ text }) => text.slice(23))).size, 1000);
});

test('tells every typo of one character', () => {
  const { text } = createApiKey();
  for (let place = 0; place < text.length; place++) {
    const other = text.charAt(place) === 'x' ? 'y' : 'x';
    assert.is(parseApiKey(text.slice(0, place) + other + text.slice(place + 1)), undefined, `place ${place}`);
  }
});

test('refuses what is no key', () => {
  const { text } = createApiKey();
  for (const wrong of [
    '',
    'soma_live_',
    text.slice(1),
    `${text}0`,
    ` ${text}`,
    `${text}\n`,
    text.toUpperCase(),
  ])
    assert.is(parseApiKey(wrong), undefined, JSON.stringify(wrong));
});

test.run();
