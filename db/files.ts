// Files of lines, in chunks. The content lies in Postgres, beside what is made of it, so that one backup, one erasure and
// one set of rights hold for all of it.

import { and, asc, desc, eq, gt, isNotNull, lt } from 'drizzle-orm';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { createLineReader, type RawLine } from '../shared/line-reader.ts';
import { batchLimits } from '../shared/batch.ts';
import type { BatchName } from './batch-counting.ts';
import type { PagePlace } from './batches.ts';
import type { Reader, Tx } from './client.ts';
import * as schema from './schema.ts';

const { files } = schema;
export type FileRow = typeof files.$inferSelect;

/** Bytes of a row: small enough for a few of them in memory, large enough for few rows. */
export const chunkBytes = 262_144;

export async function insertFile(
  tx: Tx,
  file: {
    readonly tenantId: string;
    readonly id: string;
    readonly filename: string;
    readonly createdAt: string;
    readonly expiresAt: string;
  },
): Promise<void> {
  await tx.query(
    'INSERT INTO files (tenant_id, id, filename, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)',
    [file.tenantId, file.id, file.filename, file.createdAt, file.expiresAt],
  );
}

export async function insertFileChunk(
  tx: Tx,
  { tenantId, id }: BatchName,
  index: number,
  content: Buffer,
): Promise<void> {
  await tx.query({
    name: 'insert_file_chunk',
    text: 'INSERT INTO file_chunks (tenant_id, file_id, index, content) VALUES ($1, $2, $3, $4)',
    values: [tenantId, id, index, content],
  });
}

/** Says that the file is whole; from now on it is there. @returns false if it was deleted meanwhile */
export async function sealFile(
  tx: Tx,
  { tenantId, id }: BatchName,
  measure: { readonly bytes: number; readonly lines: number; readonly sha256: string },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE files SET byte_count = $3, line_count = $4, sha256 = decode($5, 'hex'), sealed_at = now()
     WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id, measure.bytes, measure.lines, measure.sha256],
  );
  return rowCount === 1;
}

/** The tenant's file; undefined if there is none, or it is not whole. */
export async function getFile(reader: Reader, { tenantId, id }: BatchName): Promise<FileRow | undefined> {
  const [found] = await reader
    .select()
    .from(files)
    .where(and(eq(files.tenantId, tenantId), eq(files.id, id), isNotNull(files.sealedAt)));
  return found;
}

/** A page of the tenant's files, newest first; `hasMore` in the direction that was asked for. */
export async function listFilePage(
  reader: Reader,
  tenantId: string,
  place: PagePlace,
): Promise<{ files: FileRow[]; hasMore: boolean }> {
  const backwards = place.before !== undefined;
  const found = await reader
    .select()
    .from(files)
    .where(
      and(
        eq(files.tenantId, tenantId),
        isNotNull(files.sealedAt),
        place.after === undefined ? undefined : lt(files.id, place.after),
        place.before === undefined ? undefined : gt(files.id, place.before),
      ),
    )
    .orderBy(backwards ? asc(files.id) : desc(files.id))
    .limit(place.limit + 1);
  const rows = found.slice(0, place.limit);
  return { files: backwards ? rows.toReversed() : rows, hasMore: found.length > place.limit };
}

const chunkRows = z.array(z.object({ content: z.instanceof(Buffer) }));

/** A chunk of a file's content; undefined behind the last. */
export async function getFileChunk(
  tx: Tx,
  { tenantId, id }: BatchName,
  index: number,
): Promise<Buffer | undefined> {
  const { rows } = await tx.query({
    name: 'get_file_chunk',
    text: 'SELECT content FROM file_chunks WHERE tenant_id = $1 AND file_id = $2 AND index = $3',
    values: [tenantId, id, index],
  });
  return chunkRows.parse(rows)[0]?.content;
}

/** Whether the tenant's file is there still. */
export async function hasFile(tx: Tx, { tenantId, id }: BatchName): Promise<boolean> {
  const { rowCount } = await tx.query('SELECT FROM files WHERE tenant_id = $1 AND id = $2', [tenantId, id]);
  return rowCount === 1;
}

