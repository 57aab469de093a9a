// The kills of a backfill in small, as often as the tests run; `npm run faults:backfill` is the same in full size.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { killBackfills } from './backfill-kills.ts';

test('has the same rows after kills as without them, and gives no text to a worker twice', async () => {
  const run = await killBackfills({ rows: 400, kills: 3, apiKills: 1, chunk: 20, seed: 3 });
  assert.is(run.undisturbed.rows, 400);
  assert.equal(run.killed, run.undisturbed);
  assert.is(run.killed.doubled, 0);
  assert.ok(run.kills > 0);
  assert.is(run.itemsSubmitted, 400 - Math.ceil(400 / 97));
});

test.run();
