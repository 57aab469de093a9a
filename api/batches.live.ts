// Batches through the real processes: lines in by each way, results out in each order, the same batch twice.

import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { type BatchView, batchPageSchema, batchResultSchema, batchViewSchema } from './batch-view.ts';

const system = await createLiveSystem();
const [api, dispatcher] = await Promise.all([
  system.start('api'),
  system.start('dispatcher'),
  system.start('analysis'),
]);
test.after(() => system.close());

const url = (path: string) => api.address + path;
const lineOf = (index: number, more: Record<string, unknown> = {}) =>
  JSON.stringify({ custom_id: `line-${index}`, text: `Number ${index} makes me happy`, ...more });
const linesOf = (count: number) => Array.from({ length: count }, (_, index) => `${lineOf(index)}\n`).join('');

function send(body: string | Buffer, query: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url(`/v1/batches?${query}`), {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
}

async function accepted(response: Response): Promise<BatchView> {
  const body = await response.text();
  assert.is(response.status, 202, body);
  return batchViewSchema.parse(JSON.parse(body));
}

async function look(id: string, query = ''): Promise<BatchView> {
  return batchViewSchema.parse(await (await fetch(url(`/v1/batches/${id}${query}`))).json());
}

const untilEnded = (id: string) =>
  until(`${id} to end`, async () => {
    const batch = await look(id, '?wait=30');
    return batch.status === 'ended' ? batch : undefined;
  });

async function resultsOf(id: string, query = '') {
  const body = await (await fetch(url(`/v1/batches/${id}/results${query}`))).text();
  return body
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => batchResultSchema.parse(JSON.parse(line)));
}

