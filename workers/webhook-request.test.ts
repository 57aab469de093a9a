// Every way in which a receiver can misbehave, by real sockets, each with its name; and no way to a private address.

import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createFaultyReceivers } from '../shared/faulty-receivers.ts';
import { privateHosts } from '../shared/private-hosts.ts';
import { createGuardedLookup, type TargetPolicy } from '../shared/public-address.ts';
import { type Answer, createConnections, sendAttempt } from './webhook-request.ts';

const open: TargetPolicy = { ports: [443], allowLoopback: true, production: false };
const receivers = createFaultyReceivers();
test.after(() => receivers.close());

const { listen } = receivers;
const answering = async (listener: RequestListener) => (await receivers.answering(listener)).port;

/** Everything in a tenth of the time that it has in service. */
const limits = { timeoutMs: 1500, connectMs: 500 };

async function attempt(url: string, policy = open): Promise<Answer> {
  const connections = createConnections(createGuardedLookup(policy), 1);
  try {
    return await sendAttempt({ url, headers: {}, body: Buffer.from('{}'), policy, connections, limits });
  } finally {
    connections.close();
  }
}

test('names what the receiver answered', async () => {
  const cases = {
    200: 'succeeded',
    204: 'succeeded',
    299: 'succeeded',
    301: 'redirect',
    302: 'redirect',
    307: 'redirect',
    400: 'http_error',
    404: 'http_error',
    410: 'gone',
    429: 'rate_limited',
    500: 'http_error',
    503: 'http_error',
  };
  for (const [status, outcome] of Object.entries(cases)) {
    const port = await answering((_, response) => {
      response.writeHead(Number(status), { 'retry-after': '7' }).end();
    });
    const answer = await attempt(`http://127.0.0.1:${port}/`);
    assert.equal([answer.outcome, answer.statusCode, answer.retryAfter], [outcome, Number(status), '7']);
  }
});

test('follows no redirect', async () => {
  let reached = 0;
  const canary = await answering((_, response) => {
    reached += 1;
    response.end();
  });
  for (const status of [301, 302, 303, 307, 308]) {
    const location = `http://127.0.0.1:${canary}/`;
    const port = await answering((_, response) => void response.writeHead(status, { location }).end());
    const answer = await attempt(`http://127.0.0.1:${port}/`);
    assert.equal([answer.outcome, answer.detail], ['redirect', `To ${location}`]);
  }
  assert.is(reached, 0);
});

test('asks no proxy', async () => {
  const port = await answering((request, response) => void response.writeHead(204).end(request.url));
  const answer = await attempt(`http://127.0.0.1:${port}/path?q=1`);
  assert.is(answer.outcome, 'succeeded');
});

test('reads 16 kB of an answer of 100 MB and cuts the rest off', async () => {
  const { port, sentBytes } = await receivers.flooding();
  const answer = await attempt(`http://127.0.0.1:${port}/`);
  assert.equal([answer.outcome, answer.statusCode, answer.excerpt], ['succeeded', 200, 'a'.repeat(1024)]);
  assert.ok(sentBytes() < 20_000_000, `${sentBytes()} bytes were taken`);
});

test('keeps of an answer what is text', async () => {
  const cases: readonly (readonly [string, Buffer, string | null])[] = [
    ['text/html; charset=utf-8', Buffer.from('<b>é</b>'), '<b>é</b>'],
    ['application/problem+json', Buffer.from('{"a":1}'), '{"a":1}'],
    ['application/octet-stream', Buffer.from('abc'), null],
    ['image/svg', Buffer.from('<svg/>'), null],
    ['text/plain', Buffer.from([0x61, 0, 0xff, 0x62]), 'a\u{fffd}\u{fffd}b'],
    ['text/plain', Buffer.alloc(0), null],
  ];
  for (const [type, body, excerpt] of cases) {
    const port = await answering((_, response) => {
      response.writeHead(500, { 'content-type': type }).end(body);
    });
    assert.is((await attempt(`http://127.0.0.1:${port}/`)).excerpt, excerpt, type);
  }
});

test('waits for a slow drip as long as it may, and no longer', async () => {
  const { port } = await receivers.dripping();
  const started = performance.now();
  const answer = await attempt(`http://127.0.0.1:${port}/`);
  assert.is(answer.outcome, 'timed_out');
  assert.ok(performance.now() - started < 10_000);
});

test('names connections that come to nothing', async () => {
  const { port: silent } = await receivers.silent();
  assert.is((await attempt(`http://127.0.0.1:${silent}/`)).outcome, 'timed_out');
  // Half open: TCP stands, TLS never comes.
  assert.is((await attempt(`https://127.0.0.1:${silent}/`)).outcome, 'connect_timed_out');
  const { port: resetting } = await receivers.resetting();
  assert.is((await attempt(`http://127.0.0.1:${resetting}/`)).outcome, 'connection_reset');
  const closing = await listen(createServer((socket) => socket.once('data', () => socket.destroy())));
  assert.is((await attempt(`http://127.0.0.1:${closing}/`)).outcome, 'connection_reset');
  const cutting = await answering((_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  assert.is((await attempt(`http://127.0.0.1:${cutting}/`)).outcome, 'connection_reset');
  const talking = await listen(createServer((socket) => void socket.end('220 smtp.example ESMTP\r\n')));
  assert.is((await attempt(`http://127.0.0.1:${talking}/`)).outcome, 'invalid_answer');
  const closed = await receivers.closed();
  assert.is((await attempt(`http://127.0.0.1:${closed}/`)).outcome, 'connection_refused');
  assert.is((await attempt('https://nothing.invalid/')).outcome, 'dns_failed');
});

test('names TLS that is not right', async () => {
  const plain = await answering((_, response) => void response.end());
  assert.is((await attempt(`https://127.0.0.1:${plain}/`)).outcome, 'tls_failed');
  const { port: selfSigned } = await receivers.selfSigned();
  const answer = await attempt(`https://localhost:${selfSigned}/`);
  assert.equal([answer.outcome, answer.detail], ['tls_failed', 'DEPTH_ZERO_SELF_SIGNED_CERT']);
});

test('keeps a connection for the next message, and tries a stale one once more', async () => {
  let connections = 0;
  let messages = 0;
  const server = createHttpServer((_, response) => {
    messages += 1;
    // The second message finds the connection gone without a word.
    if (messages === 2) return void response.socket?.resetAndDestroy();
    response.writeHead(204).end();
  });
  server.on('connection', () => (connections += 1));
  const url = `http://127.0.0.1:${await listen(server)}/`;
  const kept = createConnections(createGuardedLookup(open), 1);
  const again = () =>
    sendAttempt({ url, headers: {}, body: Buffer.from('{}'), policy: open, connections: kept, limits });
  assert.is((await again()).outcome, 'succeeded');
  assert.is((await again()).outcome, 'succeeded');
  assert.is((await again()).outcome, 'succeeded');
  assert.equal([connections, messages], [2, 4]);
  kept.close();
});

test('reaches a canary by no spelling of a private address', async () => {
  const { port, reached } = await receivers.canary();
  const policy: TargetPolicy = { ports: [port], allowLoopback: false, production: true };
  for (const host of privateHosts) {
    for (const scheme of ['http', 'https']) {
      const answer = await attempt(`${scheme}://${host}:${port}/`, policy);
      assert.is(answer.outcome, 'address_refused', host);
    }
  }
  assert.is(reached(), 0);
  await attempt(`http://127.0.0.1:${port}/`);
  assert.is(reached(), 1);
});

test.run();
