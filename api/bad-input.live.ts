// Everything that a client may send by mistake or on purpose gets a clear problem, and leaves nothing behind.

import { Agent, request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createLiveSystem } from '../scripts/live-system.ts';

const system = await createLiveSystem();
const api = await system.start('api');
test.after(() => system.close());

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
  retryable: z.boolean(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })).default([]),
});

type Body = string | Buffer;

const json = { 'content-type': 'application/json' };
const secret = 'SECRETWORD';

async function post(body: Body, headers: Record<string, string> = json): Promise<Response> {
  return fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(60_000),
  });
}

/** The problem that `response` carries, after checking what every problem must have. */
async function problemOf(response: Response): Promise<z.infer<typeof problemSchema>> {
  const text = await response.text();
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  assert.not.match(text, secret);
  assert.not.match(text, /\bat \S+ \(|node_modules|\.ts:\d/);
  const problem = problemSchema.parse(JSON.parse(text));
  assert.is(problem.status, response.status);
  assert.ok(response.status >= 400 && response.status < 500, `status ${response.status}`);
  assert.is(problem.request_id, response.headers.get('x-request-id'));
  assert.is(problem.retryable, false);
  assert.is(problem.type, `/docs/problems#${problem.code}`);
  return problem;
}

const emotion = (input: unknown, more: Record<string, unknown> = {}): string =>
  JSON.stringify({ kind: 'emotion', input, ...more });

const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
const valid = emotion({ text: 'Good' });

/** What is sent; the status and code of the answer; the JSON pointer and code of its first error. */
const invalid: readonly (readonly [name: string, body: string, pointer: string, code: string])[] = [
  ['no object', 'null', '', 'invalid_type'],
  ['a list', '[]', '', 'invalid_type'],
  ['no input', '{"kind":"emotion"}', '/input', 'required'],
  ['empty input', emotion({}), '/input', 'one_of'],
  ['both inputs', emotion({ text: 'a', texts: ['b'] }), '/input', 'one_of'],
  ['an empty text', emotion({ text: '' }), '/input/text', 'too_small'],
  ['a blank text', emotion({ text: ' \n\t' }), '/input/text', 'blank'],
  ['10,001 characters', emotion({ text: secret.padEnd(10_001, 'a') }), '/input/text', 'too_big'],
  ['10,001 emoji', emotion({ texts: ['a', '😀'.repeat(10_001)] }), '/input/texts/1', 'too_big'],
  ['no texts', emotion({ texts: [] }), '/input/texts', 'too_small'],
  ['101 items', emotion({ texts: Array.from({ length: 101 }, () => secret) }), '/input/texts', 'too_big'],
  ['NUL', emotion({ text: `${secret}\0` }), '/input/text', 'contains_nul'],
  [
    'half a pair',
    `{"kind":"emotion","input":{"text":"${secret} \\ud83d"}}`,
    '/input/text',
    'ill_formed_unicode',
  ],
  [
    'the other half',
    '{"kind":"emotion","input":{"texts":["a","\\ude00"]}}',
    '/input/texts/1',
    'ill_formed_unicode',
  ],
  ['a number for text', emotion({ text: 42 }), '/input/text', 'invalid_type'],
  ['null for text', emotion({ text: null }), '/input/text', 'invalid_type'],
  ['a number among texts', emotion({ texts: ['a', 7] }), '/input/texts/1', 'invalid_type'],
  ['a text for texts', emotion({ texts: secret }), '/input/texts', 'invalid_type'],
  ['an unknown field', emotion({ text: secret }, { colour: 'red' }), '/colour', 'unknown_field'],
  ['a field with / and ~', emotion({ text: 'a' }, { 'a/b~c': 1 }), '/a~1b~0c', 'unknown_field'],
  ['an unknown field inside', emotion({ text: 'a', lang: 'en' }), '/input/lang', 'unknown_field'],
  ['__proto__', `{"__proto__":{"a":1},"kind":"emotion","input":{"text":"a"}}`, '/__proto__', 'unknown_field'],
  ['__proto__ inside', `{"kind":"emotion","input":{"__proto__":1}}`, '/input/__proto__', 'unknown_field'],
  [
    'constructor',
    emotion({ text: 'a' }, { constructor: { prototype: {} } }),
    '/constructor',
    'unknown_field',
  ],
  ['an unknown kind', JSON.stringify({ kind: secret, input: { text: 'a' } }), '/kind', 'unknown_kind'],
  ['an inherited kind', JSON.stringify({ kind: 'toString', input: { text: 'a' } }), '/kind', 'unknown_kind'],
  ['an unknown model', emotion({ text: 'a' }, { model: 'emotion@1999.1.1' }), '/model', 'unknown_model'],
  ['a path as a model', emotion({ text: 'a' }, { model: 'emotion@../../x' }), '/model', 'unknown_model'],
  ['an unknown option', emotion({ text: 'a' }, { options: { depth: 3 } }), '/options/depth', 'unknown_field'],
  ['an unknown priority', emotion({ text: 'a' }, { priority: 'urgent' }), '/priority', 'invalid_value'],
  ['a long custom_id', emotion({ text: 'a' }, { custom_id: 'x'.repeat(65) }), '/custom_id', 'too_big'],
  ['NUL in a user', emotion({ text: 'a' }, { user_id: 'a\0' }), '/user_id', 'contains_nul'],
  ['NUL in a tag', emotion({ text: 'a' }, { tags: ['ok', 'a\0'] }), '/tags/1', 'contains_nul'],
  [
    'eleven tags',
    emotion({ text: 'a' }, { tags: Array.from({ length: 11 }, () => 't') }),
    '/tags',
    'too_big',
  ],
  ['a number in metadata', emotion({ text: 'a' }, { metadata: { a: 1 } }), '/metadata/a', 'invalid_type'],
  [
    'a past deadline',
    emotion({ text: 'a' }, { deadline_at: '2020-01-01T00:00:00Z' }),
    '/deadline_at',
    'in_the_past',
  ],
  [
    'a deadline before the start',
    emotion({ text: 'a' }, { not_before: '2100-01-02T00:00:00Z', deadline_at: '2100-01-01T00:00:00Z' }),
    '/deadline_at',
    'before_start',
  ],
  ['no time', emotion({ text: 'a' }, { not_before: 'tomorrow' }), '/not_before', 'invalid_format'],
  [
    '30 February',
    emotion({ text: 'a' }, { not_before: '2027-02-30T00:00:00Z' }),
    '/not_before',
    'invalid_format',
  ],
  ['a short retention', emotion({ text: 'a' }, { retention_seconds: 1 }), '/retention_seconds', 'too_small'],
];

for (const [name, body, pointer, code] of invalid) {
  test(`refuses ${name} with 422 at ${pointer === '' ? 'the root' : pointer}`, async () => {
    const problem = await problemOf(await post(body));
    assert.equal([problem.status, problem.code], [422, 'invalid_request']);
    assert.equal([problem.errors[0]?.pointer, problem.errors[0]?.code], [pointer, code]);
  });
}

test('names every fault of a body at once', async () => {
  const problem = await problemOf(
    await post(emotion({ texts: ['', 5, 'fine', 'a\0'] }, { colour: 1, tags: 'x' })),
  );
  assert.equal(problem.errors.map(({ pointer }) => pointer).toSorted(), [
    '/colour',
    '/input/texts/0',
    '/input/texts/1',
    '/input/texts/3',
    '/tags',
  ]);
});

test('refuses nesting that no request needs', async () => {
  const nested = `{"kind":"emotion","input":{"text":"a"},"options":${'{"a":'.repeat(30)}1${'}'.repeat(30)}}`;
  assert.is((await problemOf(await post(nested))).errors[0]?.code, 'too_deep');
  assert.ok([400, 422].includes((await problemOf(await post(deep))).status));
});

test('refuses what is not JSON, without repeating it', async () => {
  for (const body of [
    '{',
    secret,
    `{"kind": "emotion", "input": {"text": "${secret}"`,
    "{'kind':1}",
    '',
    '\u0000',
  ]) {
    const problem = await problemOf(await post(body));
    assert.equal([problem.status, problem.code], [400, 'malformed_json'], body);
  }
});

test('refuses bytes that are not UTF-8', async () => {
  for (const bytes of [
    [0xff],
    [0xc3, 0x28],
    [0xed, 0xa0, 0x80],
    [0xf8, 0x88, 0x80, 0x80, 0x80],
    [0xc0, 0x80],
  ]) {
    const body = Buffer.concat([
      Buffer.from('{"kind":"emotion","input":{"text":"'),
      Buffer.from(bytes),
      Buffer.from('"}}'),
    ]);
    const problem = await problemOf(await post(body));
    assert.equal([problem.status, problem.code], [400, 'invalid_encoding']);
  }
});

test('refuses other content types', async () => {
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const problem = await problemOf(await post(valid, { 'content-type': type }));
    assert.equal([problem.status, problem.code], [415, 'unsupported_media_type'], type);
  }
  const problem = await problemOf(await post(Buffer.from(valid), {}));
  assert.is(problem.code, 'unsupported_media_type');
});

