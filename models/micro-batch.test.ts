// Micro-batches hold each sequence once, are as full as they may be, and pad little.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planMicroBatches } from './micro-batch.ts';

test('cuts nothing from nothing', () => {
  assert.equal(planMicroBatches([], 8), []);
});

test('puts like lengths together, shortest first, ties in order', () => {
  assert.equal(planMicroBatches([30, 5, 30, 6, 5], 2), [[1, 4], [3, 0], [2]]);
});

test('holds each sequence once, in full batches of rising length', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 2, max: 128 }), { maxLength: 300 }),
      fc.integer({ min: 1, max: 32 }),
      (lengths, itemsMax) => {
        const plan = planMicroBatches(lengths, itemsMax);
        const order = plan.flat();
        assert.equal(
          order.toSorted((a, b) => a - b),
          lengths.map((_, index) => index),
        );
        const sorted = order.map((index) => lengths[index] ?? 0);
        assert.equal(
          sorted,
          lengths.toSorted((a, b) => a - b),
        );
        for (const batch of plan.slice(0, -1)) assert.is(batch.length, itemsMax);
        assert.ok((plan.at(-1)?.length ?? 0) <= itemsMax);
      },
    ),
    { seed: 1, numRuns: 200 },
  );
});

test.run();
