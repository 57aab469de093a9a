import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Sample } from './open-loop.ts';
import type { Measures, Scenario } from './scenarios.ts';
import { summarizeStage } from './stage-summary.ts';

const scenario = (measures: Measures, name: string): Scenario => ({
  name,
  weight: 1,
  measures,
  asks: {},
  expects: [200],
  twoSteps: false,
  request: () => Buffer.of(),
});
const submit = scenario('result', 'submit');
const read = scenario('read', 'read');
const sample = (dueMs: number, doneMs: number, more: Partial<Sample> = {}): Sample => ({
  dueMs,
  doneMs,
  lagMs: 0,
  scenario: submit,
  ...more,
});

test('accepts, results and reads are three distributions', () => {
  const { acceptMs, resultMs, readMs } = summarizeStage(
    [sample(0, 100, { acceptMs: 5 }), sample(1, 100), sample(2, 7, { scenario: read })],
    0,
  );
  assert.equal([acceptMs.count, resultMs.count, readMs.count], [1, 2, 1]);
  assert.equal([acceptMs.p95, resultMs.p50, readMs.p50].map(Math.round), [5, 100, 7]);
});

test('errors count by reason and have no latency', () => {
  const all = [
    sample(0, 10),
    sample(0, 9000, { error: 'status 503' }),
    sample(0, 9000, { error: 'status 503' }),
  ];
  const { errors, errorRate, reasons, resultMs } = summarizeStage(all, 0);
  assert.is(errors, 2);
  assert.is(errorRate, 2 / 3);
  assert.equal(reasons, { 'status 503': 2 });
  assert.ok(resultMs.max < 11);
});

test('what was due while warming up is in the course alone', () => {
  const { sent, course } = summarizeStage([sample(500, 10), sample(2500, 20)], 2000);
  assert.is(sent, 1);
  assert.equal(course.second, [0, 1, 2]);
  assert.equal(course.due, [1, 0, 1]);
  assert.is(course.resultP50[1], null);
});

test('what the client saw beyond the server total is the client share', () => {
  const timing = { queue: 10, batch_wait: 5, tokenize: 1, inference: 20, persist: 4, total: 40 };
  const { split } = summarizeStage([sample(0, 50, { timing })], 0);
  assert.is(split['queue']?.mean, 10);
  assert.is(split['client']?.mean, 10);
});

test.run();
