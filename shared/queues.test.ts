// Dispatches hold each job once, in order, of one tenant, class, kind and version, and within the limits.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { readConfig } from './config.ts';
import { dispatchLimits } from './job.ts';
import { type DispatchableJob, dispatchSchema, planDispatches, windowItemsMax } from './queues.ts';

const tenants = ['00000000-0000-7000-8000-00000000000a', '00000000-0000-7000-8000-00000000000b'] as const;

const jobs = fc.array(
  fc.record({
    tenantId: fc.constantFrom(...tenants),
    class: fc.integer({ min: 0, max: 2 }),
    kind: fc.constantFrom('emotion', 'reasoning'),
    modelVersion: fc.constantFrom('1', '2'),
    items: fc.integer({ min: 1, max: 100 }),
    characters: fc.integer({ min: 1, max: 10_000 }),
  }),
  { maxLength: 200 },
);

test('plans nothing for nothing', () => {
  assert.equal(planDispatches([]), []);
});

test('puts 64 small jobs into a dispatch and the rest into the next', () => {
  const many = Array.from({ length: 65 }, (): DispatchableJob => {
    return {
      tenantId: tenants[0],
      class: 1,
      kind: 'emotion',
      modelVersion: '1',
      id: v7(),
      items: 1,
      characters: 9,
    };
  });
  assert.equal(
    planDispatches(many).map(({ dispatch }) => dispatch.jobIds.length),
    [64, 1],
  );
});

test('keeps every job once, in order, with its own kind and size, within the limits', () => {
  fc.assert(
    fc.property(jobs, (sizes) => {
      const given = sizes.map((size): DispatchableJob => ({ ...size, id: v7() }));
      const planned = planDispatches(given);
      const byId = new Map(given.map((job) => [job.id, job]));
      assert.is(new Set(planned.map(({ id }) => id)).size, planned.length);
      for (const { dispatch } of planned) {
        dispatchSchema.parse(dispatch);
        const items = dispatch.items.reduce((sum, count) => sum + count, 0);
        assert.ok(dispatch.jobIds.length <= dispatchLimits.jobsMax);
        assert.ok(items <= dispatchLimits.itemsMax || dispatch.jobIds.length === 1);
        const own = dispatch.jobIds.map((id) => byId.get(id));
        assert.equal(
          own.map((job) => [job?.tenantId, job?.kind, job?.modelVersion, job?.items, job?.characters]),
          own.map((_, index) => [
            dispatch.tenantId,
            dispatch.kind,
            dispatch.modelVersion,
            dispatch.items[index],
            dispatch.characters[index],
          ]),
        );
        assert.is(new Set(own.map((job) => job?.class)).size, 1);
        assert.equal(dispatch.jobIds, dispatch.jobIds.toSorted());
      }
      assert.equal(
        planned.flatMap(({ dispatch }) => dispatch.jobIds).toSorted(),
        given.map(({ id }) => id).toSorted(),
      );
    }),
    { seed: 1, numRuns: 100 },
  );
});

test('sizes the window by the workers there are', () => {
  const config = readConfig({ POOL_ITEMS_MAX: '10', WINDOW_POOLS_PER_WORKER: '3' });
  assert.is(windowItemsMax(config, 4, 1), 120);
  const shared = { ...config, SHARED_POOL_ITEMS_MAX: 4 };
  assert.equal(
    [1, 2, 3, 4, 100].map((tenants) => windowItemsMax(shared, 4, tenants)),
    [120, 84, 48, 48, 48],
  );
});

test.run();
