// The calibration map goes through its knots, is flat outside them and never falls where they rise.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { calibrate } from './calibration.ts';
import type { Calibration } from './repository.ts';

const map: Calibration = { method: 'isotonic', x: [0.2, 0.4, 0.8], y: [0.1, 0.5, 0.9] };

test('goes through its knots and straight between them', () => {
  for (const [index, x] of map.x.entries()) assert.is(calibrate(map, x), map.y[index]);
  assert.ok(Math.abs(calibrate(map, 0.3) - 0.3) < 1e-12);
  assert.ok(Math.abs(calibrate(map, 0.6) - 0.7) < 1e-12);
});

test('is constant outside its knots', () => {
  assert.is(calibrate(map, 0), 0.1);
  assert.is(calibrate(map, 1), 0.9);
  const single: Calibration = { method: 'isotonic', x: [0.5], y: [0.7] };
  assert.equal([calibrate(single, 0), calibrate(single, 1)], [0.7, 0.7]);
});

test('survives a step: two knots at one place', () => {
  const step: Calibration = { method: 'isotonic', x: [0.5, 0.5, 1], y: [0.2, 0.6, 1] };
  for (const score of [0, 0.5, 0.5000001, 1]) assert.ok(Number.isFinite(calibrate(step, score)));
});

test('never falls where the score rises', () => {
  const scores = fc.tuple(
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  );
  fc.assert(
    fc.property(scores, ([a, b]) => {
      assert.ok(calibrate(map, Math.min(a, b)) <= calibrate(map, Math.max(a, b)) + 1e-12);
    }),
    { seed: 1 },
  );
});

test.run();
