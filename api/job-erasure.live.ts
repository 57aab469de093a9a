// Retry and erasure against real processes: a canary text is nowhere once its job is erased, even from a worker's hands.

import { Redis } from 'ioredis';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findInRedis, findInTables } from '../scripts/canary.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({ FAULT_INJECTION: 'true' });
const [api, worker] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('dispatcher'),
]);
const redis = new Redis(readConfig().REDIS_URL);
test.after(async () => {
  redis.disconnect();
  await system.close();
});

const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  fetch(`${api.address}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    signal: AbortSignal.timeout(90_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const view = async (response: Response): Promise<JobView> => jobViewSchema.parse(await response.json());
const submit = async (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  view(await send('POST', '/v1/jobs', body, headers));
const finish = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  submit(body, { prefer: 'wait=60', ...headers });

async function expectProblem(response: Response, status: number, code: string): Promise<void> {
  const body = await response.text();
  assert.is(response.status, status, body);
  assert.match(body, `"code":"${code}"`);
}

const inTables = (word: string) => findInTables(system.owner, word);
const inRedis = (word: string) => findInRedis(redis, system.env['QUEUE_PREFIX'] ?? '', word);

test('runs an ended job again as a new one', async () => {
  const first = await finish({
    kind: 'emotion',
    input: { texts: ['One', 'Two'] },
    tags: ['x'],
    user_id: 'u',
    priority: 'high',
  });
  const response = await send('POST', `${first.links.self}/retry`, undefined, { 'idempotency-key': 'again' });
  assert.is(response.status, 202);
  const second = await view(response);
  assert.is(response.headers.get('location'), second.links.self);
  assert.equal([second.retry_of, second.tags, second.priority], [first.id, ['x'], 'high']);
  const ended = await view(await send('GET', `${second.links.self}?wait=60`));
  assert.equal(ended.result, first.result);
  const replay = await send('POST', `${first.links.self}/retry`, undefined, { 'idempotency-key': 'again' });
  assert.equal([(await view(replay)).id, replay.headers.get('idempotent-replayed')], [second.id, 'true']);
});

test('refuses to run again what has not ended, what has no texts and what is not there', async () => {
  const later = new Date(Date.now() + 3_600_000).toISOString();
  const waiting = await submit({ kind: 'emotion', input: { text: 'Later' }, not_before: later });
  await expectProblem(await send('POST', `${waiting.links.self}/retry`), 409, 'job_not_finished');
  const forgotten = await finish({ kind: 'emotion', input: { text: 'Forget' }, store_input: false });
  await expectProblem(await send('POST', `${forgotten.links.self}/retry`), 409, 'input_not_stored');
  const nobody = '/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000';
  await expectProblem(await send('POST', `${nobody}/retry`), 404, 'job_not_found');
  await expectProblem(await send('DELETE', nobody), 404, 'job_not_found');
});

test('leaves no trace of an erased job in any table or in Redis', async () => {
  const word = 'canaryfinch';
  const body = {
    kind: 'reasoning',
    input: { text: `The ${word} died because the ${word} mine flooded.` },
    user_id: 'miner',
    custom_id: word,
    metadata: { bird: word },
    tags: [word],
  };
  const job = await finish(body, { 'idempotency-key': 'once' });
  await system.owner.query(
    `INSERT INTO profiles (tenant_id, user_id, version, job_id, profile, created_at)
     SELECT tenant_id, user_id, 1, gen_random_uuid(), jsonb_build_object('top', $2::text), now() FROM jobs WHERE id = $1`,
    [job.id.slice(4), word],
  );
  const before = await inTables(word);
  assert.equal(before, ['analyses', 'facts', 'graph_edges', 'graph_nodes', 'items', 'jobs', 'profiles']);
  const response = await send('DELETE', job.links.self);
  assert.is(response.status, 202);
  const receipt = await response.text();
  assert.match(receipt, new RegExp(`^\\{"id":"era_[0-9a-f-]{36}","object":"erasure","job_id":"${job.id}"`));
  assert.equal([await inTables(word), await inRedis(word)], [[], []]);
  assert.equal(await inTables(job.id.slice(4)), ['erasures', 'idempotency_keys']);
  assert.is(await (await send('DELETE', job.links.self)).text(), receipt);
  for (const path of ['', '/result'])
    await expectProblem(await send('GET', job.links.self + path), 404, 'job_not_found');
  await expectProblem(
    await send('POST', '/v1/jobs', body, { 'idempotency-key': 'once' }),
    404,
    'job_not_found',
  );
  assert.equal(await inTables(word), []);
});

test('does not let a worker bring back what was erased in its hands', async () => {
  const texts = Array.from({ length: 40 }, (_, index) => `soma:fault:slow canaryowl ${index}`);
  const job = await submit({ kind: 'emotion', input: { texts }, user_id: 'keeper' });
  const started = async () => (await view(await send('GET', job.links.self))).status === 'processing';
  await until('the job to start', async () => ((await started()) ? true : undefined));
  const waiting = send('GET', `${job.links.self}?wait=50`);
  assert.is((await send('DELETE', job.links.self)).status, 202);
  await expectProblem(await waiting, 404, 'job_not_found');
  await until('the worker to be done with it', async () =>
    worker.warnings().some((line) => line.includes('results of lost attempts were dropped'))
      ? true
      : undefined,
  );
  await finish({ kind: 'emotion', input: { text: 'Something else' } });
  assert.equal([await inTables('canaryowl'), await inRedis('canaryowl')], [[], []]);
  assert.not.ok([...api.warnings(), ...worker.warnings()].some((line) => line.includes('canaryowl')));
});

test.run();
