// The batcher loses nothing, doubles nothing, keeps order and limits, and says why a pool left.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createBatcher, type TakenPool } from './batcher.ts';
import type { TurnEntry } from './turns.ts';

interface Job {
  readonly tenantId: string;
  readonly class: number;
  readonly id: number;
  readonly items: number;
  readonly characters: number;
}

const limits = { itemsMax: 10, sharedItemsMax: 4, tokensMax: 100, waitMs: 5, classFloor: 0.125 };
const nothing = { urgencyOf: () => 0, hasRoom: () => true };
const busyModel = { ...nothing, idleSinceMs: () => undefined };
const busy = (nowMs: number) => ({ nowMs, draining: false, inHand: busyModel });
const idle = (nowMs: number, idleSinceMs = 0) => ({
  nowMs,
  draining: false,
  inHand: { ...nothing, idleSinceMs: () => idleSinceMs },
});
const drain = (nowMs: number) => ({ nowMs, draining: true, inHand: busyModel });
const one = (id: number, items = 1, characters = 4): Job => ({
  tenantId: 'a',
  class: 1,
  id,
  items,
  characters,
});

test('keeps a pool back while the model is busy and the pool is not full', () => {
  const batcher = createBatcher<Job>(limits);
  batcher.add('k', one(1), 0);
  assert.is(batcher.take(busy(1000)), undefined);
  assert.is(batcher.items(), 1);
});

test('sends a full pool to a busy model', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 12; id++) batcher.add('k', one(id), 0);
  const pool = batcher.take(busy(0));
  assert.equal([pool?.reason, pool?.entries.length, batcher.items()], ['full', 10, 2]);
});

test('cuts a pool at the token budget', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 3; id++) batcher.add('k', one(id, 1, 160), 0);
  const pool = batcher.take(busy(0));
  assert.equal([pool?.reason, pool?.entries.length], ['tokens', 2]);
});

test('cuts a pool where its kind reaches the goal, and says so', () => {
  const tune = (key: string) => ({ tokensMax: key === 'slow' ? 3 : 100, waitMs: 5 });
  const batcher = createBatcher<Job>({ ...limits, tune });
  for (let id = 0; id < 8; id++) batcher.add('slow', one(id), 0);
  const pool = batcher.take(busy(0));
  assert.equal([pool?.reason, pool?.entries.length], ['goal', 3]);
});

test('lets a job of another kind wait for the pools of those that came before it, and no longer', () => {
  const tune = (key: string) => ({ tokensMax: key === 'slow' ? 2 : 100, waitMs: 0 });
  const batcher = createBatcher<Job>({ ...limits, tune });
  for (let id = 0; id < 4; id++) batcher.add('slow', one(id), id);
  batcher.add('quick', one(100), 10);
  for (let id = 4; id < 40; id++) batcher.add('slow', one(id), 20 + id);
  const keys = Array.from({ length: 4 }, () => batcher.take(idle(1000, 999))?.key);
  assert.equal(keys, ['slow', 'slow', 'quick', 'slow']);
});

test('waits beside an idle model only as long as company is worth', () => {
  const batcher = createBatcher<Job>({ ...limits, tune: () => ({ tokensMax: 100, waitMs: 1 }) });
  batcher.add('k', one(1), 100);
  assert.is(batcher.dueAtMs(idle(0)), 101);
  assert.is(batcher.take(idle(101, 50))?.reason, 'timeout');
});

test('sends what waits to a model that becomes idle', () => {
  const batcher = createBatcher<Job>(limits);
  batcher.add('k', one(1), 0);
  assert.is(batcher.take(idle(10, 8))?.reason, 'idle');
});

test('waits a little for company beside an idle model', () => {
  const batcher = createBatcher<Job>(limits);
  batcher.add('k', one(1), 100);
  assert.is(batcher.dueAtMs(idle(0)), 105);
  assert.is(batcher.take(idle(104, 50)), undefined);
  assert.is(batcher.take(idle(105, 50))?.reason, 'timeout');
  assert.is(batcher.dueAtMs(idle(0)), undefined);
});

test('lets everything go when the process stops', () => {
  const batcher = createBatcher<Job>(limits);
  batcher.add('k', one(1), 0);
  assert.is(batcher.take(drain(0))?.reason, 'drain');
  assert.is(batcher.take(drain(0)), undefined);
});

test('never splits a job, however large', () => {
  const batcher = createBatcher<Job>(limits);
  batcher.add('k', one(1, 50, 5000), 0);
  batcher.add('k', one(2), 0);
  assert.equal(
    batcher.take(busy(0))?.entries.map(({ id }) => id),
    [1],
  );
});

test('serves the kind that waited longest and never mixes kinds', () => {
  const batcher = createBatcher<Job>(limits);
  batcher.add('a', one(1), 5);
  batcher.add('b', one(2), 3);
  batcher.add('a', one(3), 6);
  const pools = [batcher.take(drain(9)), batcher.take(drain(9))];
  assert.equal(
    pools.map((pool) => [pool?.key, pool?.entries.map(({ id }) => id)]),
    [
      ['b', [2]],
      ['a', [1, 3]],
    ],
  );
});

