// A backfill from each source into each place, against the running system; kills are in bench/faults/backfill.live.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { childEnv, packageRoot } from '../shared/config.ts';
import { createLiveSystem } from './live-system.ts';

const system = await createLiveSystem();
const [api] = await Promise.all([system.start('api'), system.start('dispatcher'), system.start('analysis')]);
const folder = mkdtempSync(join(tmpdir(), 'soma-backfill-'));
test.after(async () => {
  await system.close();
  rmSync(folder, { recursive: true, force: true });
});

function backfill(args: readonly string[], input = ''): { code: number | null; out: string; err: string } {
  const run = spawnSync(process.execPath, [join(packageRoot, 'dist/scripts/backfill.js'), ...args], {
    cwd: folder,
    env: childEnv({ ...system.env, SOMA_URL: api.address }),
    encoding: 'utf8',
    input,
    timeout: 60_000,
  });
  return { code: run.status, out: run.stdout.trim(), err: run.stderr.trim() };
}

const resultSchema = z.object({
  row: z.number(),
  id: z.string(),
  status: z.string(),
  output: z.object({ primary_emotion: z.string() }).optional(),
  error: z.object({ code: z.string() }).optional(),
});
const readResults = (name: string) =>
  readFileSync(join(folder, name), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => resultSchema.parse(JSON.parse(line)));

test('gives each row of standard input its result, in order, also the rows that cannot run', () => {
  const lines = ['{"id":"a","text":"I love it!"}', 'no json', '{"id":"c","text":" "}', '"I hate it!"'];
  const run = backfill(['-', '--output', 'stdin.jsonl', '--chunk', '3', '--json'], lines.join('\n'));
  assert.is(run.code, 0, run.err);
  const totals = z.object({ rows: z.number(), failed: z.number() }).parse(JSON.parse(run.out));
  assert.equal(totals, { rows: 4, failed: 2 });
  assert.match(run.err, /backfill: done, 4 rows, 2 of them failed/);
  assert.equal(
    readResults('stdin.jsonl').map(({ row, id, output, error }) => [
      row,
      id,
      output?.primary_emotion ?? error?.code,
    ]),
    [
      [1, 'a', 'love'],
      [2, '2', 'invalid_row'],
      [3, 'c', 'blank'],
      [4, '4', 'anger'],
    ],
  );
});

test('goes on where it was, and notices another input and other settings', () => {
  const rows = Array.from({ length: 20 }, (_, index) => `{"text":"This is row ${index}."}\n`);
  writeFileSync(join(folder, 'in.jsonl'), rows.join(''));
  const args = ['in.jsonl', '-o', 'out.jsonl', '--chunk', '5'];
  assert.is(backfill(args).code, 0);
  const whole = readFileSync(join(folder, 'out.jsonl'), 'utf8');
  assert.match(backfill(args).err, /add --resume/);
  // As after a kill in the middle of the third chunk: two are done, some of its lines are written.
  const ledger = readFileSync(join(folder, 'out.jsonl.ledger'), 'utf8').split('\n');
  const second = ledger.findIndex((line) => line.startsWith('{"done":1'));
  writeFileSync(join(folder, 'out.jsonl.ledger'), `${ledger.slice(0, second + 1).join('\n')}\n{"do`);
  const jobsBefore = whole.match(/"job_id":"job_/g)?.length;
  const resumed = backfill([...args, '--resume']);
  assert.is(resumed.code, 0, resumed.err);
  // The same jobs, found again by their keys.
  assert.is(readFileSync(join(folder, 'out.jsonl'), 'utf8'), whole);
  assert.is(jobsBefore, 20);
  assert.match(
    backfill([...args, '--resume', '--kind', 'reasoning']).err,
    /kind was "emotion", is "reasoning"/,
  );
  writeFileSync(join(folder, 'in.jsonl'), rows.join('').replace('row 7', 'row seven'));
  const changed = backfill([...args, '--resume']);
  assert.is(changed.code, 1);
  assert.match(changed.err, /the input has changed: up to row 10/);
});

test('reads a query and fills a table, once however often', async () => {
  await system.owner.query(
    "CREATE TABLE posts AS SELECT n AS id, 'I am so happy about ' || n AS body FROM generate_series(1, 250) n",
  );
  const query = ['--query', 'SELECT id, body AS text FROM posts ORDER BY id', '--table', 'post_emotions'];
  const args = [...query, '--chunk', '100', '--database', system.databaseUrl];
  const run = backfill(args);
  assert.is(run.code, 0, run.err);
  const count = async () =>
    (
      await system.owner.query(
        `SELECT count(*)::integer AS rows, count(DISTINCT id)::integer AS ids, count(output)::integer AS outputs FROM post_emotions`,
      )
    ).rows;
  assert.equal(await count(), [{ rows: 250, ids: 250, outputs: 250 }]);
  const ledger = join(folder, 'post_emotions.backfill.ledger');
  // The last chunk is in the table, but the ledger has not heard of it.
  const lines = readFileSync(ledger, 'utf8').split('\n');
  const last = lines.findIndex((line) => line.startsWith('{"done":2'));
  writeFileSync(ledger, `${lines.slice(0, last).join('\n')}\n`);
  const again = backfill([...args, '--resume']);
  assert.is(again.code, 0, again.err);
  assert.equal(await count(), [{ rows: 250, ids: 250, outputs: 250 }]);
});

test('keeps to a rate', () => {
  const rows = Array.from({ length: 6 }, (_, index) => `"Row ${index}."\n`).join('');
  const started = performance.now();
  assert.is(backfill(['-', '-o', 'slow.jsonl', '--chunk', '2', '--max-rate', '2'], rows).code, 0);
  // Two chunks wait for the rows before them, a second each.
  assert.ok(performance.now() - started >= 2000);
});

test('shows what it would do without doing it, and tells wrong usage from failure', () => {
  const rehearsed = backfill(['-', '--dry-run'], '"one"\n{"x":1}\n');
  assert.is(rehearsed.code, 0);
  assert.is(rehearsed.out.split('\n').length, 2);
  assert.match(rehearsed.err, /2 rows in 1 chunks, 1 of them without a text; nothing was sent/);
  for (const args of [
    [],
    ['a', 'b', '-o', 'x'],
    ['-'],
    ['-', '-o', 'x', '--table', 'y'],
    ['-', '--table', 'y; DROP'],
  ])
    assert.is(backfill(args).code, 2, args.join(' '));
  assert.is(backfill(['missing.jsonl', '-o', 'x.jsonl']).code, 1);
  const refused = backfill(['-', '-o', 'y.jsonl', '--kind', 'profile'], '"x"\n');
  assert.is(refused.code, 1);
  assert.match(refused.err, /\/kind/);
});

test.run();
