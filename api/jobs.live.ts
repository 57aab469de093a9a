// Submit, wait and look over real HTTP, against real processes: what a client gets for what it sends.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRegistry } from '../models/registry.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { problemCatalogue } from '../shared/problem.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({ FAULT_INJECTION: 'true', INFERENCE_TIMEOUT_MS: '20000' });
const [api, worker] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('dispatcher'),
]);
test.after(() => system.close());

const outputSchema = createRegistry(readConfig().MODELS_DIR).find('emotion')?.outputSchema;

async function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(90_000),
  });
}

const get = (path: string): Promise<Response> =>
  fetch(`${api.address}${path}`, { signal: AbortSignal.timeout(90_000) });

const view = async (response: Response): Promise<JobView> => jobViewSchema.parse(await response.json());

function asking(texts: readonly string[], more: Record<string, unknown> = {}): Record<string, unknown> {
  return { kind: 'emotion', input: { texts }, ...more };
}

/** The job once it is terminal, as the answer to its submit. */
async function finish(body: unknown, headers: Record<string, string> = {}): Promise<JobView> {
  const response = await post(body, { prefer: 'wait=60', ...headers });
  const job = await view(response);
  assert.is(response.status, 200, `the job is ${job.status}`);
  return job;
}

function outputsOf(job: JobView): unknown[] {
  return (job.result?.items ?? []).map(({ output }) => output);
}

test('answers a submit with 202 and the way to the result', async () => {
  const response = await post({ kind: 'emotion', input: { text: 'I am so happy today!' }, custom_id: 'a' });
  assert.is(response.status, 202);
  const job = await view(response);
  assert.is(response.headers.get('location'), `/v1/jobs/${job.id}`);
  assert.is(response.headers.get('retry-after'), '1');
  assert.is(response.headers.get('preference-applied'), null);
  assert.equal([job.status, job.custom_id, job.result], ['queued', 'a', null]);

  const waited = await get(`${job.links.self}?wait=60`);
  assert.is(waited.status, 200);
  const ended = await view(waited);
  assert.is(ended.status, 'succeeded');
  const polled = await view(await get(job.links.self));
  assert.equal(polled, ended);
});

test('shows how a job came to its result, in stages that add up', async () => {
  const job = await finish({ kind: 'emotion', input: { text: 'Thank you so much!' }, priority: 'high' });
  assert.is(job.priority, 'high');
  assert.equal(job.counts, { total: 1, succeeded: 1, failed: 0 });
  assert.is(job.attempts.length, 1);
  assert.is(job.attempts[0]?.outcome, 'succeeded');
  const { total = -1, ...stages } = job.timing_ms ?? {};
  const sum = Object.values(stages).reduce((a, b) => a + b, 0);
  assert.is(sum, total);
  assert.is(total, Date.parse(job.ended_at ?? '') - Date.parse(job.created_at));
  assert.is(job.execution?.micro_batch_items, 1);
  assert.ok(outputSchema?.safeParse(outputsOf(job)[0]).success);
  assert.match(JSON.stringify(outputsOf(job)[0]), '"primary_emotion":"gratitude"');
});

test('says what it did with a preference', async () => {
  const response = await post(asking(['I like it']), { prefer: 'respond-async, wait=30' });
  assert.is(response.status, 200);
  assert.is(response.headers.get('preference-applied'), 'wait=30');
  assert.match(response.headers.get('server-timing') ?? '', /queue;dur=[\d.]+, .*total;dur=/);
  const longest = await post(asking(['I like it']), { prefer: 'wait=9999' });
  assert.is(longest.headers.get('preference-applied'), 'wait=60');
});

test('answers the items of a job in their order', async () => {
  const texts = Array.from(
    { length: 100 },
    (_, index) => `Text ${'word '.repeat((index * 37) % 60)}${index}`,
  );
  const together = await finish(asking(texts));
  assert.equal(
    together.result?.items.map(({ index }) => index),
    texts.map((_, index) => index),
  );
  const alone = await finish(asking([texts[71] ?? '']));
  assert.equal(outputsOf(together)[71], outputsOf(alone)[0]);
});

