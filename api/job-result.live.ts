// The result route and the entity tag of a job, over real HTTP against real processes.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSystem } from '../scripts/live-system.ts';
import { jobViewSchema, resultViewSchema } from './job-view.ts';

const system = await createLiveSystem({ FAULT_INJECTION: 'true' });
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${api.address}${path}`, { headers, signal: AbortSignal.timeout(90_000) });

async function submit(text: string, more: Record<string, unknown> = {}) {
  const response = await fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'not_before' in more ? 'wait=0' : 'wait=60' },
    body: JSON.stringify({ kind: 'emotion', input: { text }, ...more }),
  });
  return jobViewSchema.parse(await response.json());
}

async function expectProblem(response: Response, status: number, code: string): Promise<string> {
  const body = await response.text();
  assert.is(response.status, status, body);
  assert.match(body, `"code":"${code}"`);
  return body;
}

const later = () => new Date(Date.now() + 3_600_000).toISOString();

test('gives the result of a job that succeeded', async () => {
  const job = await submit('I like it');
  const response = await get(job.links.result);
  assert.is(response.status, 200);
  const result = resultViewSchema.parse(await response.json());
  assert.equal([result.job_id, result.items], [job.id, job.result?.items]);
});

test('says why there is no result', async () => {
  const waiting = await get((await submit('Later', { not_before: later() })).links.result);
  assert.is(waiting.headers.get('retry-after'), '1');
  await expectProblem(waiting, 409, 'job_not_finished');
  const failed = await submit('soma:fault:throw');
  const body = await expectProblem(await get(failed.links.result), 409, 'job_failed');
  assert.match(body, '"error":{"code":"preparation_failed"');
  const old = await submit('Old');
  await system.owner.query('UPDATE jobs SET expires_at = now() WHERE id = $1', [old.id.slice(4)]);
  await expectProblem(await get(old.links.result), 410, 'result_expired');
  for (const id of ['job_0199f2f0-0000-7000-8000-000000000000', 'x'])
    await expectProblem(await get(`/v1/jobs/${id}/result`), 404, 'job_not_found');
});

test('sends a job once to who names the version that it has', async () => {
  const job = await submit('Later', { not_before: later() });
  const first = await get(job.links.self);
  const tag = first.headers.get('etag') ?? '';
  assert.match(tag, /^"scheduled-1"$/);
  for (const given of [tag, `W/${tag}`, `"x", ${tag}`, '*']) {
    const same = await get(job.links.self, { 'if-none-match': given });
    assert.equal([same.status, same.headers.get('etag'), await same.text()], [304, tag, '']);
  }
  const waited = await get(`${job.links.self}?wait=1`, { 'if-none-match': tag });
  assert.is(waited.status, 304);
  await system.owner.query('UPDATE jobs SET not_before = now() WHERE id = $1', [job.id.slice(4)]);
  const changed = await get(`${job.links.self}?wait=60`, { 'if-none-match': tag });
  assert.equal([changed.status, changed.headers.get('etag')], [200, '"succeeded-4"']);
  const unknown = await get('/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000', { 'if-none-match': tag });
  await expectProblem(unknown, 404, 'job_not_found');
});

test.run();
