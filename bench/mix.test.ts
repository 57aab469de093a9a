import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findShare } from './mix.ts';
import { percentilesOf } from './stage-summary.ts';

/** A system that keeps the goal up to a share, and how often it was asked. */
function systemUpTo(highest: number) {
  const asked: number[] = [];
  const run = (share: number) => {
    asked.push(share);
    return Promise.resolve({ resultMs: percentilesOf([share <= highest ? 100 : 900]), errorRate: 0 });
  };
  return { asked, run };
}

test('the search finds every share, in at most six stages', async () => {
  for (let highest = 0; highest <= 20; highest++) {
    const { asked, run } = systemUpTo(highest);
    const { share } = await findShare(run, 1);
    assert.is(share, highest);
    assert.ok(asked.length <= 7, `${highest}: ${asked.join()}`);
  }
});

test('a share that does not hold again is left for the next lower one', async () => {
  let asked = 0;
  const run = (share: number) => {
    asked += 1;
    const lucky = asked <= 2;
    return Promise.resolve({ resultMs: percentilesOf([lucky || share <= 12 ? 100 : 900]), errorRate: 0 });
  };
  assert.is((await findShare(run, 3)).share, 12);
});

test('errors miss the goal however fast the answers are', async () => {
  const run = () => Promise.resolve({ resultMs: percentilesOf([1]), errorRate: 0.01 });
  assert.is((await findShare(run, 1)).share, 0);
});

test.run();
