// What the cache keeps, for how long, how much of it and for whom.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Asked, createResultCache, keyOf, prefixOf, type ResultCache } from './result-cache.ts';

const question: Asked & { readonly text: string } = {
  scope: 'a',
  kind: 'emotion',
  version: '1',
  digest: 'd',
  provider: 'cpu',
  options: { granularity: 'document', include_all: true },
  text: 'What a day!',
};

const keyFor = ({ text, ...asked }: typeof question) => keyOf(prefixOf(asked), text);

function open(limits: { bytesMax?: number; ageMsMax?: number; now?: () => number } = {}): ResultCache {
  const cache = createResultCache({ bytesMax: 2 ** 20, ageMsMax: 1000, ...limits });
  cache.open();
  return cache;
}

const keep = (cache: ResultCache, key: string, output = '{}', scope = 'a') =>
  cache.set(key, { scope, output, mark: cache.mark() });

test('everything that an output depends on makes another key, and the order of options does not', () => {
  const others: readonly Partial<typeof question>[] = [
    { scope: 'b' },
    { kind: 'reasoning' },
    { version: '2' },
    { digest: 'e' },
    { provider: 'cuda:0' },
    { options: {} },
    { options: { granularity: 'sentence', include_all: true } },
    { text: 'What a day! ' },
    { text: 'what a day!' },
  ];
  const keys = [question, ...others.map((other) => ({ ...question, ...other }))].map(keyFor);
  assert.is(new Set(keys).size, others.length + 1);
  assert.is(
    keyFor({ ...question, options: { include_all: true, granularity: 'document' } }),
    keyFor(question),
  );
});

test('no part of a question can run over into the next', () => {
  const split = (scope: string, kind: string) => keyFor({ ...question, scope, kind });
  assert.is.not(split('a","b', 'c'), split('a', 'b","c'));
  assert.is.not(split('ab', 'c'), split('a', 'bc'));
});

test('a key tells nothing of the text', () => {
  assert.match(keyFor(question), /^[\w-]{43}$/);
});

test('keeps an output until it is too old, counted from when it was stored', () => {
  let nowMs = 1;
  const cache = open({ ageMsMax: 1000, now: () => nowMs });
  keep(cache, 'k', '{"x":1}');
  nowMs = 1000;
  assert.is(cache.get('k'), '{"x":1}');
  nowMs = 1002;
  assert.is(cache.get('k'), undefined);
});

test('frees what is too old when it is swept', () => {
  let nowMs = 1;
  const cache = open({ ageMsMax: 1000, now: () => nowMs });
  for (const key of ['k', 'l']) keep(cache, key);
  nowMs = 5000;
  cache.sweep();
  // As old as it was when it was kept, it would be given if it were there.
  nowMs = 1;
  assert.equal([cache.get('k'), cache.get('l')], [undefined, undefined]);
});

test('pushes out what was not asked for longest when it is full, and keeps nothing that fills it alone', () => {
  const cache = open({ bytesMax: 9000 });
  const output = 'x'.repeat(2000);
  for (const key of ['a', 'b', 'c']) keep(cache, key, output);
  assert.is(cache.get('a'), output);
  keep(cache, 'd', output);
  assert.equal(
    ['a', 'b', 'c', 'd'].map((key) => cache.get(key) !== undefined),
    [true, false, true, true],
  );
  keep(cache, 'e', 'x'.repeat(20_000));
  assert.is(cache.get('e'), undefined);
  // Two bytes a character once one of them is beyond Latin 1.
  keep(cache, 'f', `${'x'.repeat(4900)}€`);
  assert.is(cache.get('f'), undefined);
});

test('forgets one tenant and what is in the model meanwhile', () => {
  const cache = open();
  keep(cache, 'a1', '{}', 'a');
  keep(cache, 'a2', '{}', 'a');
  keep(cache, 'b1', '{}', 'b');
  const mark = cache.mark();
  cache.forget(['a']);
  assert.equal(
    ['a1', 'a2', 'b1'].map((key) => cache.get(key)),
    [undefined, undefined, '{}'],
  );
  cache.set('a3', { scope: 'a', output: '{}', mark });
  assert.is(cache.get('a3'), undefined);
  keep(cache, 'a3');
  assert.is(cache.get('a3'), '{}');
});

test('keeps and gives nothing while it is closed, and is empty when it opens again', () => {
  const cache = open();
  keep(cache, 'k');
  const mark = cache.mark();
  cache.close();
  assert.equal([cache.isOpen(), cache.get('k')], [false, undefined]);
  keep(cache, 'l');
  cache.open();
  cache.set('m', { scope: 'a', output: '{}', mark });
  assert.equal(
    ['k', 'l', 'm'].map((key) => cache.get(key)),
    [undefined, undefined, undefined],
  );
});

test('a cache of no bytes never opens', () => {
  assert.is(open({ bytesMax: 0 }).isOpen(), false);
});

test.run();
