// The first statement on a connection costs many times the next: it is opened, the catalogue is read, the statement is
// planned. A client that comes first, or ten that come at once, would wait for that; so it is done before they come.

import { setTimeout as delay } from 'node:timers/promises';
import { asTenant, type Pool } from '../db/client.ts';
import { cancelJob } from '../db/job-control.ts';
import { listJobs } from '../db/jobs.ts';
import { insertJobs } from '../db/submissions.ts';

/** The id of no job and of no tenant. */
const nobody = '00000000-0000-0000-0000-000000000000';

const attemptsMax = 10;
const pauseMs = 500;

/** Opens every connection of these pools; on each that is there for one statement it runs that, for nobody. */
export async function warmUp(pools: {
  readonly readers: Pool;
  readonly lookups: Pool;
  readonly recorders: Pool;
  readonly changers: Pool;
}): Promise<void> {
  const { readers, lookups, recorders, changers } = pools;
  await Promise.all([
    onEach(readers, () => asTenant(readers, nobody, async () => undefined)),
    onEach(lookups, () => asTenant(lookups, nobody, (reader) => listJobs(reader, nobody, [nobody]))),
    onEach(recorders, () => insertJobs(recorders, [])),
    onEach(changers, () => cancelJob(changers, nobody, nobody)),
  ]);
}

/**
 * As many at once as the pool has connections, so that each gets one of its own; again for all while one fails, since a
 * database that is just starting, or busy, may be slower than a client's patience.
 * @throws what the last attempt failed with
 */
async function onEach(pool: Pool, work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const ends = await Promise.allSettled(Array.from({ length: pool.options.max }, work));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed === undefined) return;
    if (attempt === attemptsMax) throw failed.reason;
    await delay(pauseMs);
  }
}
