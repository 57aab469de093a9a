// F1 of labels and spans on cases small enough to count by hand.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrationError } from './calibration-error.ts';
import { computeF1, measureMicroF1, microF1, precisionRecall } from './f1.ts';
import { judgeExact, judgeWords } from './word-spans.ts';

const judged = [
  { gold: [0], predicted: [0] },
  { gold: [1], predicted: [0] },
  { gold: [], predicted: [1] },
];

test('micro-F1 counts all labels together, macro is the mean of the labels', () => {
  const { macro, micro, perLabel } = computeF1(judged, 2);
  assert.equal(perLabel, [2 / 3, 0]);
  assert.is(macro, 1 / 3);
  assert.is(micro, 2 / 5);
  assert.is(microF1(judged), micro);
  assert.equal(precisionRecall(judged), [1 / 3, 1 / 2]);
});

test('the same seed gives the same interval, and the value lies within', () => {
  const first = measureMicroF1(judged, { rounds: 200, seed: 1 });
  assert.equal(measureMicroF1(judged, { rounds: 200, seed: 1 }), first);
  const [low = 1, high = 0] = first.interval ?? [];
  assert.ok(low <= first.value && first.value <= high);
});

test('a span is judged by the words that begin inside it', () => {
  const text = 'We left, because it rained.';
  assert.equal(judgeWords(text, [0, 7], [3, 16]), { gold: [0, 1], predicted: [1, 2, 3] });
  assert.equal(judgeExact(text, [0, 7], [0, 8]), { gold: [0], predicted: [1] });
  assert.equal(judgeExact(text, [0, 7], [0, 7]), { gold: [0], predicted: [0] });
  assert.equal(judgeExact(text, [0, 7], undefined), { gold: [0], predicted: [] });
});

test('the calibration error is the distance of a confidence from how often it is right', () => {
  const hits = [true, true, true, false];
  assert.is(calibrationError(hits.map((hit) => ({ confidence: 0.75, hit }))), 0);
  assert.is(calibrationError(hits.map((hit) => ({ confidence: 0.5, hit }))), 0.25);
});

test.run();
