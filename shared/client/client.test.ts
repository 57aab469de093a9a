// The client against servers that misbehave: what is repeated, how slowly, what is not, and what the caller is told.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createClient, type SomaClient } from './client.ts';
import { answerFields } from './contract.ts';
import { readLines } from './event-stream.ts';
import { readRetryAfter, SomaError } from './soma-error.ts';
import { backoff } from './transport.ts';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly atMs: number;
}

type Answer = (response: ServerResponse) => void;

/** Runs `use` with a client of a server that gives `answers` in turn, the last one again and again. */
async function withServer(
  answers: readonly Answer[],
  use: (client: SomaClient, seen: readonly Seen[]) => Promise<void>,
  options: { readonly timeoutMs?: number; readonly retries?: number; readonly apiKey?: string } = {},
): Promise<void> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const { method, url, headers } = request;
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push({ method, url, headers, atMs: performance.now() });
    request.resume().once('end', () => answer?.(response));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  try {
    await use(createClient({ url: `http://127.0.0.1:${port}/`, ...options }), seen);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
const cut: Answer = (response) => response.destroy();
const problem = (status: number, code: string, retryable: boolean, headers?: Record<string, string>) =>
  json(status, { code, detail: `it is ${code}`, retryable, request_id: 'r1', errors: [] }, headers);
const health = json(200, { status: 'ok' });

async function failure(promise: Promise<unknown>): Promise<SomaError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SomaError) return error;
  throw new Error(`no SomaError but ${String(error)}`);
}

test('repeats a read over cuts and faults of the server', async () => {
  const answers = [cut, problem(503, 'ledger_unavailable', true), json(502, 'a proxy'), health];
  await withServer(answers, async (client, seen) => {
    assert.equal(await client.call('GET /health/live', {}), { status: 'ok' });
    assert.is(seen.length, 4);
  });
});

test('waits as long as Retry-After asks', async () => {
  const answers = [problem(429, 'rate_limited', true, { 'retry-after': '1' }), health];
  await withServer(answers, async (client, seen) => {
    await client.call('GET /health/live', {});
    assert.ok(Number(seen[1]?.atMs) - Number(seen[0]?.atMs) >= 990);
  });
});

test('leaves a longer wait to the caller', async () => {
  await withServer(
    [problem(429, 'quota_exceeded', true, { 'retry-after': '3600' })],
    async (client, seen) => {
      const error = await failure(client.call('GET /health/live', {}));
      assert.is(error.code, 'quota_exceeded');
      assert.is(error.retryAfterMs, 3_600_000);
      assert.is(seen.length, 1);
    },
  );
});

test('submits again under the same key, which it makes if it is given none', async () => {
  const job = Object.fromEntries(answerFields['POST /v1/jobs'].map((name) => [name, null]));
  await withServer(
    [cut, json(202, job)],
    async (client, seen) => {
      await client.submit({ kind: 'emotion', input: { text: 'hello' } });
      assert.is(seen.length, 2);
      const [first, second] = seen.map(({ headers }) => headers['idempotency-key']);
      assert.match(String(first), /^[\w-]{36}$/);
      assert.is(first, second);
      assert.is(seen[0]?.headers.authorization, 'Bearer soma_live_x');
    },
    { apiKey: 'soma_live_x' },
  );
});

test('gives lines as the text that they are', async () => {
  const lines = '{"custom_id":"1","text":"a"}\n{"custom_id":"2","text":"b"}\n';
  const file: Answer = (response) =>
    response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(lines);
  await withServer([file], async (client) => {
    assert.is(await client.call('GET /v1/files/{id}/content', { path: { id: 'file_x' } }), lines);
  });
});

test('does not repeat what might be done twice', async () => {
  const whatIf = (client: SomaClient) =>
    client.call('POST /v1/users/{user_id}/graph/what-if', {
      path: { user_id: 'a/b' },
      body: { node: 'x', change: 1 },
    });
  await withServer([cut], async (client, seen) => {
    assert.is((await failure(whatIf(client))).code, 'connection_failed');
    assert.is(seen.length, 1);
    assert.is(seen[0]?.url, '/v1/users/a%2Fb/graph/what-if');
  });
});

