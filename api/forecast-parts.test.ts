// The parts of the forecast, each without a clock: places in a line, work ahead of a job, and how far forecasts were off.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createArrivalRates } from './arrival-rates.ts';
import { createErrorModel } from './error-model.ts';
import { createLineIndex } from './line-index.ts';
import { workAhead } from './work-ahead.ts';

const idAt = (msecs: number): string => v7({ msecs, seq: 0 });

/** 100 jobs of two items, one each 10 ms, in parts of 10. */
function createLine() {
  const ids = Array.from({ length: 100 }, (_, index) => idAt(1_700_000_000_000 + 10 * index));
  const line = createLineIndex();
  line.append(
    Array.from({ length: 10 }, (_, part) => ({
      firstId: ids[10 * part] ?? '',
      lastId: ids[10 * part + 9] ?? '',
      jobs: 10,
      items: 20,
    })),
  );
  return { ids, line };
}

test('finds places in a line, and forgets what went', () => {
  const { ids, line } = createLine();
  assert.equal(line.total(), { jobs: 100, items: 200 });
  const before = line.ahead(ids[55] ?? '');
  assert.ok(Math.abs(before.jobs - 55) <= 2, `${before.jobs} jobs instead of 55`);
  line.advance(ids[40] ?? '');
  const after = line.ahead(ids[55] ?? '');
  assert.ok(Math.abs(after.jobs - 15) <= 2, `${after.jobs} jobs instead of 15`);
  assert.ok(Math.abs(line.total().items - 120) <= 4);
  line.advance(ids[20] ?? '');
  assert.equal(line.ahead(ids[55] ?? ''), after, 'a job that came back moved the line');
  assert.equal(line.ahead(idAt(1_800_000_000_000)), line.total());
});

test('keeps a long line in bounded memory and in order', () => {
  const line = createLineIndex();
  const ids = Array.from({ length: 20_000 }, (_, index) => idAt(1_700_000_000_000 + index));
  for (const lastId of ids) line.append([{ firstId: lastId, lastId, jobs: 1, items: 1 }]);
  assert.is(line.total().jobs, 20_000);
  for (const place of [0, 5000, 19_999]) {
    const { jobs } = line.ahead(ids[place] ?? '');
    assert.ok(Math.abs(jobs - place) <= 8, `${jobs} instead of ${place}`);
  }
});

test('counts what the classes and tenants beside a job get meanwhile', () => {
  const own = { tenantId: 'a', class: 1, items: 100 };
  assert.is(workAhead(new Map([['a', [0, 100, 0]]]), own, 0.1), 100);
  assert.is(workAhead(new Map([['a', [0, 100, 5000]]]), own, 0.1), 100 + 100 / 9);
  assert.is(workAhead(new Map([['a', [500, 100, 0]]]), own, 0.1), 600);
  const tenants = new Map([
    ['a', [0, 100, 0]],
    ['b', [40, 0, 0]],
    ['c', [0, 0, 900]],
  ]);
  assert.is(workAhead(tenants, own, 0.1), 100 + 40 + 100);
});

test('counts what comes meanwhile and goes before, but no more than its share', () => {
  const own = { tenantId: 'a', class: 2, items: 100 };
  const load = new Map([['a', [0, 0, 100]]]);
  const ahead = (perMs: readonly number[]) =>
    workAhead(load, own, 0.1, { rates: new Map([['a', perMs]]), itemsPerMs: 1 });
  assert.ok(Math.abs(ahead([0.5, 0, 0]) - 200) < 10, 'half of the time goes to what comes');
  assert.is(ahead([0, 0, 3]), 100, 'its own class queues up behind it');
  assert.ok(ahead([9, 0, 0]) <= 1000, 'the floor is kept');
});

test('tells a rate of arrivals, and forgets it', () => {
  const arrivals = createArrivalRates(3);
  for (let ms = 0; ms < 10_000; ms += 10) arrivals.count('a', 1, 5, ms);
  const [, rate = 0] = arrivals.at(10_000).get('a') ?? [];
  assert.ok(rate > 0.45 && rate < 0.55, `${rate} items a millisecond`);
  assert.is(arrivals.at(60_000).size, 0);
});

test('learns how far forecasts were off, for near and far ones apart', () => {
  const errors = createErrorModel();
  assert.equal(errors.quantiles(1, 1000), { p50: 1, p90: 2 });
  for (let index = 0; index < 100; index++) {
    errors.watch({ tenantId: 'a', class: 1, id: `near ${index}`, atMs: 0, predictedMs: 200 });
    errors.ended(`near ${index}`, 2 * (index + 1), true);
    errors.watch({ tenantId: 'a', class: 1, id: `far ${index}`, atMs: 0, predictedMs: 5000 });
    errors.ended(`far ${index}`, 10_000, true);
  }
  errors.settle(0);
  const { p50, p90 } = errors.quantiles(1, 200);
  // The newest, which took longest, weigh most.
  assert.ok(p50 > 0.55 && p50 < 0.8 && p90 > 0.9 && p90 < 1, `${p50} and ${p90}`);
  assert.equal(errors.quantiles(1, 5000), { p50: 2, p90: 2 });
});

test('forgets a span of long waits that nothing is let into any more', () => {
  const errors = createErrorModel();
  const end = (predictedMs: number, ratio: number, endedMs: number): void => {
    for (let index = 0; index < 40; index++) {
      const id = `${predictedMs} ${index}`;
      const atMs = endedMs - ratio * predictedMs;
      errors.watch({ tenantId: 'a', class: 1, id, atMs, predictedMs });
      errors.ended(id, endedMs, true);
    }
    errors.settle(endedMs);
  };
  end(1000, 8, 10_000);
  end(200, 1, 12_000);
  assert.is(errors.quantiles(1, 1000).p90, 8);
  end(200, 1, 16_000);
  assert.is(errors.quantiles(1, 1000).p90, 1, 'what ended just now, if of a span beside, says more');
  errors.settle(60_000);
  assert.is(errors.quantiles(1, 1000).p90, 8, 'nothing ended lately');
});

test('keeps classes apart once it knows enough of each', () => {
  const errors = createErrorModel();
  const end = (jobClass: number, ratio: number, count: number): void => {
    for (let index = 0; index < count; index++) {
      const id = `${jobClass} ${ratio} ${index}`;
      errors.watch({ tenantId: 'a', class: jobClass, id, atMs: 0, predictedMs: 1000 });
      errors.ended(id, 1000 * ratio, true);
    }
    errors.settle(0);
  };
  end(0, 1, 40);
  assert.equal(errors.quantiles(2, 1000), { p50: 1, p90: 1 });
  end(2, 5, 40);
  assert.equal([errors.quantiles(0, 1000).p90, errors.quantiles(2, 1000).p90], [1, 5]);
});

test('weighs in what is overdue, and forgets what was canceled', () => {
  const errors = createErrorModel();
  for (let index = 0; index < 50; index++) {
    errors.watch({ tenantId: 'a', class: 1, id: `${index}`, atMs: 0, predictedMs: 1000 });
    if (index < 40) errors.ended(`${index}`, 1000, true);
  }
  errors.settle(8000);
  assert.equal(errors.quantiles(1, 1000), { p50: 1, p90: 8 });
  for (let index = 40; index < 50; index++) errors.ended(`${index}`, 1000, false);
  errors.settle(9000);
  assert.equal(errors.quantiles(1, 1000), { p50: 1, p90: 1 });
});

test.run();
