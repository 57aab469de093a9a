// An uploaded file on its way into the ledger, in chunks of one size.

import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import type { BatchName } from '../db/batch-counting.ts';
import { chunkBytes, deleteFile, insertFile, insertFileChunk, sealFile } from '../db/files.ts';
import { uuidTime } from '../shared/job.ts';
import { fileNotFound } from './batch-name.ts';
import type { Context } from './context.ts';

/** Stores pieces as they come, in chunks of one size; of an upload that breaks off nothing remains. */
export async function storeFile(
  { bulk }: Context,
  file: {
    readonly tenantId: string;
    readonly filename: string;
    readonly retention: number;
    readonly pieces: AsyncIterable<Buffer | undefined>;
  },
): Promise<BatchName> {
  const name = { tenantId: file.tenantId, id: v7() };
  const createdAt = uuidTime(name.id);
  const expiresAt = new Date(createdAt.getTime() + file.retention * 1000);
  await insertFile(bulk, {
    ...name,
    filename: file.filename,
    createdAt: createdAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
  });
  try {
    const measure = createMeasure();
    let held: Buffer[] = [];
    let heldBytes = 0;
    let chunk = 0;
    const write = async (content: Buffer): Promise<void> => {
      await insertFileChunk(bulk, name, chunk, content);
      chunk += 1;
    };
    for await (const piece of file.pieces) {
      if (piece === undefined) continue;
      measure.add(piece);
      held.push(piece);
      heldBytes += piece.length;
      if (heldBytes < chunkBytes) continue;
      let rest = Buffer.concat(held);
      for (; rest.length >= chunkBytes; rest = rest.subarray(chunkBytes))
        await write(rest.subarray(0, chunkBytes));
      held = rest.length > 0 ? [rest] : [];
      heldBytes = rest.length;
    }
    if (heldBytes > 0) await write(Buffer.concat(held));
    if (!(await sealFile(bulk, name, measure.result()))) throw fileNotFound();
    return name;
  } catch (error) {
    await deleteFile(bulk, name).catch(() => undefined);
    throw error;
  }
}

/** Counts bytes and the lines that have something on them. */
function createMeasure() {
  const hash = createHash('sha256');
  let bytes = 0;
  let lines = 0;
  let blank = true;
  return {
    add: (piece: Buffer): void => {
      hash.update(piece);
      bytes += piece.length;
      for (const byte of piece) {
        if (byte === 0x0a) blank = true;
        else if (blank && byte > 0x20) {
          blank = false;
          lines += 1;
        }
      }
    },
    result: () => ({ bytes, lines, sha256: hash.digest('hex') }),
  };
}