/** @returns false if the tenant has no such file */
export async function deleteFile(tx: Tx, { tenantId, id }: BatchName): Promise<boolean> {
  const { rowCount } = await tx.query(
    `WITH content AS (DELETE FROM file_chunks WHERE tenant_id = $1 AND file_id = $2)
     DELETE FROM files WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id],
  );
  return rowCount === 1;
}

const oldRows = z.array(z.object({ tenantId: z.string(), id: z.string() }));

/** Deletes files at the end of their retention, and uploads that broke off an hour ago. @returns how many */
export async function pruneFiles(tx: Tx, limit: number): Promise<number> {
  const { rows } = await tx.query(
    `SELECT tenant_id AS "tenantId", id FROM files
     WHERE expires_at <= now() OR (sealed_at IS NULL AND created_at < now() - interval '1 hour') LIMIT $1`,
    [limit],
  );
  const old = oldRows.parse(rows);
  for (const name of old) await deleteFile(tx, name);
  return old.length;
}

const nextRows = z.array(z.object({ id: z.string() }));

/**
 * Takes the lines of a person out of the tenant's next file behind `after`, and lines that cannot be read but name the
 * person. A file that has none of them is only read. @returns the file that was looked at; undefined behind the last
 */
export async function eraseUserFromNextFile(
  tx: Tx,
  {
    tenantId,
    userId,
    after,
  }: { readonly tenantId: string; readonly userId: string; readonly after: string | null },
): Promise<string | undefined> {
  const { rows } = await tx.query(
    'SELECT id FROM files WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT 1',
    [tenantId, after],
  );
  const id = nextRows.parse(rows)[0]?.id;
  if (id !== undefined) await eraseUserFromFile(tx, { tenantId, id }, userId);
  return id;
}

async function eraseUserFromFile(tx: Tx, name: BatchName, userId: string): Promise<void> {
  await tx.query('SELECT FROM files WHERE tenant_id = $1 AND id = $2 FOR UPDATE', [name.tenantId, name.id]);
  let gone = 0;
  for await (const raw of readRawLines(tx, name)) if (namesUser(raw, userId)) gone += 1;
  if (gone > 0) await rewriteFile(tx, name, (raw) => !namesUser(raw, userId));
}

/**
 * Keeps some lines of a file. What is kept never gets ahead of what is read, so each chunk can be written over one that
 * was read before.
 */
async function rewriteFile(tx: Tx, name: BatchName, isKept: (raw: RawLine) => boolean): Promise<void> {
  const hash = createHash('sha256');
  let pieces: Buffer[] = [];
  const measure = { bytes: 0, lines: 0 };
  let held = 0;
  let chunk = 0;
  const write = async (): Promise<void> => {
    const content = Buffer.concat(pieces);
    hash.update(content);
    await tx.query(
      'UPDATE file_chunks SET content = $4 WHERE tenant_id = $1 AND file_id = $2 AND index = $3',
      [name.tenantId, name.id, chunk, content],
    );
    pieces = [];
    held = 0;
    chunk += 1;
  };
  for await (const raw of readRawLines(tx, name)) {
    if (!isKept(raw)) continue;
    pieces.push(raw.bytes, Buffer.from('\n'));
    held += raw.bytes.length + 1;
    measure.bytes += raw.bytes.length + 1;
    measure.lines += 1;
    if (held >= chunkBytes) await write();
  }
  if (held > 0) await write();
  await tx.query('DELETE FROM file_chunks WHERE tenant_id = $1 AND file_id = $2 AND index >= $3', [
    name.tenantId,
    name.id,
    chunk,
  ]);
  await sealFile(tx, name, { ...measure, sha256: hash.digest('hex') });
}

/** The lines of a file, one chunk of it in memory; one that is longer than a line may be is cut. */
async function* readRawLines(tx: Tx, name: BatchName): AsyncGenerator<RawLine> {
  const reader = createLineReader(batchLimits.lineBytesMax);
  for (let index = 0; ; index++) {
    const chunk = await getFileChunk(tx, name, index);
    if (chunk === undefined) break;
    yield* reader.push(chunk);
  }
  yield* reader.end();
}

function namesUser({ bytes, tooLong }: RawLine, userId: string): boolean {
  const text = bytes.toString('utf8');
  if (tooLong) return text.includes(userId);
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && 'user_id' in value && value.user_id === userId;
  } catch {
    return text.includes(userId);
  }
}
