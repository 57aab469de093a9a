// The fault run in small, as often as the tests run; `npm run faults` is the same in full size.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { hasOwnRedis } from '../../scripts/live-system.ts';
import type { Audit } from './audit.ts';
import { runCrashes, runRoll } from './harness.ts';

function assertBalanced(books: Audit, jobs: number): void {
  const { reExecuted, slowestRecoverySeconds } = books;
  assert.equal(books, {
    reExecuted,
    slowestRecoverySeconds,
    accepted: jobs,
    terminal: jobs,
    lost: 0,
    unknown: 0,
    failed: 0,
    withoutOneTerminalEvent: 0,
    withGapInEvents: 0,
    itemsNotAnalysedOnce: 0,
    analysesWithoutItem: 0,
    shownOtherwise: 0,
  });
  assert.ok(slowestRecoverySeconds <= 30, `${slowestRecoverySeconds} s until a lost job was back in work`);
}

if (hasOwnRedis) {
  test('loses nothing and doubles nothing when a worker is killed and Redis is emptied', async () => {
    const run = await runCrashes({ jobs: 600, kills: 2, seed: 1 });
    assert.is(run.kills, 2);
    assertBalanced(run.audit, 600);
  });

  test('runs no job twice when workers are replaced under load', async () => {
    const run = await runRoll({ jobs: 600, seed: 2 });
    assertBalanced(run.audit, 600);
    assert.is(run.audit.reExecuted, 0);
    assert.is(run.stalled, 0);
    for (const { code, seconds } of run.stops)
      assert.ok(code === 0 && seconds <= 25, `${code}, ${seconds} s`);
  });
}

test.run();
