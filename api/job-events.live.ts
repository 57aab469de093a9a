// Event streams against a real API that is cut off and killed: what a client gets is what the ledger has, once each.

import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { type Claim, completeJobs, retryJobs } from '../db/attempts.ts';
import { createPool } from '../db/client.ts';
import { freePort } from '../scripts/free-port.ts';
import { completionOf, createLiveSystem, mustClaimJob } from '../scripts/live-system.ts';
import { defaultTenantId } from '../shared/job.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

// No worker and no dispatcher: the tests move the jobs.
const system = await createLiveSystem();
const port = await freePort();
let api = await system.start('api', { PORT: String(port) });
const database = createPool(system.databaseUrl, { role: 'worker', max: 2 });
test.after(async () => {
  await database.end();
  await system.close();
});

async function submit(more: Record<string, unknown> = {}): Promise<JobView> {
  const response = await fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'emotion', input: { text: 'Tell me' }, ...more }),
  });
  return jobViewSchema.parse(await response.json());
}

async function start(job: JobView): Promise<Claim> {
  const name = { tenantId: defaultTenantId, id: job.id.slice(4), dispatchId: v7() };
  await system.owner.query('UPDATE jobs SET dispatch_id = $2 WHERE id = $1', [name.id, name.dispatchId]);
  return mustClaimJob(database, name, { attemptsMax: 10_000 });
}

const complete = (claim: Claim) => completeJobs(database, [completionOf(claim)]);

const retryArgs = { delayMs: 0, attemptsMax: 10_000, error: { code: 'x', detail: 'y' } };
const stream = (job: JobView, last = '', signal: AbortSignal = AbortSignal.timeout(90_000)) =>
  fetch(`${api.address}${job.links.events}`, {
    headers: last === '' ? {} : { 'last-event-id': last },
    signal,
  });
const idsIn = (text: string): number[] => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));

test('accounts for every millisecond of a job that was tried twice', async () => {
  const job = await submit();
  const claim = await start(job);
  await delay(20);
  await retryJobs(database, [claim], retryArgs);
  await delay(20);
  const again = await start(job);
  await delay(20);
  await complete(again);
  const { timing_ms: timing, attempts } = jobViewSchema.parse(
    await (await fetch(`${api.address}${job.links.self}`)).json(),
  );
  const [first, second] = attempts.map((attempt) => attempt.timing_ms);
  if (!timing || !first || !second) throw new Error('a timing is missing');
  const { total, ...stages } = timing;
  assert.is(
    Object.values(stages).reduce((a, b) => a + b, 0),
    total,
  );
  assert.is(first.total + second.total, total);
  assert.is(first.total + second.queue, timing.queue);
  assert.ok(first.run >= 20 && second.queue >= 20 && second.run >= 20);
});

test('tells each step as it happens, and ends with the job', async () => {
  const job = await submit();
  const response = await stream(job);
  assert.equal([response.status, response.headers.get('content-type')], [200, 'text/event-stream']);
  const text = response.text();
  const claim = await start(job);
  await retryJobs(database, [claim], retryArgs);
  await complete(await start(job));
  const got = await text;
  assert.match(got, /^retry: 1000\n\nid: 1\nevent: job.queued\ndata: \{"type":"job.queued","sequence":1,/);
  assert.equal(
    [...got.matchAll(/^event: (.+)$/gm)].map(([, type]) => type),
    ['job.queued', 'job.started', 'job.retrying', 'job.started', 'job.succeeded'],
  );
  const rest = await fetch(`${api.address}${job.links.events}?after=3`);
  assert.equal(idsIn(await rest.text()), [4, 5]);
  assert.is((await stream(job, '5')).status, 204);
});

/** Reads a stream until `count` events came. */
async function readEvents(response: Response, count: number): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (idsIn(text).length >= count) break;
  }
  return text;
}

