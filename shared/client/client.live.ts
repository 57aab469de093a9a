// The client against the running system: submit, wait, stream over a killed API, cancel, lists and problems.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLiveSystem } from '../../scripts/live-system.ts';
import { freePort } from '../../scripts/free-port.ts';
import { createClient } from './client.ts';
import { SomaError } from './soma-error.ts';

const system = await createLiveSystem();
const port = String(await freePort());
const [api] = await Promise.all([system.start('api', { PORT: port }), system.start('dispatcher')]);
test.after(() => system.close());
const soma = createClient({ url: api.address });
const input = { texts: ['What a lovely day!', 'I am so angry.'] };
const request = { kind: 'emotion' as const, input };

test('submits the same job under the same key', async () => {
  const idempotencyKey = 'client-live-1';
  const first = await soma.submit(request, { idempotencyKey });
  const second = await soma.submit(request, { idempotencyKey });
  assert.is(first.status, 'queued');
  assert.is(second.id, first.id);
  const other = await soma
    .submit({ kind: 'reasoning', input }, { idempotencyKey })
    .catch((error: unknown) => error);
  assert.ok(other instanceof SomaError && other.code === 'idempotency_key_reused');
});

test('gives up waiting when asked to, and cancels', async () => {
  const { id } = await soma.submit(request);
  const late = await soma.wait(id, { timeoutMs: 300 }).catch((error: unknown) => error);
  assert.ok(late instanceof SomaError && late.code === 'timed_out');
  assert.is((await soma.cancel(id)).status, 'canceled');
  assert.is((await soma.wait(id)).status, 'canceled');
});

let running = api;

test('streams every event once, over the end of the API and its return', async () => {
  const { id } = await soma.submit({ ...request, custom_id: 'streamed' });
  const types: string[] = [];
  for await (const { type } of soma.stream(id)) {
    types.push(type);
    if (type !== 'job.queued') continue;
    await running.kill();
    [running] = await Promise.all([system.start('api', { PORT: port }), system.start('analysis')]);
  }
  assert.equal(types, ['job.queued', 'job.started', 'job.succeeded']);
  const rest: number[] = [];
  for await (const { sequence } of soma.stream(id, { after: 1 })) rest.push(sequence);
  assert.equal(rest, [2, 3]);
});

test('waits for a result and finds its job in the list', async () => {
  const job = await soma.wait((await soma.submit({ ...request, custom_id: 'listed' })).id);
  assert.is(job.status, 'succeeded');
  assert.equal(
    job.result?.items.map(({ index, status }) => [index, status]),
    [
      [0, 'succeeded'],
      [1, 'succeeded'],
    ],
  );
  const page = await soma.call('GET /v1/jobs', { query: { custom_id: 'listed', limit: 5 } });
  assert.equal(
    page.data.map(({ id }) => id),
    [job.id],
  );
  const result = await soma.call('GET /v1/jobs/{id}/result', { path: { id: job.id } });
  assert.equal(result.items, job.result?.items);
  const waited = await soma.submit(request, { waitSeconds: 30 });
  assert.is(waited.status, 'succeeded');
});

const lines = Array.from({ length: 200 }, (_, index) => ({
  custom_id: `line ${index}`,
  text: index % 50 === 7 ? ' ' : `This is line ${index}, and I like it.`,
}));

test('streams a batch up and its results down, once, over the end of the API and its return', async () => {
  const options = { kind: 'emotion', on_invalid: 'skip', options: { include_all: false } } as const;
  const idempotencyKey = 'client-live-batch';
  const accepted: string[] = [];
  const batch = await soma.batch.submit(lines, options, {
    idempotencyKey,
    onAccepted: (id) => accepted.push(id),
  });
  const again = await soma.batch.submit(
    async function* () {
      for (const line of lines) yield JSON.stringify(line);
    },
    options,
    { idempotencyKey },
  );
  assert.is(again.id, batch.id);
  assert.equal(accepted, [batch.id]);
  const indexes: number[] = [];
  for await (const { index, status } of soma.batch.results(batch.id, { order: 'input' })) {
    indexes.push(index);
    assert.is(status, index % 50 === 7 ? 'failed' : 'succeeded');
    if (index !== 60) continue;
    await running.kill();
    running = await system.start('api', { PORT: port });
  }
  assert.equal(
    indexes,
    lines.map((_, index) => index),
  );
  const rest: number[] = [];
  for await (const { index } of soma.batch.results(batch.id, { order: 'input', after: 197 }))
    rest.push(index);
  assert.equal(rest, [198, 199]);
  const ended = await soma.batch.wait(batch.id);
  assert.is(ended.end_reason, 'completed');
  assert.is(ended.counts.failed, 4);
  const types: string[] = [];
  for await (const { type } of soma.batch.stream(batch.id)) types.push(type);
  assert.is(types.at(-1), 'batch.ended');
});

test('names every bad line of a batch that is refused, and cancels one', async () => {
  const refused = await soma.batch.submit(lines, { kind: 'emotion' }).catch((error: unknown) => error);
  assert.ok(refused instanceof SomaError && refused.code === 'invalid_lines');
  assert.equal(
    refused.errors.map(({ line, pointer }) => [line, pointer]),
    [8, 58, 108, 158].map((line) => [line, '/text']),
  );
  const good = lines.filter(({ text }) => text !== ' ');
  const batch = await soma.batch.submit(good, { kind: 'emotion' });
  await soma.batch.cancel(batch.id);
  const { counts } = await soma.batch.wait(batch.id);
  assert.is(counts.succeeded + counts.canceled, good.length);
});

test('throws the problem that the server answers with', async () => {
  const asked = soma.call('GET /v1/jobs/{id}', { path: { id: 'job_00000000-0000-7000-8000-000000000000' } });
  const error = await asked.catch((reason: unknown) => reason);
  assert.ok(error instanceof SomaError && error.code === 'job_not_found' && error.status === 404);
  const faulty = await soma
    .submit({ kind: 'emotion', input: { texts: ['fine', ''] } })
    .catch((reason: unknown) => reason);
  assert.ok(faulty instanceof SomaError);
  assert.equal(
    faulty.errors.map(({ pointer }) => pointer),
    ['/input/texts/1'],
  );
});

test.run();