test('analyses whatever can be written', async () => {
  const long = 'a'.repeat(10_000);
  const texts = [
    '😀🎉👩‍👩‍👧‍👦',
    '今天我非常高兴,谢谢你',
    'أنا سعيد جدا اليوم',
    'שלום לכולם',
    long,
    '\u202Etxet\u202C',
    'word '.repeat(2000).trim(),
    '\uFFFD\uFFFF',
    '😀'.repeat(10_000),
  ];
  const job = await finish(asking(texts));
  assert.equal([job.status, job.counts.failed], ['succeeded', 0]);
  const truncated = outputsOf(job).map((output) => JSON.stringify(output).includes('"truncated":true'));
  assert.equal(truncated, [false, false, false, false, false, false, true, false, true]);
});

test('says that a text without a space is cut where the model stops reading', async () => {
  const job = await finish(asking([`${'ab-'.repeat(3333)}a`, '好'.repeat(10_000)]));
  for (const output of outputsOf(job)) assert.match(JSON.stringify(output), '"truncated":true');
});

test('makes one job of fifty parallel posts with one Idempotency-Key', async () => {
  const headers = { 'idempotency-key': 'fifty' };
  const answers = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await post(asking(['Only once']), headers);
      const replayed = response.headers.get('idempotent-replayed');
      return { status: response.status, replayed, id: (await view(response)).id };
    }),
  );
  assert.equal([...new Set(answers.map(({ status }) => status))], [202]);
  assert.is(new Set(answers.map(({ id }) => id)).size, 1);
  assert.is(answers.filter(({ replayed }) => replayed === 'true').length, 49);
  const { rows } = await system.owner.query(
    `SELECT count(*)::integer AS count FROM items WHERE text = 'Only once'`,
  );
  assert.equal(rows, [{ count: 1 }]);
});

test('takes the same body in another order of fields as the same', async () => {
  const headers = { 'idempotency-key': 'order' };
  const first = await post({ kind: 'emotion', input: { text: 'Same' }, tags: ['x'] }, headers);
  const second = await post({ tags: ['x'], input: { text: 'Same' }, kind: 'emotion' }, headers);
  assert.is(second.headers.get('idempotent-replayed'), 'true');
  assert.is((await view(second)).id, (await view(first)).id);
});

test('refuses another body under a used Idempotency-Key', async () => {
  const headers = { 'idempotency-key': 'other' };
  assert.is((await post(asking(['One']), headers)).status, 202);
  const refused = await post(asking(['Another']), headers);
  assert.is(refused.status, problemCatalogue.idempotency_key_reused.status);
  assert.match(await refused.text(), '"code":"idempotency_key_reused"');
});

test('replays a job that failed, and waits for a replay like for a new job', async () => {
  const headers = { 'idempotency-key': 'failed' };
  const body = asking(['soma:fault:throw']);
  const first = await finish(body, headers);
  assert.equal([first.status, first.error?.code], ['failed', 'preparation_failed']);
  const again = await post(body, headers);
  assert.equal([again.status, again.headers.get('idempotent-replayed')], [202, 'true']);
  assert.equal(await view(again), first);
  assert.equal(await finish(body, headers), first);

  const slow = { 'idempotency-key': 'slow' };
  const [one, two] = await Promise.all([finish(asking(['Wait']), slow), finish(asking(['Wait']), slow)]);
  assert.equal(one, two);
});

test('fails only the items that cannot be analysed', async () => {
  const job = await finish(asking(['Fine', 'soma:fault:throw', 'Also fine']));
  assert.is(job.status, 'succeeded');
  assert.equal(job.counts, { total: 3, succeeded: 2, failed: 1 });
  assert.equal(
    job.result?.items.map(({ status }) => status),
    ['succeeded', 'failed', 'succeeded'],
  );
  assert.is(job.error, null);
});

test('answers what a job is by then when the wait is over before the job', async () => {
  const startAt = new Date(Date.now() + 3_600_000).toISOString();
  const response = await post(asking(['Later'], { not_before: startAt }), { prefer: 'wait=1' });
  assert.is(response.status, 202);
  assert.is(response.headers.get('preference-applied'), 'wait=1');
  const job = await view(response);
  assert.equal([job.status, job.not_before], ['scheduled', startAt]);
  const looked = await get(`${job.links.self}?wait=1`);
  assert.equal([looked.status, looked.headers.get('retry-after')], [200, '1']);
});

test('shows the job as it is at the end of a wait, never as it was before', async () => {
  const later = await view(
    await post(asking(['Later'], { not_before: new Date(Date.now() + 3_600_000).toISOString() })),
  );
  const waiting = get(`${later.links.self}?wait=2`);
  await until('the waiting client', async () =>
    /^soma_waiters 1$/m.test(await (await get('/metrics')).text()) ? true : undefined,
  );
  await system.owner.query(`UPDATE jobs SET custom_id = 'changed' WHERE id = $1`, [later.id.slice(4)]);
  assert.is((await view(await waiting)).custom_id, 'changed');
});

