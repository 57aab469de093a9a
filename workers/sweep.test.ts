// A sweep keeps every job, sorts a large pool's worth of them, and makes none wait for longer than it says.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { orderSweep, type Sweep } from './sweep.ts';

interface Waiting {
  readonly entry: { readonly tenantId: string; readonly items: number; readonly characters: number };
}

const limits = { itemsMax: 12, poolItemsMax: 4 };
const job = (characters: number): Waiting => ({ entry: { tenantId: 'a', items: 1, characters } });
const lengths = (jobs: readonly Waiting[]) => jobs.map(({ entry }) => entry.characters);

test('goes up and down the lengths, and takes the rest of one sweep first into the next', () => {
  const first = orderSweep([5, 3, 9, 1, 7, 8].map(job), undefined, limits);
  assert.equal(lengths(first.ordered), [1, 3, 5, 7, 8, 9]);
  const waiting = [...first.ordered.slice(3), ...[4, 6, 10].map(job)];
  const second = orderSweep(waiting, first.sweep, limits);
  assert.equal(lengths(second.ordered), [7, 8, 9, 10, 6, 4]);
});

test('goes on where it was while a small pool is left', () => {
  const first = orderSweep([5, 3, 9, 1, 7, 8].map(job), undefined, limits);
  const waiting = [...first.ordered.slice(2), job(2)];
  assert.equal(lengths(orderSweep(waiting, first.sweep, limits).ordered), [5, 7, 8, 9, 2]);
});

test('lets no job wait for more than a sweep and the rest of the one before, whatever comes', () => {
  const arrivals = fc.array(fc.array(fc.integer({ min: 1, max: 50 }), { maxLength: 8 }), { maxLength: 60 });
  fc.assert(
    fc.property(arrivals, (steps) => {
      let waiting: Waiting[] = [];
      let sweep: Sweep<Waiting> | undefined;
      let taken = 0;
      /** How many had gone when it came, and how many were ahead of it. */
      const came = new Map<Waiting, { taken: number; ahead: number }>();
      for (const step of [...steps, ...Array.from({ length: 200 }, () => [])]) {
        for (const characters of step) {
          const fresh = job(characters);
          came.set(fresh, { taken, ahead: waiting.length });
          waiting.push(fresh);
        }
        const next = orderSweep(waiting, sweep, limits);
        assert.equal(new Set(next.ordered), new Set(waiting));
        sweep = next.sweep;
        for (const gone of next.ordered.slice(0, limits.poolItemsMax)) {
          const { taken: before, ahead } = came.get(gone) ?? { taken: 0, ahead: 0 };
          assert.ok(taken - before <= ahead + limits.itemsMax + limits.poolItemsMax);
          taken += 1;
        }
        const left = new Set(next.ordered.slice(limits.poolItemsMax));
        waiting = waiting.filter((one) => left.has(one));
      }
      assert.is(waiting.length, 0);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