const of = (tenantId: string, id: number): Job => ({ ...one(id), tenantId });
const idsOf = (pool: TakenPool<Job> | undefined) => pool?.entries.map(({ id }) => id);

test('gives tenants turns, in small pools, until only one waits', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 14; id++) batcher.add('k', of('many', id), 0);
  for (let id = 100; id < 103; id++) batcher.add('k', of('few', id), 1);
  assert.equal(idsOf(batcher.take(busy(1))), [0, 100, 1, 101]);
  assert.equal(idsOf(batcher.take(busy(1))), [2, 102, 3, 4]);
  assert.equal(idsOf(batcher.take(idle(9))), [5, 6, 7, 8, 9, 10, 11, 12, 13]);
});

test('puts a late tenant into the next pool, whatever its kind', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', of('many', id), 0);
  batcher.take(busy(0));
  batcher.add('k', of('late', 100), 1);
  batcher.add('other', of('later', 200), 2);
  assert.equal(idsOf(batcher.take(busy(2))), [100, 10, 11, 12]);
  const turn = batcher.take(busy(2));
  assert.equal([turn?.reason, idsOf(turn)], ['turn', [200]]);
});

const ofClass = (jobClass: number, id: number, items = 1): Job => ({ ...one(id, items), class: jobClass });

test('keeps the floor of a low class under a flood of a high one, and no more', () => {
  const batcher = createBatcher<Job>(limits);
  let id = 0;
  const served = [0, 0, 0];
  for (let round = 0; round < 100; round++) {
    while (batcher.items(0) < 10) batcher.add('k', ofClass(0, id++), round);
    while (batcher.items(2) < 10) batcher.add('k', ofClass(2, id++, 3), round);
    for (const { class: jobClass, items } of batcher.take(busy(round))?.entries ?? [])
      served[jobClass] = (served[jobClass] ?? 0) + items;
  }
  const share = (served[2] ?? 0) / served.reduce((sum, items) => sum + items, 0);
  assert.ok(share > 0.11 && share < 0.14, `${share} of the items were of low priority`);
});

test('makes up for what a low class had while the high one was not at hand for a moment', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', ofClass(2, id), 0);
  const lows = (nowMs: number) => batcher.take(busy(nowMs))?.entries.filter((job) => job.class === 2).length;
  assert.is(lows(0), 10);
  for (let id = 100; id < 110; id++) batcher.add('k', ofClass(0, id), 1);
  assert.is(lows(1), 0);
});

test('fills no pool of a high class with more of a low one than its share', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', ofClass(2, id), 0);
  for (let id = 100; id < 106; id++) batcher.add('k', ofClass(0, id), 0);
  assert.is(batcher.take(busy(9)), undefined);
  assert.equal(batcher.take(idle(9))?.entries.filter((job) => job.class === 2).length, 1);
  assert.is(batcher.take(busy(9))?.entries.filter((job) => job.class === 2).length, 10);
});

test('puts a high job into the next pool, whatever its kind, ahead of a low backlog', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', ofClass(2, id), 0);
  batcher.take(busy(0));
  batcher.add('k', ofClass(0, 100), 1);
  assert.equal(idsOf(batcher.take(idle(9))), [100]);
  batcher.add('other', ofClass(0, 101), 3);
  assert.equal(idsOf(batcher.take(busy(4))), [101]);
});

test('sorts the jobs of a tenant that shares, and those of a tenant alone not', () => {
  const batcher = createBatcher<Job>(limits);
  const lengths = [9, 1, 8, 2, 7, 3, 6, 4, 5, 10, 1, 1];
  for (const [id, characters] of lengths.entries()) batcher.add('k', one(id, 1, characters), 0);
  const lengthsOf = (pool: TakenPool<Job> | undefined) => pool?.entries.map(({ characters }) => characters);
  batcher.add('k', of('late', 100), 1);
  assert.equal(lengthsOf(batcher.take(busy(1))), [1, 4, 2, 3]);
  batcher.add('k', of('late', 101), 1);
  assert.equal(lengthsOf(batcher.take(busy(1))), [4, 4, 5, 6]);
  assert.equal(lengthsOf(batcher.take(drain(1))), [9, 8, 7, 10, 1, 1]);
});

test('sorts the jobs of a tenant alone where a large pool would take longer than the goal', () => {
  const batcher = createBatcher<Job>({ ...limits, tune: () => ({ tokensMax: 6, waitMs: 5 }) });
  for (const [id, characters] of [9, 1, 8, 2, 7, 3, 6, 4, 5, 10, 1].entries())
    batcher.add('k', one(id, 1, characters), 0);
  const lengthsOf = (pool: TakenPool<Job> | undefined) => pool?.entries.map(({ characters }) => characters);
  assert.equal(lengthsOf(batcher.take(busy(1))), [1, 2, 3, 4, 5, 6]);
  assert.equal(lengthsOf(batcher.take(busy(1))), [7, 8, 9]);
  assert.equal(lengthsOf(batcher.take(drain(1))), [10, 1]);
});

