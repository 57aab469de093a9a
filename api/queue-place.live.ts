// Where a queued job stands and when it will have ended, over HTTP against a real ledger; the workers are heartbeats of
// which the tests know how fast they are.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { beat } from '../db/processes.ts';
import { insertJobs, type NewJob } from '../db/submissions.ts';
import { createLiveSystem, newJob, until } from '../scripts/live-system.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem();
const api = await system.start('api');
test.after(() => system.close());
test.before.each(async () => {
  await system.owner.query('TRUNCATE jobs, items, analyses, job_events');
});

const worker = { id: v7(), type: 'analysis', host: 'here', pid: 1, info: { item_ms: 10 } };

async function insertWaiting(count: number, changes: Partial<NewJob> = {}): Promise<string[]> {
  const from = Date.now() - 2 * count;
  const jobs = Array.from({ length: count }, (_, index): NewJob => {
    const msecs = from + index;
    const createdAt = new Date(msecs).toISOString();
    return newJob({ id: v7({ msecs }), texts: ['a'], dispatchId: null, createdAt, ...changes });
  });
  await insertJobs(system.owner, jobs);
  return jobs.map(({ id }) => id);
}

async function look(id: string): Promise<{ view: JobView; retryAfter: number }> {
  const response = await fetch(`${api.address}/v1/jobs/job_${id}`, { signal: AbortSignal.timeout(30_000) });
  return {
    view: jobViewSchema.parse(await response.json()),
    retryAfter: Number(response.headers.get('retry-after')),
  };
}

const secondsTo = (moment: string | null | undefined): number =>
  (Date.parse(moment ?? '') - Date.now()) / 1000;

test('tells the place in the line, and no time while no worker is there', async () => {
  const ids = await insertWaiting(1000);
  const seen = await until('the place', async () => {
    const { view } = await look(ids[700] ?? '');
    return (view.queue?.position ?? 0) > 600 ? view : undefined;
  });
  assert.ok(
    Math.abs((seen.queue?.position ?? 0) - 701) <= 64,
    `position ${seen.queue?.position} is not about 701`,
  );
  assert.equal([seen.queue?.eta_p50_at, seen.queue?.eta_p90_at], [null, null]);
  assert.is((await look(ids[0] ?? '')).view.queue?.position, 1);
});

test('tells when a job will have ended, by the pace of the workers and what goes before it', async () => {
  await beat(system.owner, worker);
  await insertWaiting(2000, { class: 0 });
  const ids = await insertWaiting(1000);
  const last = ids[999] ?? '';
  const seen = await until('a forecast', async () => {
    const found = await look(last);
    return secondsTo(found.view.queue?.eta_p50_at) > 25 ? found : undefined;
  });
  // 3,000 items of 10 ms.
  const p50 = secondsTo(seen.view.queue?.eta_p50_at);
  assert.ok(p50 > 27 && p50 < 33, `${p50} s are not about 30`);
  assert.ok(secondsTo(seen.view.queue?.eta_p90_at) > p50);
  assert.ok(Math.abs(seen.retryAfter - p50) <= 2, `Retry-After ${seen.retryAfter} is not about ${p50}`);
  const first = await look(ids[0] ?? '');
  assert.ok(
    secondsTo(first.view.queue?.eta_p50_at) < 5,
    'the first of the line waits for the classes above it',
  );
});

test('counts what was submitted a moment ago', async () => {
  await beat(system.owner, worker);
  const texts = Array.from({ length: 100 }, () => 'Good');
  const submit = async (): Promise<JobView> => {
    const response = await fetch(`${api.address}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'emotion', input: { texts } }),
    });
    return jobViewSchema.parse(await response.json());
  };
  const [probe = ''] = await insertWaiting(1);
  await until('an empty queue', async () =>
    secondsTo((await look(probe)).view.queue?.eta_p50_at) < 1 ? true : undefined,
  );
  for (let place = 2; place < 8; place++) {
    const { queue } = await submit();
    assert.ok((queue?.position ?? 0) >= place - 1, `job ${place} stands at ${queue?.position}`);
  }
  const { queue } = await submit();
  assert.ok(secondsTo(queue?.eta_p50_at) > 3, `${secondsTo(queue?.eta_p50_at)} s are too few for 700 items`);
});

test.run();
