// The way back is told from the pace of the line.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { addSample, type Figure, secondsToAdmission } from './admission.ts';

/** A line whose jobs came from 0 to `lastMs`, seen every 250 ms while its head moves at `pace`. */
function watch(lastMs: number, startMs: number, pace: number, seconds: number): Figure {
  let figure: Figure | undefined;
  for (let ms = 0; ms <= seconds * 1000; ms += 250) {
    const line = { firstQueuedAt: new Date(ms * pace), lastQueuedAt: new Date(lastMs) };
    figure = addSample(figure, line, startMs + ms);
  }
  if (figure === undefined) throw new Error('nothing was seen');
  return figure;
}

test('waits for the end of a line that is slower than the clock', () => {
  // 10 s of arrivals, half a second of them each second: 5 s seen leave 15 s of work.
  assert.is(secondsToAdmission(watch(10_000, 60_000, 0.5, 5), 65_000, 30_000), 16);
});

test('waits until a line that gains on the clock is short enough', () => {
  // The head is 55 s old and gains one second a second: 25 s to 30 s.
  assert.is(secondsToAdmission(watch(1_000_000, 60_000, 2, 5), 65_000, 30_000), 26);
});

test('tells of an hour at most, and of half a minute where nothing moves', () => {
  assert.is(secondsToAdmission(watch(10_000_000, 60_000, 0.001, 5), 65_000, 30_000), 3600);
  assert.is(secondsToAdmission(watch(10_000, 60_000, 0, 5), 65_000, 30_000), 30);
});

test('forgets what it saw long ago', () => {
  assert.is(watch(1, 0, 1, 60).samples.length, 41);
});

test.run();
