// The fault run of webhooks in small, as often as the tests run; `npm run faults:webhooks` is the same in full size.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { runWebhookCrashes } from './webhook-crashes.ts';

test('loses no message when processes are killed, and repeats one only as it was', async () => {
  const { repeated, seconds, ...books } = await runWebhookCrashes({ deliveries: 600, kills: 3, seed: 3 });
  assert.equal(books, { deliveries: 600, kills: 3, missing: 0, unfinished: 0, unknown: 0, changed: 0 });
  assert.ok(repeated < 600 && seconds > 0);
});

test.run();