async function count(sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(*)::integer AS count ${sql}`,
    values,
  );
  return rows[0]?.count ?? -1;
}

const uuidOf = (id: string) => id.slice(id.indexOf('_') + 1);
const jobsOf = (id: string) => count('FROM jobs WHERE batch_id = $1', [uuidOf(id)]);

test('runs the lines of a body, and gives each result once, in the order of completion or of the lines', async () => {
  const batch = await accepted(await send(linesOf(300), 'kind=emotion'));
  assert.equal([batch.priority, batch.counts.total, batch.input.complete], ['low', 300, true]);
  const streamed = await resultsOf(batch.id);
  const ended = await look(batch.id);
  assert.equal([ended.status, ended.end_reason], ['ended', 'completed']);
  assert.equal(ended.counts, {
    total: 300,
    queued: 0,
    processing: 0,
    succeeded: 300,
    failed: 0,
    canceled: 0,
    expired: 0,
  });
  const byInput = await resultsOf(batch.id, '?order=input');
  assert.equal(
    byInput.map(({ index, custom_id: customId }) => [index, customId]),
    Array.from({ length: 300 }, (_, index) => [index, `line-${index}`]),
  );
  assert.equal(
    streamed.toSorted((a, b) => a.index - b.index),
    byInput,
  );
  assert.ok(byInput.every(({ status, output }) => status === 'succeeded' && output !== undefined));
  assert.is(await jobsOf(batch.id), 5, '300 lines are five jobs of up to 64');
});

test('takes the lines of a JSON body, with people and labels of their own', async () => {
  const items = [
    { custom_id: 'a', text: 'I am glad', user_id: 'ada', metadata: { row: '1' } },
    { custom_id: 'b', text: 'I am sad', user_id: 'bob' },
    { custom_id: 'c', text: 'I am angry' },
    { custom_id: 'd', text: 'I am glad again', user_id: 'ada' },
  ];
  const response = await fetch(url('/v1/batches'), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      kind: 'emotion',
      items,
      user_id: 'cleo',
      metadata: { run: '7' },
      priority: 'high',
    }),
  });
  const batch = await accepted(response);
  assert.equal([batch.priority, batch.metadata], ['high', { run: '7' }]);
  await untilEnded(batch.id);
  const results = await resultsOf(batch.id, '?order=input');
  assert.equal(
    results.map(({ user_id: user, metadata }) => [user, metadata?.['row']]),
    [
      ['ada', '1'],
      ['bob', undefined],
      ['cleo', undefined],
      ['ada', undefined],
    ],
  );
  assert.is(results[0]?.job_id, results[3]?.job_id, 'the lines of one person share a job');
  assert.is(new Set(results.map(({ job_id: job }) => job)).size, 3);
  const history = await (await fetch(url('/v1/users/ada/emotions'))).json();
  assert.is(z.object({ data: z.array(z.unknown()) }).parse(history).data.length, 2);
});

test('goes on behind the result that a client has, after a dead connection', async () => {
  const batch = await accepted(await send(linesOf(400), 'kind=embedding'));
  for (const order of ['completion', 'input']) {
    const got: number[] = [];
    for (let cut = 0; got.length < 400; cut++) {
      const after = got.length === 0 ? '' : `&after=${got.at(-1)}`;
      const gone = new AbortController();
      const response = await fetch(url(`/v1/batches/${batch.id}/results?order=${order}${after}`), {
        signal: gone.signal,
      });
      let page = '';
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) {
        page += decoder.decode(chunk, { stream: true });
        if (cut < 5 && page.length > 150_000) break;
      }
      gone.abort();
      const whole = page.slice(0, page.lastIndexOf('\n') + 1).split('\n');
      got.push(...whole.filter(Boolean).map((line) => batchResultSchema.parse(JSON.parse(line)).index));
      assert.ok(cut < 50);
    }
    assert.is(new Set(got).size, 400, order);
    assert.is(got.length, 400, order);
  }
  const unknown = await fetch(url(`/v1/batches/${batch.id}/results?after=77777`));
  assert.is(unknown.status, 422);
});

/** A request whose body goes out as the test likes. */
function openUpload(query: string, headers: Record<string, string> = {}) {
  const upload = httpRequest(url(`/v1/batches?${query}`), {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', ...headers },
  });
  const answered = new Promise<{ status: number; location: string; body: Promise<string> }>(
    (resolve, reject) => {
      upload.on('response', (response) =>
        resolve({
          status: response.statusCode ?? 0,
          location: String(response.headers.location),
          body: text(response).catch(() => 'cut'),
        }),
      );
      upload.on('error', reject);
    },
  );
  answered.catch(() => undefined);
  return { upload, answered };
}

test('gives results of the first lines while the others still come, and ends with the last', async () => {
  const { upload, answered } = openUpload('kind=emotion&on_invalid=skip');
  upload.write(`${lineOf(0)}\n{"custom_id":"bad"}\n${lineOf(2)}\n`);
  const { status, location, body } = await answered;
  assert.is(status, 202);
  const stream = await fetch(url(`${location}/results`));
  const reader = stream.body?.getReader();
  let early = '';
  while ((early.match(/"index"/g) ?? []).length < 3) {
    const { value } = (await reader?.read()) ?? {};
    early += new TextDecoder().decode(value);
  }
  const now = await look(location.slice('/v1/batches/'.length));
  assert.equal(
    [now.status, now.input.complete, now.input.lines, now.input.invalid_lines],
    ['in_progress', false, 3, 1],
  );
  upload.end(lineOf(3));
  assert.is(batchViewSchema.parse(JSON.parse(await body)).input.complete, true);
  await reader?.cancel();
  const ended = await untilEnded(now.id);
  assert.equal([ended.counts.succeeded, ended.counts.failed, ended.end_reason], [3, 1, 'completed']);
  const results = await resultsOf(now.id, '?order=input');
  assert.equal(
    results.map((result) => result.status),
    ['succeeded', 'failed', 'succeeded', 'succeeded'],
  );
  assert.equal(
    [results[1]?.custom_id, results[1]?.error?.pointer, results[1]?.job_id],
    ['bad', '/text', null],
  );
});

test('records a batch once that is sent twice with one key, and refuses another under it', async () => {
  const key = { 'idempotency-key': 'twice' };
  const first = await accepted(await send(linesOf(1200), 'kind=emotion', key));
  const again = await send(linesOf(1200), 'kind=emotion', key);
  assert.is(again.headers.get('idempotent-replayed'), 'true');
  assert.is((await accepted(again)).id, first.id);
  assert.is(await jobsOf(first.id), 19);
  for (const [body, query] of [
    [linesOf(1199), 'kind=emotion'],
    [`${linesOf(1200)}${lineOf(1200)}`, 'kind=emotion'],
    [linesOf(1200).replace('happy', 'happx'), 'kind=emotion'],
    [linesOf(1200), 'kind=emotion&priority=high'],
  ] as const) {
    const other = await send(body, query, key);
    assert.is(other.status, 422);
    assert.match(await other.text(), /idempotency_key_reused/);
  }
  await untilEnded(first.id);
  assert.is(
    await count('FROM analyses a JOIN jobs j ON j.id = a.job_id WHERE j.batch_id = $1', [uuidOf(first.id)]),
    1200,
  );
});

test('goes on with an upload that broke off, and lets the newest of two have the batch', async () => {
  const key = { 'idempotency-key': 'resumed' };
  const all = linesOf(2200);
  const half = openUpload('kind=emotion&on_invalid=skip', key);
  half.upload.write(all.slice(0, all.length / 2));
  const { location } = await half.answered;
  const id = location.slice('/v1/batches/'.length);
  const rest = openUpload('kind=emotion&on_invalid=skip', key);
  rest.upload.write(all.slice(0, all.length - 100));
  await until('the newer upload to be ahead', async () =>
    (await look(id)).input.lines > 2000 ? true : undefined,
  );
  half.upload.end(all.slice(all.length / 2));
  const { body } = await half.answered;
  assert.is(await body, 'cut');
  rest.upload.end(all.slice(all.length - 100));
  assert.is((await rest.answered).location, location);
  const ended = await untilEnded(id);
  assert.is(ended.counts.succeeded, 2200);
  const results = await resultsOf(id);
  assert.is(new Set(results.map(({ custom_id: customId }) => customId)).size, 2200);
  assert.is(results.length, 2200);
});

test('keeps what is done of a canceled batch, and says of every other line that it was canceled', async () => {
  const batch = await accepted(await send(linesOf(1500), 'kind=reasoning'));
  await until('some results', async () => ((await look(batch.id)).counts.succeeded > 0 ? true : undefined));
  const canceled = await fetch(url(`/v1/batches/${batch.id}/cancel`), { method: 'POST' });
  assert.is(canceled.status, 202);
  const ended = await untilEnded(batch.id);
  assert.is(ended.end_reason, 'canceled');
  assert.ok(ended.counts.succeeded > 0 && ended.counts.canceled > 0);
  const results = await resultsOf(batch.id);
  assert.is(results.length, 1500);
  assert.is(results.filter(({ output }) => output !== undefined).length, ended.counts.succeeded);
  assert.is(results.filter(({ status }) => status === 'canceled').length, ended.counts.canceled);
  assert.is((await fetch(url(`/v1/batches/${batch.id}/cancel`), { method: 'POST' })).status, 200);
});

test('keeps what is done of a batch that passes its deadline', async () => {
  const deadline = new Date(Date.now() + 1000).toISOString();
  const batch = await accepted(await send(linesOf(2000), `kind=reasoning&deadline_at=${deadline}`));
  const ended = await untilEnded(batch.id);
  assert.is(ended.end_reason, 'expired');
  assert.is(ended.counts.succeeded + ended.counts.expired, 2000);
  assert.is((await resultsOf(batch.id)).length, 2000);
});

test('tells its progress as events, which resume', async () => {
  const batch = await accepted(await send(linesOf(500), 'kind=emotion'));
  const events = await (await fetch(url(batch.links.events))).text();
  const types = [...events.matchAll(/^event: (.+)$/gm)].map(([, type]) => type);
  assert.equal([types[0], types[1], types.at(-1)], ['batch.validating', 'batch.in_progress', 'batch.ended']);
  assert.ok(types.slice(2, -1).every((type) => type === 'batch.progress'));
  assert.match(events, /"counts":\{[^}]*"succeeded":500/);
  const rest = await (await fetch(`${url(batch.links.events)}?after=1`)).text();
  assert.match(rest, /^retry: 1000\n\nid: 2\n/);
  const over = await fetch(`${url(batch.links.events)}?after=${types.length}`);
  assert.is(over.status, 204);
});

test('lists batches, newest first', async () => {
  const read = async (query: string) =>
    batchPageSchema.parse(await (await fetch(url(`/v1/batches?${query}`))).json());
  const first = await read('limit=3');
  assert.equal([first.data.length, first.has_more], [3, true]);
  const second = await read(`limit=3&after=${first.last_id}`);
  assert.equal((await read(`limit=3&before=${second.first_id}`)).data, first.data);
  assert.ok((await read('status=ended&kind=reasoning')).data.every(({ kind }) => kind === 'reasoning'));
});

test('shows how many batches are open, and how many lines came and ended', async () => {
  const pages = { api: url('/metrics'), dispatcher: `${dispatcher.address}/metrics` };
  const figure = async (at: keyof typeof pages, name: string): Promise<number> => {
    const page = await (await fetch(pages[at])).text();
    return Number(
      page
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.slice(name.length) ?? 0,
    );
  };
  const valid = 'soma_batch_lines_accepted_total{kind="emotion",valid="yes"}';
  const invalid = 'soma_batch_lines_accepted_total{kind="emotion",valid="no"}';
  const ended = 'soma_batch_lines_ended_total{outcome="succeeded"}';
  const before = [
    await figure('api', valid),
    await figure('api', invalid),
    await figure('dispatcher', ended),
  ];
  const batch = await accepted(await send(`${linesOf(70)}nonsense\n`, 'kind=emotion&on_invalid=skip'));
  await untilEnded(batch.id);
  const after = [await figure('api', valid), await figure('api', invalid), await figure('dispatcher', ended)];
  assert.equal(
    after.map((value, index) => value - (before[index] ?? 0)),
    [70, 1, 70],
  );
  await system.owner.query(
    `INSERT INTO batches SELECT (jsonb_populate_record(b, jsonb_build_object('id', $2::text, 'sealed', false,
      'status', 'validating', 'touched_at', now(), 'created_at', now() - interval '100 seconds'))).* FROM batches b WHERE id = $1`,
    [uuidOf(batch.id), v7()],
  );
  await until('the gauges of an open batch', async () =>
    (await figure('dispatcher', 'soma_batches_open{status="validating"}')) === 1 ? true : undefined,
  );
  assert.ok((await figure('dispatcher', 'soma_batches_oldest_age_seconds')) >= 100);
});

test('erases a batch with its jobs, lines and events, also while it runs', async () => {
  const canary = linesOf(1500).replaceAll('happy', 'canarywren');
  const batch = await accepted(await send(canary, 'kind=emotion&user_id=erased'));
  await delay(300);
  assert.is((await fetch(url(`/v1/batches/${batch.id}`), { method: 'DELETE' })).status, 202);
  for (const path of ['', '/results', '/events'])
    assert.is((await fetch(url(`/v1/batches/${batch.id}${path}`))).status, 404);
  assert.is((await fetch(url(`/v1/batches/${batch.id}`), { method: 'DELETE' })).status, 404);
  await until('the sweep', async () =>
    (await count('FROM batches WHERE id = $1', [uuidOf(batch.id)])) === 0 ? true : undefined,
  );
  assert.is(await jobsOf(batch.id), 0);
  for (const table of ['batch_lines', 'batch_parts', 'batch_events'])
    assert.is(await count(`FROM ${table} WHERE batch_id = $1`, [uuidOf(batch.id)]), 0, table);
  assert.is(await count(`FROM items WHERE text LIKE '%canarywren%'`), 0);
  assert.is(await count(`FROM facts WHERE user_id = 'erased'`), 0);
});

test('counts a job that is erased on its own, and leaves its lines out of the results', async () => {
  const batch = await accepted(await send(linesOf(200), 'kind=emotion'));
  const [first] = await resultsOf(batch.id);
  const gone = await fetch(url(`/v1/jobs/${first?.job_id}`), { method: 'DELETE' });
  assert.is(gone.status, 202);
  const results = await resultsOf(batch.id);
  assert.ok(results.length < 200 && results.every(({ job_id: job }) => job !== first?.job_id));
  assert.is((await look(batch.id)).counts.succeeded, 200);
});

test.run();