test('runs a scheduled job when its time has come, and wakes who waits for it', async () => {
  const startAt = new Date(Date.now() + 1500).toISOString();
  const job = await finish(asking(['Soon'], { not_before: startAt }));
  assert.is(job.status, 'succeeded');
  assert.ok((job.started_at ?? '') >= startAt);
});

test('wakes who waits for a job that expires', async () => {
  const now = Date.now();
  const response = await post(
    asking(['Too late'], {
      not_before: new Date(now + 900).toISOString(),
      deadline_at: new Date(now + 1000).toISOString(),
    }),
    { prefer: 'wait=50' },
  );
  // The worker may still be in time; then there is nothing to expire.
  const job = await view(response);
  assert.ok(['expired', 'succeeded'].includes(job.status), job.status);
  const late = await view(
    await post(
      asking(['Much too late'], {
        not_before: new Date(now + 60_000).toISOString(),
        deadline_at: new Date(now + 70_000).toISOString(),
      }),
    ),
  );
  const waiting = get(`${late.links.self}?wait=50`);
  await system.owner.query('UPDATE jobs SET deadline_at = now() WHERE id = $1', [late.id.slice(4)]);
  const started = performance.now();
  const ended = await view(await waiting);
  assert.equal([ended.status, ended.status_reason], ['expired', 'deadline_passed']);
  assert.ok(performance.now() - started < 30_000, 'nobody woke the waiting client');
});

test('forgets the text of a job that says so when it ends', async () => {
  const job = await finish(asking(['Forget this'], { store_input: false }));
  const { rows } = await system.owner.query('SELECT text FROM items WHERE job_id = $1', [job.id.slice(4)]);
  assert.equal(rows, [{ text: null }]);
});

test('shows no job to who has not its id', async () => {
  for (const id of ['job_0199f2f0-0000-7000-8000-000000000000', 'job_x', '0199f2f0', "job_'; --"]) {
    const response = await get(`/v1/jobs/${encodeURIComponent(id)}`);
    assert.is(response.status, 404);
    assert.match(response.headers.get('content-type') ?? '', 'application/problem+json');
    assert.match(await response.text(), '"code":"job_not_found"');
  }
});

test('refuses a wait that is no number of seconds up to 60', async () => {
  for (const query of ['wait=61', 'wait=-1', 'wait=abc', 'wait=1&wait=2', 'wait=1.5', 'other=1']) {
    const response = await get(`/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000?${query}`);
    assert.is(response.status, 422, query);
  }
});

test('keeps a job that kills the model apart from the others', async () => {
  const [poison, ...innocent] = await Promise.all([
    finish(asking(['soma:fault:abort'])),
    ...Array.from({ length: 12 }, (_, index) => finish(asking([`Innocent ${index}`]))),
  ]);
  assert.equal([poison.status, poison.error?.code], ['failed', 'item_crashed_model']);
  for (const job of innocent) assert.equal([job.status, job.attempts.length], ['succeeded', 1]);
});

test('shows its figures on every process', async () => {
  await finish(asking(['Count me']));
  const ofApi = await (await get('/metrics')).text();
  assert.match(ofApi, /^soma_jobs_submitted_total\{kind="emotion",class="normal"\} \d+$/m);
  assert.match(
    ofApi,
    /soma_http_request_duration_seconds_count\{method="POST",route="\/v1\/jobs",status="202"\}/,
  );
  assert.match(ofApi, /soma_http_open_duration_seconds_count\{method="POST",route="\/v1\/jobs"\}/);
  assert.not.match(
    ofApi,
    /soma_http_request_duration_seconds_count\{method="POST",route="\/v1\/jobs",status="200"\}/,
  );
  const ofWorker = await (await fetch(`${worker.address}/metrics`)).text();
  assert.match(ofWorker, /^soma_items_inferred_total\{kind="emotion"\} \d+$/m);
  assert.match(ofWorker, /^soma_model_ready\{kind="emotion",version="[\d.]+",provider="cpu"\} 1$/m);
});

test('tells how each part of the system is', async () => {
  const response = await get('/health/detailed');
  assert.is(response.status, 200);
  const body = await response.text();
  for (const part of ['ledger', 'redis', 'notifications', 'workers', 'dispatcher'])
    assert.match(body, `"${part}":{"status":"ok"}`);
});

test.run();