test('tells of a refusal what the server told, once', async () => {
  const fault = { pointer: '/input/text', code: 'blank', detail: 'Has nothing but white space' };
  const body = { code: 'invalid_request', detail: 'no', retryable: false, request_id: 'r7', errors: [fault] };
  await withServer([json(422, body)], async (client, seen) => {
    const error = await failure(client.submit({ kind: 'emotion', input: { text: ' ' } }));
    assert.equal(
      { code: error.code, status: error.status, id: error.requestId, errors: error.errors },
      { code: 'invalid_request', status: 422, id: 'r7', errors: [fault] },
    );
    assert.is(seen.length, 1);
  });
});

test('says so when what answers is no Soma', async () => {
  const page: Answer = (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>');
  await withServer([page], async (client) => {
    assert.is((await failure(client.call('GET /v1/jobs', {}))).code, 'unexpected_answer');
  });
  await withServer([json(404, { error: 'not here' })], async (client) => {
    assert.match(
      (await failure(client.call('GET /v1/jobs', {}))).message,
      /is this the address of a Soma API/,
    );
  });
});

test('gives up on an answer that does not come, and on a server that is not there', async () => {
  const limits = { timeoutMs: 100, retries: 1 };
  await withServer(
    [() => undefined],
    async (client, seen) => {
      assert.is((await failure(client.call('GET /health/live', {}))).code, 'timed_out');
      assert.is(seen.length, 2);
    },
    limits,
  );
  const error = await failure(
    createClient({ url: 'http://127.0.0.1:9', ...limits }).call('GET /health/live', {}),
  );
  assert.is(error.code, 'connection_failed');
  assert.match(error.message, /127\.0\.0\.1:9 cannot be reached/);
});

test('stops at once when it is aborted, also between tries', async () => {
  await withServer([cut], async (client, seen) => {
    const reason = new Error('enough');
    const stop = new AbortController();
    const call = client.call('GET /health/live', {}, { signal: stop.signal });
    setTimeout(() => stop.abort(reason), 50);
    const caught = await call.catch((error: unknown) => error);
    assert.is(caught, reason);
    assert.ok(seen.length <= 2);
  });
});

const message = (sequence: number, type: string) =>
  `id: ${sequence}\nevent: ${type}\ndata: ${JSON.stringify({ type, sequence, at: 'now', data: {} })}\n\n`;

test('follows events over cuts, each once, and ends after the last', async () => {
  const part =
    (text: string, whole: boolean): Answer =>
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(text, () => (whole ? response.end() : setTimeout(() => response.destroy(), 20)));
    };
  const answers = [
    part(`retry: 1000\n\n${message(1, 'job.queued')}: there\n\nid: 2\nevent: job.sta`, false),
    problem(503, 'ledger_unavailable', true),
    part(message(1, 'job.queued') + message(2, 'job.started'), true),
    part(message(3, 'job.succeeded'), false),
  ];
  await withServer(answers, async (client, seen) => {
    const sequences: number[] = [];
    for await (const event of client.stream('job_1')) sequences.push(event.sequence);
    assert.equal(sequences, [1, 2, 3]);
    assert.equal(
      seen.map(({ headers }) => headers['last-event-id']),
      [undefined, '1', '1', '2'],
    );
  });
});

test('reads lines that are cut anywhere, even within a character', async () => {
  const bytes = Buffer.from('one\r\nzwölf 😀\n\nrest');
  for (let size = 1; size < 6; size++) {
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.subarray(at, at + size));
        controller.close();
      },
    });
    const lines: string[] = [];
    for await (const line of readLines(stream, 'kept')) lines.push(line);
    assert.equal(lines, ['one', 'zwölf 😀', '', 'rest'], `in pieces of ${size}`);
  }
});

test('reads Retry-After as seconds and as a date, and doubles its own waits up to a limit', () => {
  assert.is(readRetryAfter('7', 0), 7000);
  assert.is(readRetryAfter('Thu, 01 Jan 1970 00:00:10 GMT', 4000), 6000);
  assert.is(readRetryAfter('soon', 0), undefined);
  assert.is(readRetryAfter(null, 0), undefined);
  assert.equal(
    [0, 1, 2, 9].map((attempt) => backoff(attempt, 0.5)),
    [187.5, 375, 750, 7500],
  );
});

test.run();