/** A model that has a pool of tenant `many`, of the low class, to do. */
const behindMany = (nowMs: number, roomFrom = 0) => ({
  nowMs,
  draining: false,
  inHand: {
    urgencyOf: ({ tenantId, class: jobClass }: TurnEntry) => 2 * jobClass + (tenantId === 'many' ? 1 : 0),
    hasRoom: (urgency: number) => urgency <= roomFrom,
    idleSinceMs: () => 0,
  },
});

test('lets a few urgent jobs go alone, ahead of a backlog that has no room', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', { ...of('many', id), class: 2 }, 0);
  batcher.take(busy(0));
  assert.is(batcher.take(behindMany(9, 3)), undefined);
  for (const id of [100, 101]) batcher.add('k', of('many', id), 1);
  const pool = batcher.take(behindMany(9, 3));
  assert.equal([idsOf(pool), pool?.urgency], [[100, 101], 3]);
  assert.is(batcher.take(behindMany(9, 3)), undefined);
});

test('lets the job of a tenant with nothing in hand go ahead of its class', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', of('many', id), 0);
  batcher.take(busy(0));
  batcher.add('k', of('late', 100), 1);
  const pool = batcher.take(behindMany(9, 2));
  assert.equal([idsOf(pool), pool?.urgency], [[100], 2]);
});

test('makes no exception for many urgent jobs, which share as always', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 40; id++) batcher.add('k', { ...of('many', id), class: 2 }, 0);
  for (let id = 100; id < 140; id++) batcher.add('k', { ...of('many', id), class: 0 }, 0);
  const entries = batcher.take(behindMany(9, 9))?.entries ?? [];
  const lows = entries.filter((job) => job.class === 2).length;
  assert.ok(entries.length === 10 && lows > 0 && lows < 3, `${lows} of ${entries.length}`);
  assert.is(batcher.take(behindMany(9, 0)), undefined);
});

test('shares by items between a tenant of large jobs and one of small ones', () => {
  const batcher = createBatcher<Job>(limits);
  for (let id = 0; id < 3; id++) batcher.add('k', { ...of('large', id), items: 6 }, 0);
  for (let id = 100; id < 120; id++) batcher.add('k', of('small', id), 1);
  const pools = [1, 2, 3, 4].map(() => idsOf(batcher.take(busy(1))));
  assert.equal(pools, [[0], [100, 101, 102, 103], [1], [104, 105, 106, 107]]);
});

const added = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  tenantId: fc.constantFrom('a', 'b'),
  class: fc.integer({ min: 0, max: 2 }),
  items: fc.integer({ min: 1, max: 15 }),
  characters: fc.integer({ min: 1, max: 600 }),
  afterMs: fc.integer({ min: 0, max: 8 }),
  take: fc.constantFrom('none', 'busy', 'idle'),
});

function check(pool: TakenPool<Job>, draining: boolean): void {
  const items = pool.entries.reduce((sum, job) => sum + job.items, 0);
  const tokens = pool.entries.reduce((sum, job) => sum + job.characters / 4, 0);
  assert.ok(pool.entries.length === 1 || (items <= limits.itemsMax && tokens <= limits.tokensMax));
  assert.ok(draining || pool.reason !== 'drain');
}

test('gives each job exactly once, within the limits, whatever comes', () => {
  fc.assert(
    fc.property(fc.array(added, { maxLength: 120 }), (steps) => {
      const batcher = createBatcher<Job>(limits);
      const given = new Map<string, number[]>();
      const taken = new Map<string, number[]>();
      const keep = (pool: TakenPool<Job> | undefined, draining: boolean): boolean => {
        if (pool === undefined) return false;
        check(pool, draining);
        for (const { tenantId, class: jobClass, id } of pool.entries) {
          const line = `${pool.key} ${tenantId} ${jobClass}`;
          taken.set(line, [...(taken.get(line) ?? []), id]);
        }
        return true;
      };
      let nowMs = 0;
      for (const [id, step] of steps.entries()) {
        nowMs += step.afterMs;
        batcher.add(
          step.key,
          { tenantId: step.tenantId, class: step.class, id, items: step.items, characters: step.characters },
          nowMs,
        );
        const line = `${step.key} ${step.tenantId} ${step.class}`;
        given.set(line, [...(given.get(line) ?? []), id]);
        if (step.take === 'busy') keep(batcher.take(busy(nowMs)), false);
        if (step.take === 'idle') keep(batcher.take(idle(nowMs, nowMs - 3)), false);
      }
      while (keep(batcher.take(drain(nowMs)), true));
      assert.is(batcher.items(), 0);
      assert.is(batcher.dueAtMs(idle(0)), undefined);
      for (const [line, ids] of given)
        assert.equal(
          taken.get(line)?.toSorted((a, b) => a - b),
          ids,
        );
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.run();
