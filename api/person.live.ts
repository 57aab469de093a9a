// A person's export and erasure against real processes: all that was sent comes out, and once erased it is nowhere.

import { Redis } from 'ioredis';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { requestErasure } from '../db/erase-person.ts';
import { insertJobs } from '../db/submissions.ts';
import { countKeys, findInRedis, findInTables } from '../scripts/canary.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { erasureSchema } from './erasure-view.ts';
import { type ExportLine, exportLineSchema } from './export-view.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({ FAULT_INJECTION: 'true' });
const [api, worker, profiler, dispatcher] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('profile'),
  system.start('dispatcher'),
]);
const redis = new Redis(readConfig().REDIS_URL);
test.after(async () => {
  redis.disconnect();
  await system.close();
});

const prefix = system.env['QUEUE_PREFIX'] ?? '';
const traces = async (word: string) => ({
  tables: await findInTables(system.owner, word),
  redis: await findInRedis(redis, prefix, word),
  logs: [api, worker, profiler, dispatcher]
    .flatMap((one) => one.lines())
    .filter((line) => line.toLowerCase().includes(word.toLowerCase())),
});
const nothing = { tables: [], redis: [], logs: [] };

const send = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  fetch(`${api.address}${path}`, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    signal: AbortSignal.timeout(90_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const submit = async (
  body: Record<string, unknown>,
  headers: Record<string, string> = {},
): Promise<JobView> => {
  const response = await send('POST', '/v1/jobs', body, headers);
  const text = await response.text();
  assert.ok(response.status < 300, text);
  return jobViewSchema.parse(JSON.parse(text));
};
const finish = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  submit(body, { prefer: 'wait=60', ...headers });
const receiptOf = async (response: Response) => erasureSchema.parse(await response.json());

/** Erases a person, at once or, on a busy machine, in steps. @returns the receipt and where it is. */
async function erase(user: string): Promise<z.infer<typeof erasureSchema>> {
  const response = await send('DELETE', `/v1/users/${user}`);
  const first = await receiptOf(response);
  assert.is(response.status, first.status === 'completed' ? 200 : 202);
  assert.is(response.headers.get('location'), first.links.self);
  return completed(first.links.self);
}

const completed = (path: string) =>
  until('the erasure', async () => {
    const seen = await receiptOf(await send('GET', path));
    return seen.status === 'completed' ? seen : undefined;
  });

/** Everything that one can have stored about a person, with the word wherever words may be. */
async function leaveTraces(user: string, word: string): Promise<JobView> {
  const marked = { user_id: user, custom_id: word, metadata: { [word]: word }, tags: [word] };
  const text = `The ${word} died because the ${word} mine flooded.`;
  const job = await finish(
    { ...marked, kind: 'reasoning', input: { text } },
    { 'idempotency-key': `key of ${word}` },
  );
  assert.is(job.status, 'succeeded');
  await finish({ ...marked, kind: 'emotion', input: { texts: [text, `I love my ${word}!`] } });
  await finish({ ...marked, kind: 'embedding', input: { text }, store_input: false });
  const later = new Date(Date.now() + 3_600_000).toISOString();
  await submit({ ...marked, kind: 'emotion', input: { text }, not_before: later });
  const retried = await send('POST', `${job.links.self}/retry`);
  await send('GET', `${jobViewSchema.parse(await retried.json()).links.self}?wait=60`);
  for (const path of ['emotions/analyze', 'reasoning/extract', 'profile/generate']) {
    const response = await send('POST', `/api/${path}`, { user_id: user, text });
    assert.ok(response.status < 300, await response.text());
  }
  return job;
}

async function exportOf(user: string): Promise<ExportLine[]> {
  const response = await send('GET', `/v1/users/${user}/export`);
  assert.equal([response.status, response.headers.get('content-type')], [200, 'application/x-ndjson']);
  const lines = (await response.text()).split('\n');
  assert.is(lines.pop(), '');
  return lines.map((line) => exportLineSchema.parse(JSON.parse(line)));
}

test('exports all that is stored about a person, and nothing of another', async () => {
  await leaveTraces('heron', 'canaryheron');
  await leaveTraces('stork', 'canarystork');
  const lines = await exportOf('heron');
  const count = (type: string) => lines.filter((line) => line.type === type).length;
  assert.equal([lines[0]?.type, count('job'), count('profile')], ['person', 8, 1]);
  assert.ok(count('node') > 2 && count('edge') > 2);
  const end = lines.at(-1);
  assert.ok(end?.type === 'end');
  assert.equal(end.counts, { jobs: 8, texts: 8, profiles: 1, nodes: count('node'), edges: count('edge') });
  const [first] = lines.flatMap((line) => (line.type === 'job' ? [line] : []));
  assert.equal(first?.texts, ['The canaryheron died because the canaryheron mine flooded.']);
  assert.is(first?.job.result?.items[0]?.status, 'succeeded');
  assert.equal(
    first?.events.map(({ type }) => type),
    ['job.queued', 'job.started', 'job.succeeded'],
  );
  assert.ok(first !== undefined && first.facts.length > 0);
  assert.not.match(JSON.stringify(lines), 'stork');
});

test('exports the lines of batches that are of the person', async () => {
  const line = (id: string, user: string) => ({
    custom_id: id,
    text: `Of ${user}`,
    user_id: user,
    metadata: { row: id },
  });
  const items = [line('a', 'plover'), line('b', 'curlew'), line('c', 'plover')];
  const batch = z
    .object({ id: z.string() })
    .parse(await (await send('POST', '/v1/batches', { kind: 'emotion', items })).json());
  await until('the batch to end', async () =>
    /"status":"ended"/.test(await (await send('GET', `/v1/batches/${batch.id}?wait=30`)).text())
      ? true
      : undefined,
  );
  const jobs = (await exportOf('plover')).flatMap((one) => (one.type === 'job' ? [one] : []));
  assert.equal(
    jobs.map(({ job }) => job.batch_id),
    [batch.id],
  );
  assert.equal(jobs[0]?.texts, ['Of plover', 'Of plover']);
  assert.equal(jobs[0]?.lines, [
    { item_index: 0, index: 0, custom_id: 'a', metadata: { row: 'a' } },
    { item_index: 1, index: 2, custom_id: 'c', metadata: { row: 'c' } },
  ]);
});

test('exports of somebody unknown that there is nothing', async () => {
  const [person, end, ...more] = await exportOf('nobody');
  assert.equal([person?.type, more], ['person', []]);
  assert.equal(end, { type: 'end', counts: { jobs: 0, texts: 0, profiles: 0, nodes: 0, edges: 0 } });
});

test('leaves no trace of an erased person, and all of another', async () => {
  const job = await leaveTraces('canaryfinch', 'canaryfinch');
  await leaveTraces('neighbour', 'canarywren');
  const before = await traces('canaryfinch');
  assert.equal(before.tables, [
    'analyses',
    'facts',
    'graph_edges',
    'graph_nodes',
    'items',
    'jobs',
    'people',
    'profiles',
  ]);
  const other = await exportOf('neighbour');
  const receipt = await erase('canaryfinch');
  assert.equal([receipt.user_id, receipt.job_id, receipt.counts], [null, null, { jobs: 8, texts: 8 }]);
  assert.ok((await countKeys(redis, prefix)) > 0);
  assert.equal(await traces('canaryfinch'), nothing);
  const withoutTime = (lines: ExportLine[]) => lines.slice(1);
  assert.equal(withoutTime(await exportOf('neighbour')), withoutTime(other));
  assert.is((await send('GET', job.links.self)).status, 404);
  assert.is((await exportOf('canaryfinch')).length, 2);
  const again = {
    user_id: 'canaryfinch',
    custom_id: 'canaryfinch',
    kind: 'emotion',
    input: { text: 'canaryfinch' },
  };
  const repeated = await send('POST', '/v1/jobs', again, { 'idempotency-key': 'key of canaryfinch' });
  assert.is(repeated.status, 404);
  assert.equal((await traces('canaryfinch')).tables, []);
});

test('does not let a worker bring back what was erased in its hands', async () => {
  const texts = Array.from({ length: 40 }, (_, index) => `soma:fault:slow canaryowl ${index}`);
  const job = await submit({ kind: 'emotion', input: { texts }, user_id: 'canaryowl' });
  await until('the job to start', async () => {
    const seen = jobViewSchema.parse(await (await send('GET', job.links.self)).json());
    return seen.status === 'processing' ? true : undefined;
  });
  const waiting = send('GET', `${job.links.self}?wait=50`);
  await erase('canaryowl');
  assert.is((await waiting).status, 404);
  await until('the worker to be done with it', async () =>
    worker.warnings().some((line) => line.includes('results of lost attempts were dropped'))
      ? true
      : undefined,
  );
  await finish({ kind: 'emotion', input: { text: 'Something else' } });
  assert.equal(await traces('canaryowl'), nothing);
});

test('finishes an erasure whose API process died, of more jobs than one step takes', async () => {
  const person = { tenantId: defaultTenantId, userId: 'canarycrow' };
  const now = new Date();
  const jobs = Array.from({ length: 120 }, () => ({
    tenantId: person.tenantId,
    userId: person.userId,
    id: v7(),
    kind: 'emotion',
    class: 2,
    modelVersion: '1',
    modelDigest: '',
    status: 'scheduled' as const,
    customId: null,
    metadata: {},
    tags: [],
    options: {},
    storeInput: true,
    texts: ['canarycrow'],
    characterCount: 10,
    dispatchId: null,
    deadlineAt: null,
    idempotency: null,
    createdAt: now.toISOString(),
    notBefore: new Date(now.getTime() + 3_600_000).toISOString(),
    expiresAt: new Date(now.getTime() + 7_200_000).toISOString(),
  }));
  await insertJobs(system.owner, jobs);
  const id = await requestErasure(system.owner, person);
  const receipt = await completed(`/v1/erasures/era_${id}`);
  assert.equal(receipt.counts, { jobs: 120, texts: 120 });
  assert.equal(await traces('canarycrow'), nothing);
});

test('gives a receipt for nobody, and none for an id that is none', async () => {
  assert.equal((await erase('nobody')).counts, { jobs: 0, texts: 0 });
  for (const id of ['x', `era_${v7()}`]) {
    const missing = await send('GET', `/v1/erasures/${id}`);
    assert.is(missing.status, 404);
    assert.is(z.object({ code: z.string() }).parse(await missing.json()).code, 'erasure_not_found');
  }
  for (const path of ['/v1/users/u', '/v1/users/u/export', `/v1/erasures/era_${v7()}`])
    assert.is((await send('PUT', path, {})).status, 405);
});

test.run();