test('accepts JSON under its other names', async () => {
  for (const type of ['application/json; charset=utf-8', 'application/vnd.soma+json', 'APPLICATION/JSON'])
    assert.is((await post(valid, { 'content-type': type })).status, 202, type);
});

test('refuses a body over 1 MiB and takes one just below', async () => {
  const over = await problemOf(await post(emotion({ text: 'a'.repeat(1_048_576) })));
  assert.equal([over.status, over.code], [413, 'payload_too_large']);
  const texts = Array.from({ length: 100 }, () => 'a'.repeat(10_000));
  assert.is((await post(emotion({ texts }))).status, 202);
});

test('refuses a chunked body over 1 MiB, whatever its length was said to be', async () => {
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const sending = request(`${api.address}/v1/jobs`, { method: 'POST', headers: json }, (response) => {
      response.resume();
      resolve(response.statusCode);
      sending.destroy();
    });
    sending.on('error', reject);
    const chunk = Buffer.alloc(65_536, 0x20);
    for (let sent = 0; sent <= 32; sent++) sending.write(chunk);
    sending.end();
  });
  assert.is(status, 413);
});

test('goes on with a connection after a chunked body that was too large', async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const chunk = Buffer.alloc(65_536, 0x20);
  const send = (chunks: number): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      let status: number | undefined;
      const options = { method: 'POST', headers: json, agent };
      const sending = request(`${api.address}/v1/jobs`, options, (response) => {
        status = response.statusCode;
        response.resume();
      });
      sending.on('error', reject).on('close', () => resolve(status));
      for (let sent = 0; sent < chunks; sent++) sending.write(chunk);
      sending.end();
    });
  // More than the sockets' buffers hold.
  assert.is(await send(320), 413);
  assert.is(await send(1), 400);
  agent.destroy();
});

