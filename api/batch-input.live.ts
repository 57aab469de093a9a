// What can be wrong with a batch, each with a clear answer, and what of it runs. No worker: nothing is meant to end.

import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createLiveSystem, until } from '../scripts/live-system.ts';
import { batchResultSchema, batchViewSchema, fileViewSchema } from './batch-view.ts';

const system = await createLiveSystem({ UPLOAD_IDLE_MS: '1000', BATCH_BYTES_MAX: '12000000' });
const [api] = await Promise.all([system.start('api'), system.start('dispatcher')]);
test.after(() => system.close());

const problemSchema = z.object({
  code: z.string(),
  detail: z.string(),
  invalid_lines: z.number().optional(),
  errors: z
    .array(z.object({ line: z.number().optional(), pointer: z.string(), code: z.string() }))
    .default([]),
});

function send(body: string | Buffer, query = '', headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${api.address}/v1/batches?kind=emotion${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson', ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
}

async function refused(response: Response, status: number): Promise<z.infer<typeof problemSchema>> {
  const body = await response.text();
  assert.is(response.status, status, body);
  assert.match(response.headers.get('content-type') ?? '', 'application/problem+json');
  return problemSchema.parse(JSON.parse(body));
}

async function accepted(response: Response) {
  const body = await response.text();
  assert.is(response.status, 202, body);
  return batchViewSchema.parse(JSON.parse(body));
}

async function look(id: string) {
  return batchViewSchema.parse(await (await fetch(`${api.address}/v1/batches/${id}`)).json());
}

async function count(table: string): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM ${table}`,
  );
  return rows[0]?.count ?? -1;
}

/** Until what was not accepted is forgotten; `batches` are those that were. */
async function untilTidy(batches: number): Promise<void> {
  await until('the sweep', async () => ((await count('batches')) === batches ? true : undefined));
}

test.before.each(async () => {
  await system.owner.query(
    'TRUNCATE batches, batch_lines, batch_parts, batch_events, files, file_chunks, jobs, items, job_events',
  );
});

const good = (index: number) => JSON.stringify({ custom_id: `c${index}`, text: `text ${index}` });

test('takes lines without a last line feed, with CRLF, with a byte order mark, and empty lines between', async () => {
  const bodies = [
    `${good(0)}\n${good(1)}`,
    `${good(0)}\r\n${good(1)}\r\n`,
    `\uFEFF${good(0)}\n${good(1)}\n`,
    `\n${good(0)}\n \r\n\n${good(1)}\n\n`,
  ];
  for (const body of bodies) assert.is((await accepted(await send(body))).counts.total, 2);
  const { rows } = await system.owner.query<{ text: string }>('SELECT DISTINCT text FROM items ORDER BY 1');
  assert.equal(
    rows.map((row) => row.text),
    ['text 0', 'text 1'],
  );
});

test('refuses a body without lines, under either policy', async () => {
  for (const body of ['', '\n', ' \r\n\n', '\uFEFF']) {
    for (const policy of ['reject', 'skip']) {
      const problem = await refused(await send(body, `&on_invalid=${policy}`), 422);
      assert.is(problem.errors[0]?.code, 'empty');
    }
  }
  await untilTidy(0);
});

test('refuses compressed lines, by their header or by their bytes', async () => {
  const zipped = gzipSync(`${good(0)}\n`);
  assert.is(
    (await refused(await send(zipped, '', { 'content-encoding': 'gzip' }), 415)).code,
    'unsupported_encoding',
  );
  for (const policy of ['reject', 'skip'])
    assert.is((await refused(await send(zipped, `&on_invalid=${policy}`), 415)).code, 'unsupported_encoding');
  assert.is(
    (await refused(await send(good(0), '', { 'content-type': 'text/csv' }), 415)).code,
    'unsupported_media_type',
  );
  await untilTidy(0);
});

/** Twelve ways in which a line can be bad, with the pointer and code that tell of it. */
const kinds: readonly (readonly [line: string | Buffer, pointer: string, code: string])[] = [
  ['[1, 2, 3]', '', 'invalid_type'],
  ['{"custom_id":"x1","text":', '', 'malformed_json'],
  ['{"text":"no label"}', '/custom_id', 'invalid_type'],
  ['{"custom_id":"x2"}', '/text', 'invalid_type'],
  ['{"custom_id":"x3","text":7}', '/text', 'invalid_type'],
  ['{"custom_id":"x4","text":"   "}', '/text', 'blank'],
  ['{"custom_id":"x5","text":"a","extra":1}', '/extra', 'unknown_field'],
  ['{"custom_id":"x6","text":"a\\u0000b"}', '/text', 'contains_nul'],
  ['{"custom_id":"x7","text":"\\ud800"}', '/text', 'ill_formed_unicode'],
  [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), '', 'invalid_encoding'],
  ['{"custom_id":"c0","text":"a label that another line has"}', '/custom_id', 'duplicate_custom_id'],
  [`{"custom_id":"x8","text":"${'a'.repeat(2_000_000)}"}`, '', 'line_too_long'],
];

/** 37 bad lines of 12 kinds among good ones; with the place of each. */
function makeBad() {
  const pieces: Buffer[] = [];
  const wanted: { line: number; pointer: string; code: string }[] = [];
  let line = 0;
  const push = (text: string | Buffer): void => {
    pieces.push(Buffer.from(text), Buffer.from('\n'));
    line += 1;
  };
  for (let bad = 0; bad < 37; bad++) {
    for (let index = 0; index < 3; index++) push(good(bad * 3 + index));
    const [text, pointer, code] = kinds[bad % kinds.length] ?? ['', '', ''];
    // A repeated label is a fault of its own; that of the kind is what counts.
    const own = typeof text === 'string' && bad >= kinds.length ? text.replace('"x', `"y${bad}-`) : text;
    push(own);
    wanted.push({ line, pointer, code });
  }
  return { body: Buffer.concat(pieces), wanted, lines: line };
}

