import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { adjustAffect, affectOf, affectOfAll, mixedPairs } from './emotion-affect.ts';

function about(actual: number | undefined, expected: number): void {
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) < 1e-9, `${actual} is not ${expected}`);
}

test('ratings of 1..9 become valence -1..1 and arousal 0..1', () => {
  about(affectOf('joy').valence, 3.21 / 4);
  about(affectOf('joy').arousal, 4.55 / 8);
  about(affectOf('sadness').valence, -0.65);
  about(affectOf('neutral').valence, 0.125);
  assert.throws(() => affectOf('zeal'), /no valence and arousal/);
});

test('a text is the mean of its labels by score', () => {
  const { valence, arousal } = affectOfAll([
    { label: 'joy', score: 0.9 },
    { label: 'sadness', score: 0.3 },
  ]);
  about(valence, (0.9 * 0.8025 - 0.3 * 0.65) / 1.2);
  about(arousal, (0.9 * 0.56875 + 0.3 * 0.22625) / 1.2);
  about(affectOfAll([{ label: 'fear', score: 0 }]).valence, -0.5175);
});

test('mixed are pairs of opposite sign that both score, clearest first', () => {
  const scored = [
    { label: 'joy', score: 0.6 },
    { label: 'pride', score: 0.9 },
    { label: 'sadness', score: 0.7 },
    { label: 'fear', score: 0.39 },
    { label: 'surprise', score: 0.9 },
  ];
  assert.equal(mixedPairs(scored), [
    { labels: ['pride', 'sadness'], scores: [0.9, 0.7] },
    { labels: ['sadness', 'joy'], scores: [0.7, 0.6] },
  ]);
  assert.equal(mixedPairs(scored.slice(0, 2)), []);
});

test('nothing is adjusted without surroundings', () => {
  assert.is(adjustAffect({ valence: 1, arousal: 1 }, { context: [], baseline: undefined }), undefined);
});

test('the newest message counts half the text, the one before a quarter, the baseline a quarter', () => {
  const text = { valence: 1, arousal: 1 };
  const older = { valence: -1, arousal: 0 };
  const newer = { valence: 0, arousal: 0.5 };
  const adjusted = adjustAffect(text, { context: [older, newer], baseline: { valence: 0.4, arousal: 0.2 } });
  about(adjusted?.valence, (1 - 0.25 + 0.1) / 2);
  about(adjusted?.arousal, (1 + 0.25 + 0.05) / 2);
  assert.equal(adjusted?.weights, { text: 0.5, context: 0.375, baseline: 0.125 });
});

const affect = fc.record({
  valence: fc.double({ min: -1, max: 1, noNaN: true }),
  arousal: fc.double({ min: 0, max: 1, noNaN: true }),
});

test('an adjusted value lies between those it comes from, and the text keeps the most weight', () => {
  fc.assert(
    fc.property(affect, fc.array(affect, { maxLength: 10 }), affect, (text, context, baseline) => {
      const adjusted = adjustAffect(text, { context, baseline });
      const valences = [text, ...context, baseline].map(({ valence }) => valence);
      assert.ok(adjusted);
      assert.ok(adjusted.valence >= Math.min(...valences) - 1e-12);
      assert.ok(adjusted.valence <= Math.max(...valences) + 1e-12);
      assert.ok(adjusted.weights.text > adjusted.weights.context);
      about(adjusted.weights.text + adjusted.weights.context + adjusted.weights.baseline, 1);
    }),
  );
});

test.run();
