// OpenAI's own SDK against us, with nothing changed but its base URL.

import OpenAI, { toFile } from 'openai';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createLiveSystem, until } from '../scripts/live-system.ts';

const system = await createLiveSystem();
const [api] = await Promise.all([system.start('api'), system.start('dispatcher'), system.start('analysis')]);
test.after(() => system.close());

const client = new OpenAI({ baseURL: `${api.address}/openai/v1`, apiKey: 'none', maxRetries: 0 });

const lines = (url: string, model: string, count: number) =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      custom_id: `r-${index}`,
      method: 'POST',
      url,
      body: { model, input: `I am happy ${index}` },
    }),
  ).join('\n');

async function upload(content: string) {
  const file = await toFile(Buffer.from(content), 'requests.jsonl');
  return client.files.create({ file, purpose: 'batch' });
}

async function run(content: string, endpoint: '/v1/embeddings' | '/v1/moderations' | '/v1/responses') {
  const { id } = await upload(content);
  const batch = await client.batches.create({ input_file_id: id, endpoint, completion_window: '24h' });
  return until('the batch to end', async () => {
    const now = await client.batches.retrieve(batch.id);
    return ['completed', 'failed', 'expired', 'cancelled'].includes(now.status) ? now : undefined;
  });
}

const outputLine = z.object({
  id: z.string(),
  custom_id: z.string(),
  response: z.object({ status_code: z.literal(200), request_id: z.string(), body: z.looseObject({}) }),
  error: z.null(),
});

async function outputOf(id: string | null | undefined) {
  const content = await client.files.content(id ?? '');
  return (await content.text())
    .trimEnd()
    .split('\n')
    .map((line) => outputLine.parse(JSON.parse(line)));
}

test('uploads, lists, reads and deletes files', async () => {
  const content = lines('/v1/embeddings', 'embedding', 3);
  const file = await upload(content);
  assert.equal(
    [file.object, file.purpose, file.filename, file.bytes],
    ['file', 'batch', 'requests.jsonl', content.length],
  );
  assert.equal(await client.files.retrieve(file.id), file);
  assert.is(await (await client.files.content(file.id)).text(), content);
  const all = [];
  for await (const one of client.files.list({ limit: 1 })) all.push(one.id);
  assert.ok(all.includes(file.id));
  assert.equal(await client.files.delete(file.id), { id: file.id, object: 'file', deleted: true });
  const gone = await client.files.retrieve(file.id).catch((error: unknown) => error);
  assert.instance(gone, OpenAI.NotFoundError);
  const odd = await client.files
    .create({ file: await toFile(Buffer.from('x'), 'x'), purpose: 'fine-tune' })
    .catch((error: unknown) => error);
  assert.instance(odd, OpenAI.UnprocessableEntityError);
});

test('runs embeddings, and gives each in the form of the endpoint', async () => {
  const batch = await run(lines('/v1/embeddings', 'embedding', 100), '/v1/embeddings');
  assert.equal(
    [batch.status, batch.endpoint, batch.errors, batch.error_file_id],
    ['completed', '/v1/embeddings', null, null],
  );
  assert.equal(batch.request_counts, { total: 100, completed: 100, failed: 0 });
  const output = await outputOf(batch.output_file_id);
  assert.is(new Set(output.map(({ custom_id: id }) => id)).size, 100);
  const body = z.object({ data: z.array(z.object({ embedding: z.array(z.number()) })) });
  for (const { response } of output) assert.is(body.parse(response.body).data[0]?.embedding.length, 384);
  const about = await client.files.retrieve(batch.output_file_id ?? '');
  assert.is(about.purpose, 'batch_output');
});

test('runs emotions and reasoning at the endpoints that they stand at', async () => {
  const [emotion] = await outputOf(
    (await run(lines('/v1/moderations', 'emotion', 1), '/v1/moderations')).output_file_id,
  );
  assert.match(JSON.stringify(emotion?.response.body), '"primary_emotion":"joy"');
  const [reasoning] = await outputOf(
    (await run(lines('/v1/responses', 'reasoning', 1), '/v1/responses')).output_file_id,
  );
  assert.is(z.object({ object: z.string() }).parse(reasoning?.response.body).object, 'response');
});

test('fails a batch of which lines are bad, and names them', async () => {
  const good = lines('/v1/embeddings', 'embedding', 2);
  const batch = await run(
    `${good}\n{"custom_id":"r-9"}\n${lines('/v1/embeddings', 'gpt-4', 1)}`,
    '/v1/embeddings',
  );
  assert.equal([batch.status, batch.output_file_id], ['failed', null]);
  assert.equal([...new Set(batch.errors?.data?.map(({ line }) => line))], [3, 4]);
});

test('lists batches and cancels one', async () => {
  const { id } = await upload(lines('/v1/responses', 'reasoning', 1500));
  const asked = {
    input_file_id: id,
    endpoint: '/v1/responses',
    completion_window: '24h',
    metadata: { run: '7' },
  } as const;
  const batch = await client.batches.create(asked);
  assert.equal([batch.metadata, batch.completion_window], [{ run: '7' }, '24h']);
  const canceled = await client.batches.cancel(batch.id);
  assert.ok(['cancelling', 'cancelled'].includes(canceled.status));
  await until('the batch to be canceled', async () =>
    (await client.batches.retrieve(batch.id)).status === 'cancelled' ? true : undefined,
  );
  const all = [];
  for await (const one of client.batches.list({ limit: 2 })) all.push(one);
  assert.is(all[0]?.id, batch.id);
  assert.ok(all.length >= 5);
  const unknown = await client.batches.retrieve('batch_none').catch((error: unknown) => error);
  assert.instance(unknown, OpenAI.NotFoundError);
});

test('refuses a place in a list that is no id', async () => {
  for (const list of [client.batches.list({ after: 'x' }), client.files.list({ after: '' })]) {
    const refused = await list.then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.instance(refused, OpenAI.UnprocessableEntityError);
  }
});

test.run();
