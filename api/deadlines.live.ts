// Deadlines against real processes: refused where they cannot be met, and never a model's work for a job that is late.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({
  FAULT_INJECTION: 'true',
  FLUSH_MS: '20',
  POOL_ITEMS_MAX: '100',
  MICRO_BATCH_ITEMS_MAX: '8',
});
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

/** Each micro-batch of 8 such texts takes 300 ms. */
const slow = (count: number) => Array.from({ length: count }, (_, index) => `soma:fault:slow ${index}`);

function submit(texts: readonly string[], deadlineMs?: number): Promise<Response> {
  const deadline = deadlineMs && { deadline_at: new Date(Date.now() + deadlineMs).toISOString() };
  return fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'emotion', input: { texts }, ...deadline }),
    signal: AbortSignal.timeout(90_000),
  });
}

const view = async (response: Response): Promise<JobView> => jobViewSchema.parse(await response.json());
const ended = async (job: JobView): Promise<JobView> =>
  view(await fetch(`${api.address}${job.links.self}?wait=60`, { signal: AbortSignal.timeout(90_000) }));

test('takes a job out of the model when its deadline comes, and keeps nothing of it', async () => {
  const job = await ended(await view(await submit(slow(100), 2000)));
  assert.equal([job.status, job.status_reason, job.result], ['expired', 'deadline_passed', null]);
  assert.equal(job.counts, { total: 100, succeeded: 0, failed: 0 });
  assert.is(job.attempts.length, 1);
  assert.ok(Date.parse(job.ended_at ?? '') - Date.parse(job.deadline_at ?? '') < 2000);
  const { rows } = await system.owner.query(
    `SELECT type FROM job_events WHERE job_id = $1 ORDER BY sequence`,
    [job.id.slice(4)],
  );
  assert.equal(
    rows.map((row: { type: string }) => row.type),
    ['job.queued', 'job.started', 'job.expired'],
  );
});

test('lets a job with time enough run', async () => {
  const job = await ended(await view(await submit(slow(8), 60_000)));
  assert.is(job.status, 'succeeded');
});

test('never begins what could not be done in time, and refuses it once the queue is known', async () => {
  const backlog = await Promise.all([submit(slow(100)), submit(slow(100))]);
  const accepted: JobView[] = [];
  const refused = await until(
    'a refusal',
    async () => {
      const response = await submit(slow(8), 1500);
      if (response.status === 503) return response;
      accepted.push(await view(response));
      return undefined;
    },
    15_000,
  );
  assert.match(await refused.text(), '"code":"deadline_unmeetable"');
  assert.ok(Number(refused.headers.get('retry-after')) >= 1);
  assert.is((await submit(slow(8), 3_600_000)).status, 202);
  for (const job of await Promise.all(accepted.map(ended))) {
    if (job.status === 'succeeded') continue;
    assert.equal([job.status, job.result, job.counts.succeeded], ['expired', null, 0]);
  }
  for (const response of backlog) assert.is((await ended(await view(response))).status, 'succeeded');
});

test('refuses a deadline in the past as a mistake', async () => {
  const response = await submit(['a'], -1000);
  assert.is(response.status, 422);
  assert.match(await response.text(), '"code":"in_the_past"');
});

test.run();
