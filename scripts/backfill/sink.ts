// Where the results of a backfill go: a file of JSON lines or a table. A chunk is in it whole or, after a crash, taken
// back or ignored; the ledger says which.

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { createPool } from '../../db/client.ts';
import { createResultTable, insertResults } from '../../db/result-table.ts';
import { syncFolder } from './ledger.ts';

/** A row with what became of it. */
export interface Result {
  readonly row: number;
  readonly id: string;
  readonly status: 'succeeded' | 'failed' | 'canceled' | 'expired';
  readonly output?: unknown;
  readonly error?: { readonly code: string; readonly detail: string };
  readonly job_id?: string;
}

export interface Sink {
  /** Adds the results of a chunk; on the disk when it resolves. @returns the size of the output, 0 for a table */
  readonly add: (results: readonly Result[]) => Promise<number>;
  readonly close: () => Promise<void>;
}

/**
 * A file that holds the results of the chunks that are done: what is behind `bytes` is of a chunk that was not.
 * @throws Error if the file is shorter than that, or is there and no run is resumed
 */
export async function openFileSink(path: string, bytes: number, resumed: boolean): Promise<Sink> {
  const flags = constants.O_RDWR | constants.O_CREAT | (resumed ? 0 : constants.O_EXCL);
  const file = await open(path, flags, 0o644).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST') throw new Error(`${path} is there already: remove it, or name another`);
    throw error;
  });
  const { size } = await file.stat();
  if (size < bytes) {
    await file.close();
    throw new Error(`${path} has ${size} bytes, but the ledger knows of ${bytes}: it was cut or replaced`);
  }
  await file.truncate(bytes);
  await syncFolder(path);
  let place = bytes;
  return {
    add: async (results) => {
      const piece = Buffer.from(results.map((result) => `${JSON.stringify(result)}\n`).join(''));
      for (let written = 0; written < piece.length; ) {
        const { bytesWritten } = await file.write(piece, written, piece.length - written, place + written);
        written += bytesWritten;
      }
      place += piece.length;
      await file.datasync();
      return place;
    },
    close: () => file.close(),
  };
}

/** A table, made if it is not there. A chunk is one transaction, and a row is stored once. */
export async function openTableSink(databaseUrl: string, table: string, runId: string): Promise<Sink> {
  const pool = createPool(databaseUrl, { role: 'owner', max: 1, statementTimeoutMs: 600_000 });
  await createResultTable(pool, table);
  const toJson = (value: unknown) => (value === undefined ? null : JSON.stringify(value));
  return {
    add: async (results) => {
      const stored = results.map(({ row, id, status, output, error }) => ({
        row,
        id,
        status,
        output: toJson(output),
        error: toJson(error),
      }));
      await insertResults(pool, table, runId, stored);
      return 0;
    },
    close: () => pool.end(),
  };
}
