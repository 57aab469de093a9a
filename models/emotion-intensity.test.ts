// The former system looked for its intensifiers inside words: "so" in "also", "very" in "every".

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { intensityOf } from './emotion-intensity.ts';

function about(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

test('a plain text without a score has no intensity', () => {
  for (const text of ["I'm okay.", 'Every person also has some reason.', '', '   ', 'Is it?']) {
    assert.is(intensityOf(text, 0), 0, text);
  }
});

test('an intensifier counts as a whole word, and only then', () => {
  about(intensityOf('also, everything, realize, person', 0), 0);
  about(intensityOf('so good', 0), 0.15);
  about(intensityOf('SO, very... good', 0), 1 - (1 - 0.3) * 1);
  about(intensityOf('so so so so good', 0), 0.3);
});

test('the score alone gives four fifths of itself', () => {
  about(intensityOf('fine', 0.5), 0.4);
  about(intensityOf('fine', 1), 0.8);
});

test('capitals count by their share of the longer words', () => {
  about(intensityOf('THRILLED', 0), 0.4);
  about(intensityOf('one BIG thing', 0), 0.4 / 3);
  about(intensityOf('I am OK', 0), 0);
  about(intensityOf('你好世界', 0), 0);
});

test('exclamation marks count up to three, stretched words to two, emoji to three', () => {
  about(intensityOf('yes!', 0), 0.1);
  about(intensityOf('yes!!!!!!', 0), 0.3);
  about(intensityOf('yes！', 0), 0.1);
  about(intensityOf('sooo nice', 0), 0.1);
  about(intensityOf('nice 😀', 0), 0.2 / 3);
  about(intensityOf('see, book, 1000', 0), 0);
});

test('a downtoner lowers the share of the score', () => {
  about(intensityOf('slightly sad', 0.5), 0.4 * 0.7);
  about(intensityOf('a bit sad', 0.5), 0.4 * 0.7);
  about(intensityOf('a bitter pill', 0.5), 0.4);
  about(intensityOf('kind offer', 0.5), 0.4);
});

test('marks add up without passing 1', () => {
  about(intensityOf('THRILLED!!!', 0.9), 1 - (1 - 0.72) * 0.6 * 0.7);
});

test('is from 0 to 1 and grows with the score, whatever the text', () => {
  const score = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), score, score, (text, a, b) => {
      const [low, high] = [intensityOf(text, Math.min(a, b)), intensityOf(text, Math.max(a, b))];
      return low >= 0 && low <= high && high <= 1;
    }),
  );
});

test('one more exclamation mark never lowers it', () => {
  fc.assert(
    fc.property(fc.string(), (text) => intensityOf(`${text}!`, 0.5) >= intensityOf(text, 0.5) - 1e-12),
  );
});

test('10,000 characters take a moment', () => {
  const started = performance.now();
  intensityOf('a bit so VERY!!! '.repeat(600), 0.5);
  assert.ok(performance.now() - started < 250);
});

test.run();
