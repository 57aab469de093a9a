// The reference's own answers, made by models/train/tokenizer.py, on 5,000 hard texts and every code point; then
// what holds for any text at all.

import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { type Encoding, loadTokenizer, readVerified } from './tokenizer.ts';

const folder = join(packageRoot, 'models/artifacts/tokenizer/1');
const tokenizer = loadTokenizer(folder);
const [cls, sep, mask, unknown] = [101, 102, 103, 100];

/** The reference's ids (the first 128 and a hash of all) and a hash of its offsets, in UTF-16 units. */
const goldenSchema = z.object({
  text: z.string(),
  count: z.number(),
  ids: z.array(z.number()),
  ids_sha256: z.string(),
  offsets_sha256: z.string(),
});
const codePointsSchema = z.object({ block: z.number(), encoded: z.array(z.string()) });
const golden = gunzipSync(readFileSync(join(folder, 'golden.jsonl.gz')))
  .toString()
  .trimEnd()
  .split('\n')
  .map((line) => goldenSchema.parse(JSON.parse(line)));

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  fc
    .array(fc.constantFrom('[MASK]', '[SEP', '\ud83d', '\u0301', 'é', '가', 'the ', '🙂', '\0', ' '))
    .map((parts) => parts.join('')),
);

test('the ids of all 5,000 hard texts are those of the reference', () => {
  assert.is(golden.length, 5000);
  for (const { text, ids, count, ids_sha256 } of golden) {
    const pieces = tokenizer.encode(text, 1_000_000).ids.slice(1, -1);
    assert.equal(pieces.slice(0, 128), ids, text);
    assert.is(pieces.length, count, text);
    assert.is(shortHash(pieces.join(' ')), ids_sha256, text);
  }
});

test('offsets are those of the reference but in two texts with marks out of canonical order', () => {
  const differing = golden.filter(({ text, offsets_sha256 }) => {
    return shortHash(offsets(tokenizer.encode(text, 1_000_000))) !== offsets_sha256;
  });
  assert.ok(differing.every(({ text }) => isOutOfOrder(text)));
  assert.is(differing.length, 2);
});

test('every code point, alone and inside a word, gives the ids and offsets of the reference', () => {
  const { block, encoded } = codePointsSchema.parse(JSON.parse(readVerified(folder, 'code-points.json')));
  assert.is(encoded.length * block, 0x110000);
  for (const [index, expected] of encoded.entries()) {
    assert.is(
      shortHash(encodedBlock(index * block, block)),
      expected,
      `from U+${(index * block).toString(16)}`,
    );
  }
});

test('encoding never throws, stays within the limit and keeps spans in order inside the text', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 2, max: 64 }), (text, tokensMax) => {
      const { ids, starts, ends } = tokenizer.encode(text, tokensMax);
      assert.ok(ids.length >= 2 && ids.length <= tokensMax);
      assert.ok(ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabularySize));
      assert.is(starts.length, ids.length);
      assert.is(ends.length, ids.length);
      assert.equal(
        [ids[0], ids.at(-1), starts[0], ends[0], starts.at(-1), ends.at(-1)],
        [cls, sep, 0, 0, 0, 0],
      );
      assertOrdered(starts.slice(1, -1), ends.slice(1, -1), text.length);
    }),
    { numRuns: 2000 },
  );
});

test('a smaller limit gives a prefix, marked as truncated', () => {
  fc.assert(
    fc.property(anyText, fc.integer({ min: 2, max: 64 }), (text, tokensMax) => {
      const all = tokenizer.encode(text, 1_000_000);
      const some = tokenizer.encode(text, tokensMax);
      assert.equal(some.ids.slice(0, -1), all.ids.slice(0, -1).slice(0, tokensMax - 1));
      assert.equal(some.ends.slice(0, -1), all.ends.slice(0, -1).slice(0, tokensMax - 1));
      assert.is(some.truncated, all.ids.length > tokensMax);
      assert.not(all.truncated);
    }),
    { numRuns: 1000 },
  );
});

test('a word gives the same pieces on its first and on later readings', () => {
  const fresh = loadTokenizer(folder);
  for (const { text } of golden.slice(0, 500)) {
    assert.equal(fresh.encode(text, 128), tokenizer.encode(text, 128));
    assert.equal(fresh.encode(text, 128), tokenizer.encode(text, 128));
  }
});

test('more different words than the cache holds do not change the pieces', () => {
  const fresh = loadTokenizer(folder);
  for (let i = 0; i < 40_000; i += 100) {
    fresh.encode(Array.from({ length: 100 }, (_, j) => `w${i + j}`).join(' '), 1000);
  }
  assert.equal(fresh.encode('w1 and w39999', 128), tokenizer.encode('w1 and w39999', 128));
});