test('names all 37 bad lines of 12 kinds with line and pointer, and runs nothing of the batch', async () => {
  const { body, wanted, lines } = makeBad();
  const problem = await refused(await send(body), 422);
  assert.is(problem.code, 'invalid_lines');
  assert.is(problem.invalid_lines, 37);
  assert.match(problem.detail, `37 of ${lines} lines`);
  assert.equal(problem.errors, wanted);
  assert.not.match(JSON.stringify(problem), /another line has|aaaa/);
  await untilTidy(0);
  assert.equal([await count('jobs'), await count('items'), await count('batch_lines')], [0, 0, 0]);
});

test('runs exactly the other lines with skip, and the 37 end as failed results', async () => {
  const { body, wanted, lines } = makeBad();
  const batch = await accepted(await send(body, '&on_invalid=skip'));
  assert.equal([batch.counts.total, batch.counts.failed, batch.counts.queued], [lines, 37, lines - 37]);
  assert.equal(
    batch.errors.map(({ line, pointer, code }) => ({ line, pointer, code })),
    wanted,
  );
  const { rows } = await system.owner.query<{ text: string }>(
    'SELECT text FROM items ORDER BY length(text), text',
  );
  assert.equal(
    rows.map((row) => row.text),
    Array.from({ length: lines - 37 }, (_, index) => `text ${index}`),
  );
  const gone = new AbortController();
  const stream = await fetch(`${api.address}${batch.links.results}`, { signal: gone.signal });
  let text = '';
  for await (const chunk of stream.body ?? []) {
    text += new TextDecoder().decode(chunk);
    if (text.split('\n').length > 37) break;
  }
  gone.abort();
  const results = text
    .split('\n')
    .slice(0, 37)
    .map((line) => batchResultSchema.parse(JSON.parse(line)));
  assert.equal(
    results.map(({ index, error }) => ({ line: index + 1, pointer: error?.pointer, code: error?.code })),
    wanted,
  );
});

