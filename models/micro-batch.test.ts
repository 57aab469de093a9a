// Micro-batches hold each sequence once, keep within their limit, and cost the least that they can.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { planMicroBatches, type RunCost } from './micro-batch.ts';

const lengthsOf = fc.array(fc.integer({ min: 2, max: 128 }), { maxLength: 300 });

const limit = (itemsMax: number) => ({ itemsMax });

function costOf(lengths: readonly number[], plan: readonly (readonly number[])[], cost: RunCost): number {
  return plan.reduce((sum, batch) => {
    const longest = Math.max(...batch.map((index) => lengths[index] ?? 0));
    return sum + cost.fixedMs + cost.perTokenMs * longest * batch.length;
  }, 0);
}

test('cuts nothing from nothing', () => {
  assert.equal(planMicroBatches([], limit(8)), []);
});

test('puts like lengths together, shortest first, ties in order', () => {
  assert.equal(planMicroBatches([30, 5, 30, 6, 5], limit(2), { fixedMs: 0.05, perTokenMs: 0.1 }), [
    [1, 4],
    [3],
    [0, 2],
  ]);
});

test('runs texts together where a run costs more than the padding, and apart where it costs less', () => {
  const lengths = [10, 12, 14, 40];
  assert.equal(planMicroBatches(lengths, limit(16), { fixedMs: 100, perTokenMs: 0.1 }), [[0, 1, 2, 3]]);
  assert.equal(planMicroBatches(lengths, limit(16), { fixedMs: 1, perTokenMs: 0.1 }), [[0, 1, 2], [3]]);
  assert.equal(planMicroBatches(lengths, limit(16), { fixedMs: 0, perTokenMs: 0.1 }), [[0], [1], [2], [3]]);
});

test('holds each sequence once, in order of length, and no more than allowed at once', () => {
  fc.assert(
    fc.property(lengthsOf, fc.integer({ min: 1, max: 32 }), (lengths, itemsMax) => {
      const plan = planMicroBatches(lengths, limit(itemsMax));
      const order = plan.flat();
      assert.equal(
        order.toSorted((a, b) => a - b),
        lengths.map((_, index) => index),
      );
      assert.equal(
        order.map((index) => lengths[index] ?? 0),
        lengths.toSorted((a, b) => a - b),
      );
      assert.ok(plan.every((batch) => batch.length >= 1 && batch.length <= itemsMax));
    }),
    { seed: 1, numRuns: 200 },
  );
});

test('keeps a run within its time, and gives a sequence that is too long for it a run of its own', () => {
  const limits = { itemsMax: 16, msMax: 5 };
  const plan = planMicroBatches([10, 10, 10, 10, 10, 60], limits, { fixedMs: 1, perTokenMs: 0.1 });
  assert.equal(plan, [[0, 1, 2, 3], [4], [5]]);
});

test('costs no more than any other way to cut the sorted lengths', () => {
  const small = fc.array(fc.integer({ min: 2, max: 40 }), { minLength: 1, maxLength: 9 });
  const share = fc.double({ min: 0, max: 5, noNaN: true });
  fc.assert(
    fc.property(small, fc.integer({ min: 1, max: 9 }), share, (lengths, itemsMax, fixedMs) => {
      const cost = { fixedMs, perTokenMs: 0.1 };
      const found = costOf(lengths, planMicroBatches(lengths, limit(itemsMax), cost), cost);
      const order = [...lengths.keys()].sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0));
      for (const plan of everyCut(order)) {
        if (plan.some((batch) => batch.length > itemsMax)) continue;
        assert.ok(found <= costOf(lengths, plan, cost) + 1e-9);
      }
    }),
    { seed: 1, numRuns: 200 },
  );
});

function everyCut(order: readonly number[]): (readonly number[])[][] {
  if (order.length === 0) return [[]];
  return order.flatMap((_, index) =>
    everyCut(order.slice(index + 1)).map((rest) => [order.slice(0, index + 1), ...rest]),
  );
}

test.run();
