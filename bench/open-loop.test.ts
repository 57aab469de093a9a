import { createServer, type Server } from 'node:http';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { buildRequest, createHttpClient } from './http-client.ts';
import { runOpenLoop, type Sample } from './open-loop.ts';
import type { Scenario } from './scenarios.ts';

const timing = { queue: 1, batch_wait: 2, tokenize: 3, inference: 4, persist: 5, total: 15 };
const view = (status: string) => JSON.stringify({ id: 'job_1', status, timing_ms: timing });

const scenario = (path: string, expects: readonly number[], twoSteps = false): Scenario => ({
  name: path,
  weight: 1,
  measures: 'result',
  asks: {},
  expects,
  twoSteps,
  request: () => buildRequest('GET', path),
});

/** Answers nothing until `stallMs` after the first request; then as the path says. */
async function startServer(stallMs: number): Promise<{ server: Server; url: string }> {
  let open: Promise<void> | undefined;
  const server = createServer((request, response) => {
    open ??= new Promise((resolve) => setTimeout(resolve, stallMs));
    void open.then(() => {
      const status = request.url === '/late' || request.url === '/accepted' ? 202 : 200;
      const body = view(request.url === '/failed' ? 'failed' : 'succeeded');
      response.writeHead(status, { 'content-length': Buffer.byteLength(body) }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { server, url: `http://127.0.0.1:${port}` };
}

async function runAgainst(
  stallMs: number,
  dues: readonly (readonly [number, Scenario])[],
): Promise<readonly Sample[]> {
  const { server, url } = await startServer(stallMs);
  const client = createHttpClient(url, { connectionsMax: 50, timeoutMs: 20_000 });
  const arrivals = dues.map(([dueMs, one]) => ({
    dueMs,
    scenario: one,
    request: one.request({
      userId: '',
      texts: { description: '', emotion: () => '', reasoning: () => '' },
      random: () => 0,
    }),
  }));
  const samples = await runOpenLoop(client, arrivals);
  client.close();
  server.close();
  return samples.toSorted((a, b) => a.dueMs - b.dueMs);
}

test('requests that come during a stall count their wait from when they were due', async () => {
  const dues = Array.from({ length: 10 }, (_, index) => [index * 50, scenario('/', [200])] as const);
  const samples = await runAgainst(1000, dues);
  // All wait for the same moment, so each waits 50 ms less than the one before it: none hides behind another.
  for (const { dueMs, doneMs } of samples) assert.ok(doneMs + dueMs >= 990, `${dueMs}: ${doneMs}`);
});

test('an answer without the result is an error, and so is a job that failed', async () => {
  const [late, failed, right] = await runAgainst(0, [
    [0, scenario('/late', [200])],
    [1, scenario('/failed', [200])],
    [2, scenario('/', [200])],
  ]);
  assert.is(late?.error, 'no result in time');
  assert.is(failed?.error, 'not succeeded in time');
  assert.is(right?.error, undefined);
  assert.equal(right?.timing, timing);
});

test('a submit of two steps has both latencies, and only it has', async () => {
  const [two, one] = await runAgainst(0, [
    [0, scenario('/accepted', [202], true)],
    [1, scenario('/', [200])],
  ]);
  assert.ok(two?.acceptMs !== undefined && two.acceptMs <= two.doneMs);
  assert.is(one?.acceptMs, undefined);
});

test('a connection that breaks is an error of the sample, not of the run', async () => {
  const client = createHttpClient('http://127.0.0.1:9', { connectionsMax: 1, timeoutMs: 1000 });
  const one = scenario('/', [200]);
  const [sample] = await runOpenLoop(client, [{ dueMs: 0, scenario: one, request: Buffer.from('x') }]);
  client.close();
  assert.match(sample?.error ?? '', /ECONNREFUSED/);
});

test.run();
