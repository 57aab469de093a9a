// Rows of every form of input, with the faults that files have, and chunks that are the same for the same rows.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { gzipSync } from 'node:zlib';
import { describeProgress, describeSeconds } from './progress.ts';
import { readFile } from './read-input.ts';
import { type Chunk, type Row, toChunks } from './row.ts';

const folder = mkdtempSync(join(tmpdir(), 'soma-input-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));
const fields = { text: 'text', id: 'id', user: 'user_id' };

function write(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function rowsOf(path: string, format: 'jsonl' | 'csv' = 'jsonl'): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const row of readFile(path, format, fields).rows) rows.push(row);
  return rows;
}

const brief = (rows: readonly Row[]) => rows.map(({ row, id, text, fault }) => [row, id, text ?? fault]);

test('reads JSON lines with a byte order mark, CRLF, blank lines and no end at the end', async () => {
  const path = write(
    'a.jsonl',
    '\uFEFF{"id":"a","text":"one"}\r\n\r\n"two"\n{"id":7,"text":"three","user_id":"u"}',
  );
  const rows = await rowsOf(path);
  assert.equal(brief(rows), [
    [1, 'a', 'one'],
    [2, '2', 'two'],
    [3, '7', 'three'],
  ]);
  assert.is(rows[2]?.userId, 'u');
});

test('keeps a place for every row that is wrong, and says why', async () => {
  const path = write('b.jsonl', 'no\n[1]\nnull\n{"id":"x"}\n{"text":5}\n{"text":"\\u2028 fine"}\n');
  assert.equal(brief(await rowsOf(path)), [
    [1, '1', 'is no JSON'],
    [2, '2', 'is neither an object nor a text'],
    [3, '3', 'is neither an object nor a text'],
    [4, 'x', 'has no text in its field "text"'],
    [5, '5', 'has no text in its field "text"'],
    [6, '6', '\u2028 fine'],
  ]);
});

test('breaks off at a line without end', async () => {
  const path = write('c.jsonl', `"${'x'.repeat(9 * 1024 * 1024)}"`);
  const error = await rowsOf(path).catch((reason: unknown) => reason);
  assert.ok(error instanceof Error && error.message.includes('a line has more than'));
});

test('reads CSV with quotes and line breaks in fields, packed or not', async () => {
  const text = '\uFEFFid,text,user_id\r\n1,"two\r\nlines, ""quoted""",u\r\n\r\n2,plain,\r\n';
  const wanted = [
    [1, '1', 'two\r\nlines, "quoted"'],
    [2, '2', 'plain'],
  ];
  assert.equal(brief(await rowsOf(write('d.csv', text), 'csv')), wanted);
  assert.equal(brief(await rowsOf(write('d.csv.gz', gzipSync(text)), 'csv')), wanted);
});

test('tells of a file that cannot be read, and of an archive that is cut', async () => {
  const cut = write('e.jsonl.gz', gzipSync('"x"\n'.repeat(9999)).subarray(0, 40));
  assert.instance(await rowsOf(cut).catch((error: unknown) => error), Error);
  assert.throws(() => readFile(join(folder, 'none'), 'jsonl', fields), /ENOENT/);
});

async function chunksOf(texts: readonly string[], size: number): Promise<Chunk[]> {
  const path = write('f.jsonl', texts.map((text) => `${JSON.stringify(text)}\n`).join(''));
  const chunks: Chunk[] = [];
  for await (const chunk of toChunks(readFile(path, 'jsonl', fields), size)) chunks.push(chunk);
  return chunks;
}

test('cuts chunks whose digests say whether any row up to them has changed', async () => {
  const chunks = await chunksOf(['a', 'b', 'c', 'd', 'e'], 2);
  assert.equal(
    chunks.map(({ index, rows }) => [index, rows.length]),
    [
      [0, 2],
      [1, 2],
      [2, 1],
    ],
  );
  assert.is(chunks.at(-1)?.share, 1);
  const digests = (all: readonly Chunk[]) => all.map(({ digest }) => digest);
  assert.equal(digests(await chunksOf(['a', 'b', 'c', 'd', 'e'], 2)), digests(chunks));
  const longer = digests(await chunksOf(['a', 'b', 'c', 'd', 'e', 'f'], 2));
  assert.equal(longer.slice(0, 2), digests(chunks).slice(0, 2));
  const changed = digests(await chunksOf(['a', 'B', 'c', 'd', 'e'], 2));
  assert.not.ok(changed.some((digest, index) => digest === digests(chunks)[index]));
  assert.equal(await chunksOf([], 2), []);
});

test('tells rate and time left of this run alone', () => {
  const state = { rows: 6000, failed: 3, earlier: 5000, share: 0.75, firstShare: 0.5, known: true };
  assert.is(
    describeProgress(state, 10, true),
    '[##################------]  75 %  6,000 rows  100 rows/s  3 failed  ETA 10 s',
  );
  assert.is(describeProgress({ ...state, failed: 0, known: false }, 10, false), '6,000 rows  100 rows/s');
  assert.equal([0.2, 89, 240, 7200].map(describeSeconds), ['1 s', '89 s', '4 min', '2.0 h']);
});

test.run();
