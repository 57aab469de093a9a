// The runs that kill the API in small, as often as the tests run; `npm run faults` has them in full size.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runEvents } from './events.ts';
import { runIdempotency } from './idempotency.ts';

test('gives every event once to streams that are cut anywhere and lose their API', async () => {
  const run = await runEvents({ jobs: 6, attempts: 8, cuts: 15, kills: 1, seed: 1 });
  assert.is(run.events, 6 * 17);
  assert.is(run.received, run.events);
  assert.equal([run.gaps, run.repeats, run.different, run.kills], [0, 0, 0, 1]);
  assert.ok(run.cuts >= 15 && run.cutsWithinMessage > 0, JSON.stringify(run));
});

test('makes one job of a submit that is sent again and again while the API is killed', async () => {
  const run = await runIdempotency({ sameKey: 20, posts: 150, kills: 1, seed: 1 });
  assert.equal(run.sameKey, { jobs: 1, replays: 19, ids: 1 });
  assert.equal([run.posts, run.jobs, run.ids, run.wrongAnswers], [150, 150, 150, 0]);
  assert.ok(run.broken > 0);
});

test.run();
