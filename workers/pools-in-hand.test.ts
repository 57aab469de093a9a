// What is in hand decides what is urgent, what has room, and whether the model is idle.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPoolsInHand } from './pools-in-hand.ts';

const job = (tenantId: string, jobClass: number) => ({ tenantId, class: jobClass, items: 1 });

test('holds a class above the next, and a tenant with nothing in hand above others of its class', () => {
  const inHand = createPoolsInHand();
  const pool = inHand.take([job('a', 2)], 5);
  const urgencies = [job('b', 0), job('a', 0), job('b', 1), job('a', 2)].map(inHand.urgencyOf);
  assert.equal(urgencies, [0, 1, 2, 5]);
  pool.leave();
  assert.is(inHand.urgencyOf(job('a', 2)), 4);
});

test('takes two pools, and two more before them that are more urgent', () => {
  const inHand = createPoolsInHand();
  const low = [inHand.take([job('a', 2)], 5), inHand.take([job('a', 2)], 5)];
  assert.equal([inHand.hasRoom(5), inHand.hasRoom(3)], [false, true]);
  inHand.take([job('a', 1)], 3);
  assert.ok(inHand.hasRoom(3));
  inHand.take([job('a', 1)], 3);
  assert.not.ok(inHand.hasRoom(3));
  for (const pool of low) pool.leave();
  assert.not.ok(inHand.hasRoom(5));
});

test('is idle to what is more urgent than all in hand, and to others when little is left', () => {
  const inHand = createPoolsInHand();
  assert.is(inHand.idleSinceMs(5, 1), 1);
  const pool = inHand.take([job('a', 2)], 5);
  assert.is(inHand.idleSinceMs(5, 2), undefined);
  pool.claimed(100);
  assert.equal([inHand.idleSinceMs(5, 3), inHand.idleSinceMs(3, 3)], [undefined, 3]);
  assert.equal([inHand.itemsAhead(5), inHand.itemsAhead(3)], [100, 0]);
  pool.finished(90);
  assert.is(inHand.idleSinceMs(5, 4), 4);
  assert.is(inHand.idleSinceMs(5, 9), 4);
});

test('expects a better class for two seconds after its last job', () => {
  const inHand = createPoolsInHand();
  assert.not.ok(inHand.expectsBetter(5, 0));
  inHand.saw(1, 1000);
  assert.equal([inHand.expectsBetter(5, 2900), inHand.expectsBetter(3, 2900)], [true, false]);
  assert.not.ok(inHand.expectsBetter(5, 3001));
});

test.run();
