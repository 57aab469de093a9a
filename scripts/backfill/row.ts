// One row of a backfill, whatever it was read from, and the chunks in which rows travel. A chunk has a digest that
// covers all rows up to its end: by it a resumed run knows that the input is still the same.

import { createHash } from 'node:crypto';

export interface Row {
  /** Its place in the input, from 1. */
  readonly row: number;
  /** The value of the id field, or the place. */
  readonly id: string;
  /** Undefined if the row has no text, for the reason in `fault`. */
  readonly text: string | undefined;
  readonly userId: string | undefined;
  readonly fault?: string;
}

/** Which fields of a row are what. */
export interface Fields {
  readonly text: string;
  readonly id: string;
  readonly user: string;
}

/** Rows with how far the input has been read with them, 0..1; undefined where nobody knows its length. */
export interface Input {
  readonly rows: AsyncIterable<Row>;
  readonly share: () => number | undefined;
}

export interface Chunk {
  /** From 0. */
  readonly index: number;
  readonly rows: readonly Row[];
  /** Of all rows up to the last of this chunk, in hex. */
  readonly digest: string;
  readonly share: number | undefined;
}

/** Makes a row of what a line, a record or a database row holds. */
export function toRow(value: unknown, row: number, fields: Fields): Row {
  if (typeof value === 'string') return { row, id: String(row), text: value, userId: undefined };
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return faulty(row, 'is neither an object nor a text');
  const read = (name: string): unknown => Reflect.get(value, name);
  const id = readScalar(read(fields.id)) ?? String(row);
  const text = read(fields.text);
  const userId = readScalar(read(fields.user));
  if (typeof text !== 'string')
    return { ...faulty(row, `has no text in its field "${fields.text}"`), id, userId };
  return { row, id, text, userId };
}

export function faulty(row: number, fault: string): Row {
  return { row, id: String(row), text: undefined, userId: undefined, fault };
}

function readScalar(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint'
    ? String(value)
    : undefined;
}

/** Cuts rows into chunks of `size`. */
export async function* toChunks(
  { rows, share }: Input,
  size: number,
): AsyncGenerator<Chunk, void, undefined> {
  let digest = '';
  let index = 0;
  let gathered: Row[] = [];
  const cut = (): Chunk => {
    const hash = createHash('sha256').update(digest);
    for (const { id, text, userId, fault } of gathered)
      hash.update(JSON.stringify([id, text, userId, fault]));
    digest = hash.digest('hex');
    const chunk = { index: index++, rows: gathered, digest, share: share() };
    gathered = [];
    return chunk;
  };
  for await (const row of rows) {
    gathered.push(row);
    if (gathered.length === size) yield cut();
  }
  if (gathered.length > 0) yield cut();
}
