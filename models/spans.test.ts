// The decoder of spans against hand-made cases and against trying every tagging.

import * as fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { decodeSpans, logSoftmax, trimSpan } from './spans.ts';

const word = (tag: number, tags: number) =>
  Array.from({ length: tags }, (_, index) => (index === tag ? -0.1 : -5));

test('the best tagging is read off as spans', () => {
  const scores = [0, 1, 2, 0, 3, 4].map((tag) => word(tag, 5));
  assert.equal(decodeSpans(scores, [true, true]), [
    [1, 3],
    [4, 6],
  ]);
});

test('a required span is found even where O scores higher', () => {
  const scores = [word(0, 3), [-0.1, -0.2, -9], word(0, 3)];
  assert.equal(decodeSpans(scores, [true]), [[1, 2]]);
  assert.equal(decodeSpans(scores, [false]), [undefined]);
});

test('too few words for what is required give no span', () => {
  assert.equal(decodeSpans([word(1, 5)], [true, true]), [undefined, undefined]);
  assert.equal(decodeSpans([], [false]), [undefined]);
});

test('the decoder finds the best of all taggings that the rules allow', () => {
  const scoresOf = (words: number) =>
    fc.array(fc.array(fc.double({ min: -9, max: 0, noNaN: true }), { minLength: 5, maxLength: 5 }), {
      minLength: words,
      maxLength: words,
    });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }).chain(scoresOf), (scores) => {
      const found = decodeSpans(scores, [false, false]);
      assert.ok(Math.abs(scoreOf(scores, found) - bestByHand(scores)) < 1e-9);
    }),
  );
});

function scoreOf(
  scores: readonly (readonly number[])[],
  spans: readonly (readonly [number, number] | undefined)[],
): number {
  return scores.reduce((sum, tags, place) => {
    const kind = spans.findIndex((span) => span !== undefined && place >= span[0] && place < span[1]);
    const tag = kind < 0 ? 0 : place === spans[kind]?.[0] ? 2 * kind + 1 : 2 * kind + 2;
    return sum + (tags[tag] ?? 0);
  }, 0);
}

/** Tries every pair of spans that do not overlap. */
function bestByHand(scores: readonly (readonly number[])[]): number {
  const all: (readonly [number, number] | undefined)[] = [undefined];
  for (let from = 0; from < scores.length; from++)
    for (let to = from + 1; to <= scores.length; to++) all.push([from, to]);
  let best = -Infinity;
  for (const a of all) {
    for (const b of all) {
      if (a !== undefined && b !== undefined && a[0] < b[1] && b[0] < a[1]) continue;
      best = Math.max(best, scoreOf(scores, [a, b]));
    }
  }
  return best;
}

test('punctuation is trimmed from the ends of a span only', () => {
  assert.equal(trimSpan([0, 4], [',', 'a', '-', 'b']), [1, 4]);
  assert.equal(trimSpan([0, 2], [',', '.']), undefined);
  assert.equal(trimSpan(undefined, []), undefined);
});

test('log-probabilities add up to one', () => {
  const total = logSoftmax([100, 101, 3]).reduce((sum, value) => sum + Math.exp(value), 0);
  assert.ok(Math.abs(total - 1) < 1e-12);
});

test.run();
