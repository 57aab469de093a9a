// Training and serving must rewrite texts alike: the answers of models/train/encoder.py on 1,000 hard texts and
// every code point, made by models/train/tokenizer.py.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { loadNormalizer, straightenQuotes } from './normalize.ts';
import { readVerified } from './tokenizer.ts';

const folder = join(packageRoot, 'models/artifacts/tokenizer/1');
const normalize = loadNormalizer(folder);

/** What models/train/encoder.py makes of hard texts. */
const goldenSchema = z.object({ text: z.string(), normalized: z.string(), straightened: z.string() });
const codePointsSchema = z.object({ block: z.number(), normalized: z.array(z.string()) });
const golden = gunzipSync(readFileSync(join(folder, 'normalize-golden.jsonl.gz')))
  .toString()
  .trimEnd()
  .split('\n')
  .map((line) => goldenSchema.parse(JSON.parse(line)));

test('all 1,000 hard texts become what training made of them', () => {
  assert.is(golden.length, 1000);
  for (const { text, normalized, straightened } of golden) {
    assert.is(normalize(text), normalized);
    assert.is(straightenQuotes(text), straightened);
  }
});

test('every code point becomes what training made of it', () => {
  const { block, normalized } = codePointsSchema.parse(JSON.parse(readVerified(folder, 'code-points.json')));
  assert.is(normalized.length * block, 0x110000);
  for (const [index, expected] of normalized.entries()) {
    const text = codePoints(index * block, block);
    assert.is(shortHash(normalize(text)), expected, `from U+${(index * block).toString(16)}`);
  }
});

test('an emoji becomes its name whatever its skin tone, style and joiners', () => {
  assert.is(normalize('ok👍🏽!'), 'ok thumbs up sign !');
  assert.is(normalize('❤️‍🔥'), ' heavy black heart  fire ');
});

test('plain text and foreign scripts stay as they are', () => {
  for (const text of ['', 'It\'s "fine".\n', 'Ünïcödé 你好 Привет', 'lone \ud83d surrogate']) {
    assert.is(normalize(text), text);
  }
});

test('a text is normalized character by character', () => {
  const anyText = fc.string({ unit: 'binary' });
  fc.assert(fc.property(anyText, anyText, (a, b) => normalize(a + b) === normalize(a) + normalize(b)));
});

test('a normalized text does not change when normalized again', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => normalize(normalize(text)) === normalize(text)),
  );
});

test('straightened quotes keep every offset', () => {
  assert.is(straightenQuotes('“It’s ‛a‚ „test‟”'), '"It\'s \'a\' "test""');
  const quoted = fc
    .array(fc.constantFrom('‘', '’', '“', '”', 'a', '🙂', '\ud83d', "'"))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(quoted, (text) => {
      const straightened = straightenQuotes(text);
      assert.is(straightened.length, text.length);
      assert.is(straightened.replaceAll(/['"]/g, ''), text.replaceAll(/['‘’“”]/g, ''));
    }),
  );
});

function codePoints(first: number, size: number): string {
  return Array.from({ length: size }, (_, i) => first + i)
    .filter((code) => code < 0xd800 || code > 0xdfff)
    .map((code) => String.fromCodePoint(code))
    .join('');
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

test.run();