test('spans point at the words they were read from', () => {
  const text = '🙂 Café “fell” — tokenization';
  const { starts, ends } = tokenizer.encode(text, 128);
  const spans = starts.map((start, i) => text.slice(start, ends[i]));
  assert.equal(spans, ['', '🙂', 'Café', '“', 'fell', '”', '—', 'token', 'ization', '']);
});

test('an added token typed in the text is that token, in capitals only', () => {
  assert.equal(tokenizer.encode('a[MASK]b', 128).ids, [cls, 1037, mask, 1038, sep]);
  assert.not(tokenizer.encode('[mask]', 128).ids.includes(mask));
});

test('a lone surrogate leaves no trace', () => {
  assert.equal(tokenizer.encode('te\ud83dst \udc00', 128).ids, tokenizer.encode('test', 128).ids);
});

test('a word of more than 100 characters is unknown, however many units it was typed in', () => {
  assert.is(tokenizer.encode('e\u0301'.repeat(100), 1000).ids.includes(unknown), false);
  assert.equal(tokenizer.encode('é'.repeat(101), 1000).ids, [cls, unknown, sep]);
});

test('a text without a word is [CLS] and [SEP], not truncated', () => {
  for (const text of ['', ' \t\n', '\u200b\u0301\0']) {
    assert.equal(tokenizer.encode(text, 2), {
      ids: [cls, sep],
      starts: [0, 0],
      ends: [0, 0],
      truncated: false,
    });
  }
});

test('a limit that leaves no room for [CLS] and [SEP] is refused', () => {
  for (const tokensMax of [1, 0, -1, 2.5, Number.NaN]) {
    assert.throws(() => tokenizer.encode('text', tokensMax), /tokensMax is/);
  }
});

test('a text of 100 KB costs under 2 ms, whatever it holds', () => {
  const units = [
    'The bridge fell. ',
    'a',
    ' ',
    '\u0301',
    '\u0301 ',
    '가',
    `${'x'.repeat(99)}🙂 `,
    '[MASK]',
    '\ud800',
  ];
  for (const unit of units) {
    const text = unit.repeat(100_000 / unit.length);
    assert.ok(fastestMs(() => tokenizer.encode(text, 128)) < 2, `'${unit}' repeated`);
  }
});

test('a file that is not the one in the manifest is refused, by name', () => {
  const copy = mkdtempSync(join(tmpdir(), 'soma-tokenizer-'));
  try {
    cpSync(folder, copy, { recursive: true });
    writeFileSync(join(copy, 'tables.json'), readVerified(folder, 'tables.json').replace('100', '101'));
    assert.throws(() => loadTokenizer(copy), /tables\.json: sha256 is \w+, the manifest says \w+/);
    assert.throws(() => readVerified(copy, 'manifest.json'), /the manifest says nothing/);
  } finally {
    rmSync(copy, { recursive: true });
  }
});

function encodedBlock(first: number, size: number): string {
  let lines = '';
  for (let code = first; code < first + size; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const char = String.fromCodePoint(code);
    const encoding = tokenizer.encode(`${char} a${char}b`, 128);
    lines += `${encoding.ids.slice(1, -1).join(' ')};${offsets(encoding)}\n`;
  }
  return lines;
}

function offsets({ starts, ends }: Encoding): string {
  return starts
    .slice(1, -1)
    .map((start, i) => `${start} ${ends[i + 1]}`)
    .join(' ');
}

/** Whether decomposing the text moves a mark past another. */
function isOutOfOrder(text: string): boolean {
  return text.normalize('NFD') !== Array.from(text, (char) => char.normalize('NFD')).join('');
}

function assertOrdered(starts: readonly number[], ends: readonly number[], length: number): void {
  for (const [i, start] of starts.entries()) {
    const end = ends[i] ?? Number.NaN;
    assert.ok(start < end && end <= length, `span ${i} is ${start}..${end} of ${length}`);
    assert.ok(start >= (starts[i - 1] ?? 0) && end >= (ends[i - 1] ?? 0), `span ${i} goes back`);
  }
}

/** The fastest of many: a loaded machine must not fail the test, an algorithm that is too slow must. */
function fastestMs(run: () => unknown): number {
  const timings = Array.from({ length: 20 }, () => {
    const started = performance.now();
    run();
    return performance.now() - started;
  });
  return Math.min(...timings);
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

test.run();
