// Workers come when work waits too long and go when none waits, without swinging.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createScaleRule, type Move, parseScale } from './scale-rule.ts';

const rule = { min: 1, max: 3, ageMsMax: 1000, idleMs: 10_000, settleMs: 5000 };

/** The moves of looks a second apart at these ages; the workers follow the moves. */
function movesOf(ages: readonly (number | undefined)[], start = 1): { moves: Move[]; workers: number } {
  const decide = createScaleRule(rule);
  let workers = start;
  const moves = ages.map((oldestAgeMs, second) => {
    const move = decide({ nowMs: second * 1000, oldestAgeMs, workers });
    workers += { add: 1, drain: -1, keep: 0 }[move];
    return move;
  });
  return { moves, workers };
}

const repeat = <T>(value: T, times: number): T[] => Array.from({ length: times }, () => value);

test('adds a worker at the second look in a row that finds the first in line too old', () => {
  assert.equal(movesOf([1500, 500, 1500, 1500]).moves, ['keep', 'keep', 'keep', 'add']);
});

test('lets a new worker take effect before it adds another, and stops at the most', () => {
  const { moves, workers } = movesOf(repeat(5000, 40));
  assert.equal(
    moves.flatMap((move, second) => (move === 'add' ? [second] : [])),
    [1, 6],
  );
  assert.is(workers, 3);
});

test('drains one worker after each long time without work, and stops at the least', () => {
  const { moves, workers } = movesOf(repeat(undefined, 60), 3);
  assert.equal(
    moves.flatMap((move, second) => (move === 'drain' ? [second] : [])),
    [10, 21],
  );
  assert.is(workers, 1);
});

test('moves nothing while the age is between the bounds, however long', () => {
  assert.equal([...new Set(movesOf(repeat(900, 100), 2).moves)], ['keep']);
});

test('begins the idle time anew with each job that waits', () => {
  const burst = [...repeat(undefined, 9), 10];
  assert.is(movesOf([...burst, ...burst, ...burst], 2).workers, 2);
});

test('reads bounds and refuses what are none', () => {
  assert.equal(parseScale('1..4'), { min: 1, max: 4 });
  for (const bad of ['', '4', '0..2', '3..2', '1-2', 'a..b'])
    assert.throws(() => parseScale(bad), /<min>..<max>/);
});

test.run();
