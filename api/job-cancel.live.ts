// Cancel against real processes: at once where no worker has the job, in time where one has, and never half.

import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({
  FAULT_INJECTION: 'true',
  FLUSH_MS: '20',
  POOL_ITEMS_MAX: '100',
  // 300 submits come together, and a busy machine's ledger may take seconds for them.
  INTAKE_TIMEOUT_MS: '10000',
});
const [api, worker] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('dispatcher'),
]);
test.after(() => system.close());

const post = (path: string, body?: unknown): Promise<Response> =>
  fetch(`${api.address}${path}`, {
    method: 'POST',
    signal: AbortSignal.timeout(90_000),
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

const view = async (response: Response): Promise<JobView> => jobViewSchema.parse(await response.json());
const submit = async (texts: readonly string[], more: Record<string, unknown> = {}): Promise<JobView> => {
  const response = await post('/v1/jobs', { kind: 'emotion', input: { texts }, ...more });
  assert.is(response.status, 202, `${response.status} ${await response.clone().text()}`);
  return view(response);
};
const look = async (job: JobView, query = ''): Promise<JobView> =>
  view(await fetch(`${api.address}${job.links.self}${query}`));
const later = () => ({ not_before: new Date(Date.now() + 3_600_000).toISOString() });

async function countOf(sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM ${sql}`,
    values,
  );
  return rows[0]?.count ?? -1;
}

test('has connections open on which a cancel was planned before the first one comes', async () => {
  const prepared = () =>
    countOf(`pg_stat_activity WHERE datname = current_database() AND query LIKE '%cancel_requested_at = now()%'
      AND pid <> pg_backend_pid()`);
  const { DATABASE_POOL_MAX } = readConfig();
  await until('the connections', async () => ((await prepared()) === DATABASE_POOL_MAX ? true : undefined));
});

test('ends a job that no worker has at once, and wakes who waits for it', async () => {
  const job = await submit(['Later'], { ...later(), store_input: false });
  const waiting = look(job, '?wait=50');
  await until('the waiting client', async () =>
    /^soma_waiters 1$/m.test(await (await fetch(`${api.address}/metrics`)).text()) ? true : undefined,
  );
  const response = await post(job.links.cancel);
  assert.is(response.status, 200);
  const canceled = await view(response);
  assert.equal([canceled.status, canceled.status_reason], ['canceled', 'canceled_by_client']);
  assert.equal(await waiting, canceled);
  const again = await post(job.links.cancel);
  assert.equal([again.status, await view(again)], [200, canceled]);
  const { rows } = await system.owner.query(
    'SELECT sequence, type FROM job_events WHERE job_id = $1 ORDER BY sequence',
    [job.id.slice(4)],
  );
  assert.equal(rows, [
    { sequence: 1, type: 'job.scheduled' },
    { sequence: 2, type: 'job.canceled' },
  ]);
  assert.is(await countOf('items WHERE job_id = $1 AND text IS NOT NULL', [job.id.slice(4)]), 0);
});

test('refuses to cancel what has ended, and what is not there', async () => {
  const job = await look(await submit(['I like it']), '?wait=60');
  const refused = await post(job.links.cancel);
  assert.is(refused.status, 409);
  assert.match(await refused.text(), '"code":"job_already_finished"');
  const unknown = await post('/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000/cancel');
  assert.is(unknown.status, 404);
  const { status, headers } = await fetch(`${api.address}${job.links.cancel}`);
  assert.equal([status, headers.get('allow')], [405, 'POST']);
});

test('drops a job in a worker: behind the model before it, in the model between two micro-batches', async () => {
  const texts = (count: number) => Array.from({ length: count }, (_, index) => `soma:fault:slow ${index}`);
  const countBatches = async (): Promise<number> => {
    const page = await (await fetch(`${worker.address}/metrics`)).text();
    return Number(/^soma_micro_batches_total\{kind="emotion"\} (\d+)$/m.exec(page)?.[1]);
  };
  const before = await countBatches();
  // 100 texts fill a pool, and are at least 7 micro-batches of at least 300 ms.
  const running = await submit(texts(100));
  await until('the first job to start', async () =>
    (await look(running)).status === 'processing' ? true : undefined,
  );
  const behind = await submit(texts(100));
  await until('the second job to start', async () =>
    (await look(behind)).status === 'processing' ? true : undefined,
  );
  const started = performance.now();
  for (const job of [behind, running]) {
    const response = await post(job.links.cancel);
    assert.equal([response.status, (await view(response)).status], [202, 'canceling']);
    assert.is((await post(job.links.cancel)).status, 202);
  }
  for (const job of [running, behind]) {
    const ended = await look(job, '?wait=60');
    assert.equal([ended.status, ended.result, ended.counts.succeeded], ['canceled', null, 0]);
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`two canceled jobs of 200 slow texts left the worker in ${seconds.toFixed(2)} s`);
  assert.ok(seconds < 3, `${seconds} s`);
  const batches = (await countBatches()) - before;
  assert.ok(batches < 7, `${batches} micro-batches ran`);
});

/** The `part` quantile of durations. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

async function timedCancel(job: JobView): Promise<{ status: number; ms: number }> {
  const started = performance.now();
  const response = await post(job.links.cancel);
  await response.arrayBuffer();
  return { status: response.status, ms: performance.now() - started };
}

test('cancels 300 queued jobs quickly', async () => {
  const jobs = await Promise.all(Array.from({ length: 300 }, () => submit(['Later'], later())));
  const taken: number[] = [];
  for (const job of jobs) {
    const { status, ms } = await timedCancel(job);
    assert.is(status, 200);
    taken.push(ms);
  }
  console.log(
    `queued cancel p50 ${quantile(taken, 0.5).toFixed(1)} ms, p99 ${quantile(taken, 0.99).toFixed(1)} ms`,
  );
  // The median: at a p99 the others on a shared machine are measured too.
  assert.ok(quantile(taken, 0.5) <= 50);
});

test('lets 1,000 cancels race completion without one job both canceled and with a result', async () => {
  const answers: { status: number; ms: number }[] = [];
  const jobs: JobView[] = [];
  const lane = async (number: number): Promise<void> => {
    for (let turn = 0; turn < 100; turn++) {
      const job = await submit([`Race ${number} ${turn}`, 'and another text']);
      jobs.push(job);
      await delay((turn * 7 + number * 13) % 60);
      answers.push(await timedCancel(job));
    }
  };
  await Promise.all(Array.from({ length: 10 }, (_, number) => lane(number)));
  const ended = await Promise.all(jobs.map((job) => look(job, '?wait=60')));
  const count = (status: number) => answers.filter((answer) => answer.status === status).length;
  const canceled = ended.filter(({ status }) => status === 'canceled');
  const queued = answers.filter(({ status }) => status === 200).map(({ ms }) => ms);
  console.log(
    `1,000 cancels: ${count(200)} at once (p99 ${quantile(queued, 0.99).toFixed(1)} ms), ${count(202)} in a worker, ${count(409)} too late`,
  );
  assert.is(count(200) + count(202) + count(409), 1000);
  assert.is(canceled.length, count(200) + count(202));
  assert.is(ended.filter(({ status }) => status === 'succeeded').length, count(409));
  assert.is(canceled.filter(({ result }) => result !== null).length, 0);
  assert.is(
    await countOf(`jobs j WHERE status = 'canceled' AND EXISTS (
      SELECT FROM analyses a WHERE a.tenant_id = j.tenant_id AND a.job_id = j.id)`),
    0,
  );
  assert.is(
    await countOf(`(SELECT job_id FROM job_events WHERE type IN ('job.succeeded', 'job.canceled')
      GROUP BY job_id HAVING count(*) > 1) twice`),
    0,
  );
});

test.run();
