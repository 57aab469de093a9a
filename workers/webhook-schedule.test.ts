import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scheduleMs } from '../shared/webhook.ts';
import { createCircuitBreaker } from './circuit-breaker.ts';
import { nextDelayMs, readRetryAfterMs } from './webhook-schedule.ts';

test('tries eight times over 27.6 hours, each wait 20 % more or less', () => {
  const seconds = scheduleMs.map((step) => step / 1000);
  assert.equal(seconds, [0, 5, 300, 1800, 7200, 18_000, 36_000, 36_000]);
  for (let tries = 1; tries < scheduleMs.length; tries++) {
    const step = scheduleMs[tries] ?? 0;
    assert.is(nextDelayMs(tries, 0, 0), step * 0.8);
    assert.is(nextDelayMs(tries, 0, 0.5), step);
    assert.is(nextDelayMs(tries, 0, 1), step * 1.2);
  }
  assert.is(nextDelayMs(scheduleMs.length, 0, 0.5), undefined);
});

test('waits as long as it is asked to, and no shorter than the schedule', () => {
  assert.is(nextDelayMs(1, 60_000, 0.5), 60_000);
  assert.is(nextDelayMs(2, 60_000, 0.5), 300_000);
  assert.is(nextDelayMs(1, 1e12, 0.5), 10 * 3_600_000);
});

test('reads Retry-After as seconds or as a date', () => {
  const now = new Date('2026-11-24T18:00:00Z');
  assert.is(readRetryAfterMs('120', now), 120_000);
  assert.is(readRetryAfterMs(' 0 ', now), 0);
  assert.is(readRetryAfterMs('Tue, 24 Nov 2026 18:01:30 GMT', now), 90_000);
  for (const nonsense of [undefined, '', '-5', '1.5', 'soon', 'Tue, 24 Nov 2026 17:00:00 GMT'])
    assert.is(readRetryAfterMs(nonsense, now), 0);
});

test('opens after five failures in a row, lets one through per pause, and closes with a success', () => {
  const breaker = createCircuitBreaker();
  for (let failure = 0; failure < 4; failure++) breaker.failed(0);
  assert.is(breaker.allows(0, 4), 4);
  breaker.succeeded();
  for (let failure = 0; failure < 8; failure++) breaker.failed(0);
  assert.equal([breaker.isOpen(), breaker.allows(9999, 4), breaker.allows(10_000, 4)], [true, 0, 1]);
  breaker.failed(10_000);
  assert.equal([breaker.allows(29_999, 4), breaker.allows(30_000, 4)], [0, 1]);
  for (let atMs = 30_000, round = 0; round < 10; round++, atMs += 300_000) breaker.failed(atMs);
  assert.is(breaker.allows(30_000 + 10 * 300_000, 4), 1);
  breaker.succeeded();
  assert.equal([breaker.isOpen(), breaker.allows(0, 4)], [false, 4]);
});

test('leaves a receiver alone for as long as it asks, five minutes at most', () => {
  const breaker = createCircuitBreaker();
  breaker.pause(0, 60_000);
  assert.equal([breaker.allows(59_999, 4), breaker.allows(60_000, 4)], [0, 4]);
  breaker.pause(60_000, 1e9);
  assert.equal([breaker.allows(359_999, 4), breaker.allows(360_000, 4)], [0, 4]);
});

test.run();
