// The ledger and the output after every kind of end: what was done is known, what was half done is taken back.

import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { openLedger } from './ledger.ts';
import { openFileSink, type Result } from './sink.ts';

const folder = mkdtempSync(join(tmpdir(), 'soma-ledger-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
const newPath = () => join(folder, `out-${++files}`);
const settings = { kind: 'emotion', chunk: 2 };
const done = (chunk: number, bytes: number) => ({
  done: chunk,
  rows: 2,
  failed: 0,
  digest: `d${chunk}`,
  output_bytes: bytes,
});

async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing was wrong',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

test('is begun once, and gone on with only when that is asked for', async () => {
  const path = newPath();
  const first = await openLedger({ path, resume: false, settings });
  await first.noteBatch(0, 'batch_0');
  await first.noteDone(done(0, 10));
  await first.noteBatch(1, 'batch_1');
  await first.close();
  assert.match(await failure(openLedger({ path, resume: false, settings })), /add --resume/);
  const second = await openLedger({ path, resume: true, settings });
  assert.is(second.runId, first.runId);
  assert.equal(second.done, [done(0, 10)]);
  assert.is(second.batchOf(1), 'batch_1');
  assert.is(second.ended, false);
  await second.noteEnd();
  await second.close();
  const third = await openLedger({ path, resume: true, settings });
  assert.is(third.ended, true);
  await third.close();
});

test('begins with resume where there is nothing to go on with', async () => {
  const ledger = await openLedger({ path: newPath(), resume: true, settings });
  assert.equal(ledger.done, []);
  await ledger.close();
});

test('takes back a line that a kill has cut anywhere', async () => {
  const path = newPath();
  const first = await openLedger({ path, resume: false, settings });
  await first.noteDone(done(0, 10));
  const whole = statSync(path).size;
  await first.noteDone(done(1, 20));
  await first.close();
  const lines = readFileSync(path);
  for (let size = whole; size < lines.length; size += 7) {
    writeFileSync(path, lines.subarray(0, size));
    const ledger = await openLedger({ path, resume: true, settings });
    assert.is(ledger.done.length, 1, `cut at ${size}`);
    await ledger.noteDone(done(1, 30));
    await ledger.close();
    const again = await openLedger({ path, resume: true, settings });
    assert.equal(again.done, [done(0, 10), done(1, 30)]);
    await again.close();
  }
  for (const size of [0, 5]) {
    truncateSync(path, size);
    const ledger = await openLedger({ path, resume: true, settings });
    assert.is(ledger.done.length, 0);
    assert.is.not(ledger.runId, first.runId);
    await ledger.close();
    writeFileSync(path, lines);
  }
});

test('refuses other settings, naming them, and what is no ledger', async () => {
  const path = newPath();
  await (await openLedger({ path, resume: false, settings })).close();
  const other = failure(openLedger({ path, resume: true, settings: { ...settings, chunk: 3 } }));
  assert.match(await other, /chunk was 2, is 3/);
  writeFileSync(path, '{"x":1}\n');
  assert.match(await failure(openLedger({ path, resume: true, settings })), /is no ledger/);
});

test('is one process’ alone, until that is dead', async () => {
  const path = newPath();
  writeFileSync(`${path}.lock`, String(process.ppid));
  assert.match(await failure(openLedger({ path, resume: false, settings })), /is working on this/);
  // Above the largest process id of Linux.
  writeFileSync(`${path}.lock`, '4194305');
  await (await openLedger({ path, resume: false, settings })).close();
});

const result = (row: number): Result => ({ row, id: `r${row}`, status: 'succeeded', output: { x: 'ä😀' } });

test('cuts from the output what the ledger does not know', async () => {
  const path = newPath();
  const sink = await openFileSink(path, 0, false);
  const bytes = await sink.add([result(1), result(2)]);
  assert.is(statSync(path).size, bytes);
  await sink.close();
  appendFileSync(path, '{"row":3,"id"');
  const again = await openFileSink(path, bytes, true);
  assert.is(statSync(path).size, bytes);
  await again.add([result(3)]);
  await again.close();
  const rows = readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.equal(rows, [result(1), result(2), result(3)]);
});

test('overwrites no file, and notices one that is too short', async () => {
  const path = newPath();
  writeFileSync(path, 'mine');
  assert.match(await failure(openFileSink(path, 0, false)), /is there already/);
  assert.match(await failure(openFileSink(path, 5, true)), /has 4 bytes, but the ledger knows of 5/);
  assert.is(readFileSync(path, 'utf8'), 'mine');
});

test.run();
