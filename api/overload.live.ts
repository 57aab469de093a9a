// A full system says so at once, the same to one item and to a hundred, only to those who would wait, and tells when
// to come back.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { beat } from '../db/processes.ts';
import { insertJobs } from '../db/submissions.ts';
import { createLiveSystem, newJob, until } from '../scripts/live-system.ts';
import { defaultTenantId } from '../shared/job.ts';

const system = await createLiveSystem({ QUEUE_AGE_MS_MAX: '2000' });
const api = await system.start('api');
test.after(() => system.close());
test.before.each(async () => {
  await system.owner.query('TRUNCATE jobs, items, analyses, job_events');
  await until('room', async () => ((await submit(1)).status === 202 ? true : undefined));
  await system.owner.query('TRUNCATE jobs, items, analyses, job_events');
});

async function submit(items: number, priority = 'normal') {
  const body = JSON.stringify({
    kind: 'emotion',
    priority,
    input: { texts: Array.from({ length: items }, () => 'Good '.repeat(100)) },
  });
  const started = performance.now();
  const response = await fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  return {
    status: response.status,
    code: /"code":"(\w+)"/.exec(text)?.[1],
    retryAfter: Number(response.headers.get('retry-after')),
    tookMs: performance.now() - started,
  };
}

/** Jobs that wait in the ledger, queued one after another over the `spanMs` until now. */
async function insertWaiting(count: number, spanMs: number, tenantId = defaultTenantId): Promise<void> {
  const now = Date.now();
  const jobs = Array.from({ length: count }, (_, index) => {
    const msecs = Math.round(now - spanMs + (spanMs * index) / count);
    return newJob({
      tenantId,
      id: v7({ msecs }),
      texts: ['a'],
      dispatchId: null,
      createdAt: new Date(msecs).toISOString(),
    });
  });
  await insertJobs(system.owner, jobs);
}

const untilFull = () =>
  until('a full system', async () => ((await submit(1)).status === 503 ? true : undefined), 10_000);

test('refuses one item and a hundred alike, and quickly', async () => {
  await insertWaiting(10, 5000);
  await untilFull();
  const tookMs: number[] = [];
  for (let round = 0; round < 40; round++) {
    const answer = await submit(round % 2 === 0 ? 1 : 100);
    assert.equal([answer.status, answer.code], [503, 'overloaded']);
    assert.ok(answer.retryAfter >= 1);
    tookMs.push(answer.tookMs);
  }
  const slowest = tookMs.sort((a, b) => a - b)[37] ?? 0;
  // The 50 ms that are promised are measured by `npm run bench -- overload`; this machine may have other things to do.
  assert.ok(slowest < 1000, `95 % took up to ${slowest.toFixed(1)} ms`);
});

test('refuses only the class and the tenant that would wait', async () => {
  await insertWaiting(10, 5000, v7());
  await insertWaiting(10, 1000);
  const passed = performance.now() + 600;
  await until('a measurement', async () => (performance.now() > passed ? true : undefined));
  assert.is((await submit(1)).status, 202);
  await insertWaiting(10, 5000);
  await untilFull();
  assert.is((await submit(1, 'high')).status, 202);
});

/** A worker that says that it needs so long for an item. */
const beatWorker = (itemMs: number) =>
  beat(system.owner, { id: v7(), type: 'analysis', host: 'here', pid: 1, info: { item_ms: itemMs } });

test('foresees by the workers when a line will be short', async () => {
  // A worker that needs 100 ms for an item, and no arrivals: the line is young when it is empty. While nothing has been
  // learned, nine of ten are taken to be done in twice the time.
  await beatWorker(100);
  await insertWaiting(100, 4000);
  await untilFull();
  const { retryAfter } = await until('the forecast', async () => {
    const answer = await submit(1);
    return answer.retryAfter === 30 ? undefined : answer;
  });
  // A hundred jobs, and those that were let in until the line was seen.
  const { rows } = await system.owner.query<{ count: string }>('SELECT count(*) FROM jobs');
  const expected = 0.2 * Number(rows[0]?.count);
  assert.ok(
    retryAfter >= 0.85 * expected && retryAfter <= 1.2 * expected,
    `${retryAfter} s are not about ${expected}`,
  );
  await system.owner.query('DELETE FROM processes');
});

test('lets in those who come back when told', async () => {
  await beatWorker(5);
  await insertWaiting(1000, 4000);
  await untilFull();
  // That worker's pace by the clock, however busy the machine is: 1,000 jobs in five seconds, oldest first.
  const startedMs = performance.now();
  let due = 0;
  const served = async (): Promise<number> => {
    const before = due;
    due = Math.floor((performance.now() - startedMs) / 5);
    const { rowCount } = await system.owner.query(
      `UPDATE jobs SET status = 'succeeded', ended_at = now() WHERE id IN
        (SELECT id FROM jobs WHERE status = 'queued' ORDER BY id LIMIT $1)`,
      [due - before],
    );
    return rowCount ?? 0;
  };
  const tellers: { back: number }[] = [];
  let asked = 0;
  let admitted = 0;
  let next = performance.now();
  const comeBack = async (): Promise<void> => {
    for (const { back } of tellers.splice(0)) {
      if (performance.now() < back) tellers.push({ back });
      else {
        asked += 1;
        if ((await submit(1)).status === 202) admitted += 1;
      }
    }
  };
  await until(
    'the end of the line',
    async () => {
      if (performance.now() < next) return undefined;
      next += 50;
      const left = await served();
      await comeBack();
      if (left > 0 && asked === 0 && tellers.length < 30) {
        const answer = await submit(1);
        if (answer.status === 503 && answer.retryAfter < 30)
          tellers.push({ back: performance.now() + 1000 * answer.retryAfter });
      }
      return tellers.length === 0 && asked > 0 ? true : undefined;
    },
    30_000,
  );
  assert.ok(asked >= 10, `only ${asked} came back`);
  assert.ok(admitted >= 0.8 * asked, `${admitted} of ${asked} were admitted`);
});

test.run();