test('counts the time of streams and waits apart from that of answers', async () => {
  const job = await submit();
  const answer = await stream(job);
  assert.ok(answer.ok);
  const waited = fetch(`${api.address}${job.links.self}?wait=30`);
  await complete(await start(job));
  assert.match(await answer.text(), /^event: job.succeeded$/m);
  assert.is((await waited).status, 200);
  const page = await (await fetch(`${api.address}/metrics`)).text();
  const isCounted = (metric: string, route: string) =>
    page.includes(`soma_http_${metric}_duration_seconds_count{method="GET",route="${route}"`);
  assert.ok(isCounted('open', '/v1/jobs/:id/events'));
  assert.ok(isCounted('open', '/v1/jobs/:id'));
  assert.not.ok(isCounted('request', '/v1/jobs/:id/events",status="200'));
});

test('is woken by the start of a job, not by the heartbeat', async () => {
  const job = await submit();
  const reading = stream(job).then((response) => readEvents(response, 2));
  await delay(100);
  const started = performance.now();
  await start(job);
  await reading;
  const ms = performance.now() - started;
  console.log(`job.started reached the stream in ${ms.toFixed(1)} ms`);
  assert.ok(ms < 2000, `${ms} ms`);
});

test('says every 15 seconds that it lives, and ends when its job is erased', async () => {
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const job = await submit({ not_before: later });
  const text = (await stream(job)).text();
  await delay(15_500);
  assert.is((await fetch(`${api.address}${job.links.self}`, { method: 'DELETE' })).status, 202);
  assert.match(await text, /^retry: 1000\n\nid: 1\n[^]+\n\n: still there\n\n$/);
});

test('refuses a place that is none, and a job that is not there', async () => {
  const job = await submit();
  assert.is((await stream(job, 'x')).status, 400);
  assert.is((await fetch(`${api.address}${job.links.events}?after=-1`)).status, 422);
  const nobody = await fetch(`${api.address}/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000/events`);
  assert.is(nobody.status, 404);
});

/** Numbers from 0 to 1 that are the same in each run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Reads whole events until the stream ends or `bytesMax` have come, which cuts it, in the middle of an event or not. */
async function readSome(job: JobView, last: number, bytesMax: number): Promise<number[]> {
  const cut = new AbortController();
  let text = '';
  let bytes = 0;
  try {
    const response = await stream(job, last === 0 ? '' : String(last), cut.signal);
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      const kept = chunk.subarray(0, bytesMax - bytes);
      text += decoder.decode(kept, { stream: true });
      bytes += kept.length;
      if (bytes >= bytesMax) break;
    }
  } catch {
    // The API was killed: what came until then counts.
  }
  cut.abort();
  return idsIn(text.slice(0, text.lastIndexOf('\n\n') + 1));
}

test('loses and repeats nothing when it is cut 100 times and the API killed 3 times', async () => {
  const job = await submit();
  let cuts = 0;
  let terminal: number | undefined;
  const drive = async (): Promise<void> => {
    let turns = 0;
    // However slow the streams are, there is something to read until the last cut.
    for (; cuts < 100; turns++) {
      await retryJobs(database, [await start(job)], retryArgs);
      await delay(5);
    }
    await complete(await start(job));
    terminal = 2 * turns + 3;
  };
  const driving = drive();
  const random = createRandom(7);
  const got: number[] = [];
  for (; terminal === undefined || got.at(-1) !== terminal; cuts++) {
    const bytesMax = cuts < 100 ? Math.floor(random() * 900) : Number.MAX_SAFE_INTEGER;
    if ([25, 50, 75].includes(cuts)) {
      const reading = readSome(job, got.at(-1) ?? 0, Number.MAX_SAFE_INTEGER);
      await delay(50);
      await api.kill();
      got.push(...(await reading));
      api = await system.start('api', { PORT: String(port) });
    }
    got.push(...(await readSome(job, got.at(-1) ?? 0, bytesMax)));
  }
  await driving;
  const { rows } = await system.owner.query<{ sequence: number }>(
    'SELECT sequence FROM job_events WHERE job_id = $1 ORDER BY sequence',
    [job.id.slice(4)],
  );
  console.log(`${got.length} events over ${cuts} streams and 3 kills`);
  assert.equal(
    got,
    rows.map((row) => row.sequence),
  );
  assert.ok(cuts >= 100, `only ${cuts} cuts`);
});

test.run();