test('refuses a gzip bomb unread', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1_048_576, 0x20));
  const problem = await problemOf(await post(bomb, { ...json, 'content-encoding': 'gzip' }));
  assert.equal([problem.status, problem.code], [415, 'unsupported_encoding']);
  for (const encoding of ['br', 'deflate', 'identity, gzip', 'x']) {
    const other = await problemOf(await post(valid, { ...json, 'content-encoding': encoding }));
    assert.is(other.code, 'unsupported_encoding', encoding);
  }
});

test('refuses an Idempotency-Key that is empty, too long or not printable', async () => {
  for (const key of ['', 'k'.repeat(256), 'kéy']) {
    const problem = await problemOf(await post(valid, { ...json, 'idempotency-key': key }));
    assert.equal([problem.status, problem.code], [400, 'invalid_header'], key);
  }
  assert.is((await post(valid, { ...json, 'idempotency-key': 'k'.repeat(255) })).status, 202);
});

test('takes every time that it says it takes', async () => {
  const times = [
    '0000-01-01T00:00:00Z',
    '2027-01-01T00:00:00+23:59',
    '9999-12-31T23:59:59.999999Z',
    '2027-01-01T00:00Z',
  ];
  for (const time of times) {
    const response = await post(emotion({ text: 'a' }, { not_before: time }));
    assert.ok([202, 422].includes(response.status), `${time}: ${response.status} ${await response.text()}`);
  }
});

test('answers 404 on unknown paths, in words', async () => {
  for (const path of [
    '/',
    '/v1',
    '/v1/jobsx',
    '/V1/jobs',
    '/v1/jobs/a/b',
    '/docs/assets/../../../package.json',
  ]) {
    const problem = await problemOf(await fetch(`${api.address}${path}`));
    assert.equal([problem.status, problem.code], [404, 'not_found'], path);
  }
  const broken = await problemOf(await fetch(`${api.address}/v1/jobs/%E0%A4%A`));
  assert.is(broken.status, 400);
});

test('answers 405 with the methods that are allowed', async () => {
  for (const [method, path, allow] of [
    ['PUT', '/v1/jobs', 'POST'],
    ['DELETE', '/v1/jobs', 'POST'],
    ['POST', '/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000', 'GET'],
    ['PATCH', '/v1/jobs/job_0199f2f0-0000-7000-8000-000000000000', 'GET'],
  ] as const) {
    const response = await fetch(`${api.address}${path}`, { method });
    assert.match(response.headers.get('allow') ?? '', allow);
    assert.is((await problemOf(response)).code, 'method_not_allowed', `${method} ${path}`);
  }
});

test('repeats a sound X-Request-Id and replaces another', async () => {
  const sound = await post('{', { ...json, 'x-request-id': 'mine-1.2:3' });
  assert.is((await problemOf(sound)).request_id, 'mine-1.2:3');
  const other = await post('{', { ...json, 'x-request-id': '<script>' });
  assert.match((await problemOf(other)).request_id, /^[\da-f-]{36}$/);
});

test('serves its document and its page from its own disk alone', async () => {
  const page = await (await fetch(`${api.address}/docs`)).text();
  const links = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link);
  assert.ok(links.length >= 4);
  for (const link of [...links, '/openapi.json', '/docs/problems']) {
    assert.ok(link.startsWith('/') && !link.startsWith('//'), link);
    const response = await fetch(`${api.address}${link}`);
    assert.is(response.status, 200, link);
    const text = await response.text();
    if (link.endsWith('.css')) assert.not.match(text, /url\(["']?https?:|@import/);
  }
  const policy = (await fetch(`${api.address}/docs`)).headers.get('content-security-policy') ?? '';
  assert.not.match(policy, 'http');
  assert.match(policy, "default-src 'self'");
});

test('leaves nothing of a refused request in the ledger', async () => {
  const { rows } = await system.owner.query(
    `SELECT count(*)::integer AS count FROM items WHERE text LIKE '%' || $1 || '%'`,
    [secret],
  );
  assert.equal(rows, [{ count: 0 }]);
  assert.is(Object.hasOwn(Object.prototype, 'a'), false);
  assert.is((await fetch(`${api.address}/health/ready`)).status, 200);
  assert.not.match(api.warnings().join('\n'), secret);
  assert.not.match(api.warnings().join('\n'), 'a request failed');
});

test.run();
