// A flood of one class beside another, through the real processes: the low one keeps its floor and no more.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { insertJobs } from '../db/submissions.ts';
import { createRegistry } from '../models/registry.ts';
import { createLiveSystem, newJob, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';

const system = await createLiveSystem();
test.after(() => system.close());

const model = createRegistry(readConfig().MODELS_DIR).resolve('emotion');
if (model === undefined) throw new Error('there is no model');
const { version, digest } = model;

async function flood(jobClass: number, jobs: number): Promise<void> {
  for (let done = 0; done < jobs; done += 500) {
    const group = Array.from({ length: Math.min(500, jobs - done) }, (_, index) =>
      newJob({
        modelVersion: version,
        modelDigest: digest,
        class: jobClass,
        texts: [`Number ${done + index} of class ${jobClass} feels fine today.`],
        dispatchId: null,
      }),
    );

    await insertJobs(system.owner, group);
  }
}

const startedSchema = z.tuple([z.object({ high: z.number(), low: z.number() })]);

/** Jobs of either class that were claimed before the `limit`-th of the high ones. */
async function countStarted(limit: number): Promise<{ high: number; low: number }> {
  const { rows } = await system.owner.query(
    `SELECT (count(*) FILTER (WHERE class = 0))::integer AS high, (count(*) FILTER (WHERE class = 2))::integer AS low
     FROM jobs WHERE started_at < (SELECT started_at FROM jobs WHERE class = 0 AND started_at IS NOT NULL
       ORDER BY started_at OFFSET $1 LIMIT 1)`,
    [limit],
  );
  return startedSchema.parse(rows)[0];
}

test('keeps the floor of low beside a flood of high', async () => {
  await flood(2, 1500);
  await flood(0, 3000);
  await Promise.all([system.start('analysis'), system.start('dispatcher')]);
  const started = await until('high to be served', async () => {
    const counted = await countStarted(1800);
    return counted.high >= 1500 ? counted : undefined;
  });
  const share = started.low / (started.low + started.high);
  // Before the first high dispatch arrives the worker takes a pool or two of what is there.
  // Over a few thousand items; `npm run bench -- priority` holds a tenth over minutes.
  assert.ok(share >= 0.07, `low had ${share.toFixed(3)} of the items`);
  assert.ok(share <= 0.4, `low had ${share.toFixed(3)} of the items`);
});

test.run();
