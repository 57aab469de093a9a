// Reads comma- or tab-separated files whose first line names the columns, as RFC 4180 has them.

import { readFileSync } from 'node:fs';

export type CsvRow = Readonly<Record<string, string>>;

/**
 * The rows by column name; quoted fields may hold separators, doubled quotes and line breaks.
 * @throws Error if a quote never ends, showing where it began.
 */
export function readCsv(path: string, separator: ',' | '\t' = ','): CsvRow[] {
  const text = readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
  const [head = [], ...rows] = parseCsv(text, separator);
  return rows.map((row) => Object.fromEntries(head.map((name, column) => [name, row[column] ?? ''])));
}

function parseCsv(text: string, separator: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const field = new RegExp(
    `(?:"([^"]*(?:""[^"]*)*)"|((?!")[^${separator}\\r\\n]*))(${separator}|\\r?\\n|$)`,
    'y',
  );
  while (field.lastIndex < text.length) {
    const start = field.lastIndex;
    const match = field.exec(text);
    if (match === null) throw new Error(`malformed CSV: ${text.slice(start, start + 80)}`);
    const [, quoted, plain = '', end] = match;
    row.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === separator) continue;
    rows.push(row);
    row = [];
  }
  return rows;
}
