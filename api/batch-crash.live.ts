// Batches while processes are killed: nothing is lost, nothing runs twice, and of what was not accepted nothing runs.

import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { freePort } from '../scripts/free-port.ts';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { batchResultSchema, batchViewSchema } from './batch-view.ts';

const system = await createLiveSystem();
const port = String(await freePort());
let api = await system.start('api', { PORT: port });
let worker = await system.start('analysis');
let dispatcher = await system.start('dispatcher');
test.after(() => system.close());

const lines = (count: number) =>
  Array.from(
    { length: count },
    (_, index) => `{"custom_id":"c${index}","text":"I am happy ${index}"}\n`,
  ).join('');

function post(body: string, query: string, key: string): Promise<Response> {
  return fetch(`${api.address}/v1/batches?kind=emotion${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
    body,
  });
}

async function accepted(response: Response) {
  const body = await response.text();
  assert.is(response.status, 202, body);
  return batchViewSchema.parse(JSON.parse(body));
}

async function count(sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(*)::integer AS count ${sql}`,
    values,
  );
  return rows[0]?.count ?? -1;
}

/** As the ledger keeps a key. */
const hashOf = (key: string) => createHash('sha256').update(key).digest('hex');

/** Sends part of a batch and kills the API once `recorded` of its lines are in the ledger. */
async function killDuring(query: string, key: string, body: string, recorded: number): Promise<void> {
  const upload = httpRequest(`${api.address}/v1/batches?kind=emotion${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': key },
  });
  const gone = new Promise<void>((resolve) => {
    upload
      .on('error', () => resolve())
      .on('response', (response) => response.on('error', () => resolve()).resume());
  });
  upload.write(body);
  await until('some lines to be recorded', async () =>
    (await count('FROM batches WHERE idempotency_key = $1 AND line_count >= $2', [hashOf(key), recorded])) > 0
      ? true
      : undefined,
  );
  await api.kill();
  await gone;
  api = await system.start('api', { PORT: port });
}

async function assertOnce(id: string, total: number): Promise<void> {
  const ended = await until('the batch to end', async () => {
    const response = await fetch(`${api.address}/v1/batches/${id}?wait=30`);
    const batch = batchViewSchema.parse(await response.json());
    return batch.status === 'ended' ? batch : undefined;
  });
  assert.equal([ended.end_reason, ended.counts.succeeded], ['completed', total]);
  const body = await (await fetch(`${api.address}/v1/batches/${id}/results`)).text();
  const results = body
    .trimEnd()
    .split('\n')
    .map((line) => batchResultSchema.parse(JSON.parse(line)));
  assert.is(results.length, total);
  assert.is(new Set(results.map(({ custom_id: customId }) => customId)).size, total);
  const batch = [id.slice('batch_'.length)];
  assert.is(await count('FROM items i JOIN jobs j ON j.id = i.job_id WHERE j.batch_id = $1', batch), total);
  assert.is(
    await count('FROM analyses a JOIN jobs j ON j.id = a.job_id WHERE j.batch_id = $1', batch),
    total,
  );
}

test('goes on after a kill in the middle of the upload, without a line doubled, under either policy', async () => {
  const all = lines(1600);
  for (const policy of ['skip', 'reject']) {
    await killDuring(`&on_invalid=${policy}`, policy, all.slice(0, all.length * 0.8), 1024);
    const batch = await accepted(await post(all, `&on_invalid=${policy}`, policy));
    assert.is((await accepted(await post(all, `&on_invalid=${policy}`, policy))).id, batch.id);
    if (policy === 'skip') {
      await worker.kill();
      worker = await system.start('analysis');
    }
    await assertOnce(batch.id, 1600);
  }
});

test('runs nothing and keeps nothing of an upload that a kill cut off, with reject, if nobody comes again', async () => {
  await dispatcher.kill();
  const before = await count('FROM analyses');
  await killDuring('', 'never again', lines(1200), 1024);
  assert.ok((await count(`FROM jobs WHERE status = 'scheduled'`)) >= 16);
  dispatcher = await system.start('dispatcher', { UPLOAD_RESUME_MS: '1000' });
  await until('the sweep', async () =>
    (await count(`FROM batches WHERE on_invalid = 'reject' AND status <> 'ended'`)) === 0 &&
    (await count(`FROM jobs WHERE ended_at IS NULL`)) === 0
      ? true
      : undefined,
  );
  assert.is(await count('FROM analyses'), before);
  assert.is(await count('FROM batches WHERE idempotency_key = $1', [hashOf('never again')]), 0);
});

test('ends a batch of which the rest never came, with skip, and keeps its results', async () => {
  await killDuring('&on_invalid=skip', 'half', lines(1200), 1024);
  const ended = await until('the batch to end', async () => {
    const { rows } = await system.owner.query<{ id: string }>(
      `SELECT id FROM batches WHERE idempotency_key = $1 AND status = 'ended'`,
      [hashOf('half')],
    );
    return rows[0];
  });
  const response = await fetch(`${api.address}/v1/batches/batch_${ended.id}`);
  const batch = batchViewSchema.parse(await response.json());
  assert.equal([batch.end_reason, batch.error?.code], ['error', 'upload_incomplete']);
  assert.is(batch.counts.succeeded, batch.counts.total);
  assert.ok(batch.counts.total >= 1024);
});

test.run();
