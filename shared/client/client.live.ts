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
const request = { kind: 'emotion', input: { texts: ['What a lovely day!', 'I am so angry.'] } };

test('submits the same job under the same key', async () => {
  const idempotencyKey = 'client-live-1';
  const first = await soma.submit(request, { idempotencyKey });
  const second = await soma.submit(request, { idempotencyKey });
  assert.is(first.status, 'queued');
  assert.is(second.id, first.id);
  const other = await soma
    .submit({ ...request, kind: 'reasoning' }, { idempotencyKey })
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

test('streams every event once, over the end of the API and its return', async () => {
  const { id } = await soma.submit({ ...request, custom_id: 'streamed' });
  const types: string[] = [];
  let running = api;
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
