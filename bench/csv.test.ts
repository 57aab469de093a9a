// Reads the corner cases that the data sets have: quoted separators, quotes and line breaks, a byte order mark.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readCsv } from './csv.ts';

function read(content: string, separator: ',' | '\t' = ','): ReturnType<typeof readCsv> {
  const folder = mkdtempSync(join(tmpdir(), 'soma-csv-'));
  try {
    const path = join(folder, 'table.csv');
    writeFileSync(path, content);
    return readCsv(path, separator);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('quoted fields hold separators, doubled quotes and line breaks', () => {
  const rows = read('\uFEFFid,text\r\n1,"a, ""b""\nc"\r\n2,\n');
  assert.equal(rows, [
    { id: '1', text: 'a, "b"\nc' },
    { id: '2', text: '' },
  ]);
});

test('a file without a last line break, separated by tabs, is read to its end', () => {
  assert.equal(read('id\ttext\n1\ta, b', '\t'), [{ id: '1', text: 'a, b' }]);
});

test('a quote that never ends is an error', () => {
  assert.throws(() => read('id,text\n1,"a" b\n'), /malformed CSV/);
});

test.run();