test('tells where the bad items of a JSON body are', async () => {
  const items = [{ custom_id: 'a', text: 'fine' }, { custom_id: 'a', text: 'twice' }, 'nothing'];
  const response = await fetch(`${api.address}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'emotion', items }),
  });
  const problem = await refused(response, 422);
  assert.equal(problem.errors, [
    { line: 2, pointer: '/items/1/custom_id', code: 'duplicate_custom_id' },
    { line: 3, pointer: '/items/2', code: 'invalid_type' },
  ]);
  await untilTidy(0);
});

test('refuses options that are none, in the query and in the body', async () => {
  for (const [query, pointer] of [
    ['&priority=soon', '?/priority'],
    ['&metadata=[', '?/metadata'],
    ['&colour=red', '?/colour'],
    ['&deadline_at=2020-01-01T00:00:00Z', '?/deadline_at'],
    ['&model=emotion@0', '?/model'],
  ] as const)
    assert.is((await refused(await send(good(0), query), 422)).errors[0]?.pointer, pointer);
  const profile = await fetch(`${api.address}/v1/batches?kind=profile`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: good(0),
  });
  assert.is((await refused(profile, 422)).errors[0]?.code, 'unknown_kind');
});

/** Sends the head of an upload and some of its body, and cuts the connection once `cut` resolves, or stands still. */
function cutUpload(query: string, body: string, cut: Promise<unknown>, key: string): Promise<void> {
  const { port } = new URL(api.address);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', reject).on('close', () => resolve());
    socket.on('data', () => undefined);
    const head = `POST /v1/batches?kind=emotion${query} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: ${key}\r\n`;
    socket.write(`${head}Content-Type: application/x-ndjson\r\nContent-Length: 9999999\r\n\r\n${body}`);
    cut.then(() => socket.destroy(), reject);
  });
}

const untilLines = (lines: number) =>
  until(`${lines} lines`, async () => ((await count('batch_lines')) >= lines ? true : undefined));

const many = (lines: number) => Array.from({ length: lines }, (_, index) => `${good(index)}\n`).join('');

test('accepts nothing of an upload that breaks off or stands still, with reject', async () => {
  for (const cut of [untilLines(2048), new Promise(() => undefined)]) {
    await cutUpload('', many(2500), cut, 'reject');
    await untilTidy(0);
    assert.equal([await count('jobs'), await count('items'), await count('batch_lines')], [0, 0, 0]);
  }
});

test('keeps the lines of an upload that breaks off, with skip, for the client that comes again', async () => {
  await cutUpload('&on_invalid=skip', many(2500), untilLines(2048), 'cut');
  assert.is(await count('batches'), 1);
  const batch = await accepted(await send(many(3000), '&on_invalid=skip', { 'idempotency-key': 'cut' }));
  assert.is(batch.counts.total, 3000);
  const { rows } = await system.owner.query<{ texts: number }>(
    'SELECT count(DISTINCT text)::integer AS texts FROM items',
  );
  assert.equal([await count('items'), rows[0]?.texts], [3000, 3000]);
});

test('is cut short at the largest upload with skip, and refused with reject, as is one of too many lines', async () => {
  const large = `${good(0)}\n${`${' '.repeat(1000)}\n`.repeat(13_000)}`;
  const batch = await accepted(await send(large, '&on_invalid=skip'));
  assert.equal([batch.error?.code, batch.counts.total], ['payload_too_large', 1]);
  assert.is((await refused(await send(large), 413)).code, 'payload_too_large');
  const problem = await refused(await send('7\n'.repeat(100_001)), 413);
  assert.match(problem.detail, 'at most 100000 lines');
  await untilTidy(1);
});

async function upload(body: string | Buffer) {
  const response = await fetch(`${api.address}/v1/files?filename=mine.jsonl`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  });
  assert.is(response.status, 201);
  return fileViewSchema.parse(await response.json());
}

function sendFile(id: string, more: Record<string, unknown> = {}): Promise<Response> {
  return fetch(`${api.address}/v1/batches`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': `file ${id} ${JSON.stringify(more)}` },
    body: JSON.stringify({ kind: 'emotion', input_file_id: id, ...more }),
  });
}

const untilRead = (id: string) =>
  until('the file to be read', async () => {
    const batch = await look(id);
    return batch.input.complete ? batch : undefined;
  });

test('reads a batch from a file, and ends it as invalid with all 37 bad lines readable', async () => {
  const whole = await upload(many(2500));
  assert.equal([whole.filename, whole.lines, whole.bytes], ['mine.jsonl', 2500, many(2500).length]);
  assert.is(await (await fetch(`${api.address}${whole.links.content}`)).text(), many(2500));
  const batch = await accepted(await sendFile(whole.id));
  assert.equal([batch.status, batch.input_file_id], ['validating', whole.id]);
  const read = await untilRead(batch.id);
  assert.equal([read.status, read.counts.total, read.counts.queued], ['in_progress', 2500, 2500]);
  assert.is((await accepted(await sendFile(whole.id))).id, batch.id);
  assert.is((await fetch(`${api.address}${whole.links.self}`, { method: 'DELETE' })).status, 200);
  assert.is((await fetch(`${api.address}${whole.links.self}`)).status, 404);
  assert.is((await refused(await sendFile(whole.id, { priority: 'high' }), 404)).code, 'file_not_found');

  const { body, wanted, lines } = makeBad();
  const bad = await accepted(await sendFile((await upload(body)).id));
  const invalid = await untilRead(bad.id);
  assert.equal(
    [invalid.status, invalid.end_reason, invalid.error?.code],
    ['ended', 'invalid', 'invalid_lines'],
  );
  assert.equal(
    invalid.errors.map(({ line, pointer, code }) => ({ line, pointer, code })),
    wanted,
  );
  await until('what was laid out to go', async () => ((await count('items')) === 2500 ? true : undefined));
  const { counts } = await look(bad.id);
  assert.equal([counts.total, counts.failed, counts.canceled, counts.queued], [lines, 37, lines - 37, 0]);
  const skipped = await accepted(await sendFile((await upload(body)).id, { on_invalid: 'skip' }));
  assert.equal((await untilRead(skipped.id)).counts.queued, lines - 37);
});

test.run();
