// Where the rows of a backfill come from: JSON lines, CSV, or a query, each read as a stream.

import { parse } from 'csv-parse';
import { createReadStream, statSync } from 'node:fs';
import { Readable, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { z } from 'zod';
import { streamQuery } from '../../db/stream-query.ts';
import { readLines } from '../../shared/client/event-stream.ts';
import { faulty, type Fields, type Input, type Row, toRow } from './row.ts';

/** Longest line or record of a file, in bytes: one that never ends must not fill the memory. */
const recordBytesMax = 8 * 1024 * 1024;

/** Rows of a file, or of standard input for `-`. A name that ends in `.gz` is unpacked. */
export function readFile(path: string, format: 'jsonl' | 'csv', fields: Fields): Input {
  const { bytes, share } = openBytes(path);
  return { rows: format === 'csv' ? readCsv(bytes, fields) : readJsonLines(bytes, fields), share };
}

/** Rows of a query, in its order. */
export function readQuery(databaseUrl: string, sql: string, fields: Fields): Input {
  async function* rows(): AsyncGenerator<Row, void, undefined> {
    let row = 0;
    for await (const record of streamQuery(databaseUrl, sql)) yield toRow(record, ++row, fields);
  }
  return { rows: rows(), share: () => undefined };
}

function openBytes(path: string): { readonly bytes: Readable; readonly share: () => number | undefined } {
  if (path === '-') return { bytes: process.stdin, share: () => undefined };
  const size = statSync(path).size;
  let seen = 0;
  const count = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      seen += chunk.length;
      done(null, chunk);
    },
  });
  const file = createReadStream(path);
  const raw = file.on('error', (error) => count.destroy(error)).pipe(count);
  const share = () => (size === 0 ? 1 : seen / size);
  if (!path.endsWith('.gz')) return { bytes: raw, share };
  const unpacked = createGunzip();
  raw.on('error', (error) => unpacked.destroy(error));
  return { bytes: raw.pipe(unpacked), share };
}

async function* readJsonLines(bytes: Readable, fields: Fields): AsyncGenerator<Row, void, undefined> {
  let row = 0;
  for await (const line of readLines(bounded(bytes), 'kept')) {
    const text = row === 0 ? line.replace(/^\uFEFF/, '') : line;
    if (text.trim() === '') continue;
    row += 1;
    yield parseLine(text, row, fields);
  }
}

function parseLine(line: string, row: number, fields: Fields): Row {
  try {
    return toRow(JSON.parse(line), row, fields);
  } catch {
    return faulty(row, 'is no JSON');
  }
}

/** Breaks off at a line that is too long. */
async function* bounded(bytes: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  let sinceEnd = 0;
  for await (const chunk of bytes) {
    const piece = z.instanceof(Buffer).parse(chunk);
    const end = piece.lastIndexOf(10);
    sinceEnd = end === -1 ? sinceEnd + piece.length : piece.length - end;
    if (sinceEnd > recordBytesMax)
      throw new Error(`a line has more than ${recordBytesMax} bytes: is this JSON, a line each?`);
    yield piece;
  }
}

async function* readCsv(bytes: Readable, fields: Fields): AsyncGenerator<Row, void, undefined> {
  const parser = parse({ bom: true, columns: true, skip_empty_lines: true, max_record_size: recordBytesMax });
  bytes.on('error', (error) => parser.destroy(error));
  let row = 0;
  for await (const record of bytes.pipe(parser)) yield toRow(record, ++row, fields);
}
