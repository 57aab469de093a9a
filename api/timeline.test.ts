// The stages of a job add up to its total to the millisecond, whatever happened to it.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { timeAttempts, toTimeline } from './timeline.ts';

const at = (milliseconds: number): string => new Date(1_700_000_000_000 + milliseconds).toISOString();
const job = (endedMs: number) => ({ createdAt: new Date(at(0)), endedAt: new Date(at(endedMs)) });

test('gives every moment to one stage, over retries', () => {
  const attempts = [
    { started_at: at(40), ended_at: at(140) },
    { started_at: at(1140), ended_at: at(1300) },
  ];
  const stages = { batch_wait: 20.4, tokenize: 1.6, inference: 99.5 };
  assert.equal(toTimeline(job(1300), attempts, stages), {
    queue: 1140,
    batch_wait: 20,
    tokenize: 2,
    inference: 100,
    persist: 38,
    total: 1300,
  });
  assert.equal(
    timeAttempts(new Date(at(0)), attempts).map((attempt) => attempt.timing_ms),
    [
      { queue: 40, run: 100, total: 140 },
      { queue: 1000, run: 160, total: 1160 },
    ],
  );
});

test('gives all the time of a job without a result to the queue', () => {
  const stages = { batch_wait: 0, tokenize: 0, inference: 0, persist: 0 };
  assert.equal(toTimeline(job(70), [], null), { queue: 70, ...stages, total: 70 });
  assert.is(toTimeline({ createdAt: new Date(at(0)), endedAt: null }, [], null), null);
});

test('adds up with any clock', () => {
  const stage = fc.double({ min: 0, max: 5000, noNaN: true });
  const moment = fc.integer({ min: -100, max: 5000 });
  fc.assert(
    fc.property(moment, moment, stage, stage, stage, (started, ended, ...[a, b, c]) => {
      const attempts = [{ started_at: at(started), ended_at: at(ended) }];
      const line = toTimeline(job(ended), attempts, { batch_wait: a, tokenize: b, inference: c });
      if (line === null) throw new Error('an ended job has no timeline');
      const { total, ...stages } = line;
      const values = Object.values(stages);
      assert.ok(values.every((value) => Number.isInteger(value) && value >= 0));
      assert.is(
        values.reduce((sum, value) => sum + value, 0),
        total,
      );
    }),
    { seed: 1 },
  );
});

test.run();
