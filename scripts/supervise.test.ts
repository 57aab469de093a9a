// A supervised process comes back after a death, is given up after too many quick ones, and stays down once stopped.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { supervise } from './supervise.ts';

function nodeProcess(code: string, onLine: (line: string) => void) {
  return { name: 'p.1', command: [process.execPath, '-e', code], deathSignal: 'KILL', onLine } as const;
}

test('starts a process again after a death, loudly, and gives it up after too many quick ones', async () => {
  const events: string[] = [];
  const lines: string[] = [];
  const supervised = supervise({
    process: nodeProcess('console.log("up"); process.exit(3)', (line) => lines.push(line)),
    onEvent: (event) => events.push(event),
    pauseMs: 1,
    quickDeathsMax: 3,
  });
  const error = await supervised.failed;
  assert.is(lines.length, 3);
  assert.is(events.length, 2);
  assert.match(events[0] ?? '', 'p.1 ended unexpectedly (exit code 3)');
  assert.match(error.message, 'p.1 died 3 times in a row');
});

test('does not count deaths after a long life', async () => {
  let starts = 0;
  let thirdStart: () => void;
  const reached = new Promise<void>((resolve) => {
    thirdStart = resolve;
  });
  const supervised = supervise({
    process: nodeProcess('console.log("up")', () => {
      starts++;
      if (starts === 3) thirdStart();
    }),
    onEvent: () => undefined,
    pauseMs: 1,
    quickMs: 0,
    quickDeathsMax: 1,
  });
  await reached;
  await supervised.stop(1000);
  assert.ok(starts >= 3);
});

test('lets a stopped process finish and does not start it again', async () => {
  const lines: string[] = [];
  const events: string[] = [];
  let up: () => void;
  const started = new Promise<void>((resolve) => {
    up = resolve;
  });
  const drain = 'process.on("SIGTERM", () => { console.log("drained"); process.exit(0) });';
  const supervised = supervise({
    process: nodeProcess(`${drain} setInterval(() => {}, 1000); console.log("up")`, (line) => {
      lines.push(line);
      up();
    }),
    onEvent: (event) => events.push(event),
  });
  await started;
  await supervised.stop(5000);
  assert.equal(lines, ['up', 'drained']);
  assert.equal(events, []);
});

test('kills a process that does not end in time', async () => {
  let up: () => void;
  const started = new Promise<void>((resolve) => {
    up = resolve;
  });
  const deaf = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000); console.log("up")';
  const supervised = supervise({ process: nodeProcess(deaf, () => up()), onEvent: () => undefined });
  await started;
  await supervised.stop(50);
});

test.run();
