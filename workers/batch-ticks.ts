// What the dispatcher does for batches: counts what has ended, carries out what is to be done with all jobs of a batch,
// reads files, and tidies up. As with its other ticks, a crash between any two lines leaves rows that the next tick finds.

import { v7 } from 'uuid';
import {
  endAbandonedUploads,
  finishSweep,
  listSweeps,
  pruneBatches,
  pruneBatchKeys,
  removePage,
  type Sweep,
  sweepPage,
} from '../db/batch-control.ts';
import { type BatchName, countParts, listCountable, measureBatches } from '../db/batch-counting.ts';
import { claimFileBatch, endUnread, type FileBatch, sealBatch } from '../db/batch-intake.ts';
import { createLineRecorder, type LineRecorder, UploadError } from '../db/batch-recorder.ts';
import type { Pool } from '../db/client.ts';
import { getFileChunk, hasFile, pruneFiles } from '../db/files.ts';
import { batchLimits, batchStatuses } from '../shared/batch.ts';
import type { Config } from '../shared/config.ts';
import { createLineReader, isBlank, type RawLine } from '../shared/line-reader.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { openaiLineSchema } from '../shared/openai-lines.ts';
import { parseRawLine } from '../shared/parse-line.ts';
import { nothingToDo, type TickEnd } from '../shared/process.ts';

export interface BatchTicks {
  readonly count: () => Promise<TickEnd>;
  readonly sweep: () => Promise<TickEnd>;
  readonly readFiles: (signal: AbortSignal) => Promise<TickEnd>;
  readonly tidy: () => Promise<void>;
  readonly measure: () => Promise<void>;
}

/** Batches looked at by one tick, and jobs that one statement touches. */
const batchesMax = 100;
const jobsMax = 500;
/** Erasing a job is a transaction of its own. */
const erasedMax = 50;

/** How long a reader of a file may say nothing before another takes its place; a chunk takes a fraction of it. */
export const readerIdleMs = 15_000;

export function createBatchTicks(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
}): BatchTicks {
  const { config, log, database } = options;
  return {
    count: async () => {
      const countable = await listCountable(database, batchesMax);
      for (const name of countable) while ((await countSome(database, name)) === jobsMax);
      return countable.length === 0 ? nothingToDo : undefined;
    },
    sweep: async () => {
      const sweeps = await listSweeps(database, batchesMax);
      for (const { sweep, ...name } of sweeps) await sweepBatch(database, name, sweep);
      return sweeps.length === 0 ? nothingToDo : undefined;
    },
    readFiles: async (signal) => {
      for (let read = 0; ; read++) {
        const batch = signal.aborted ? undefined : await claimFileBatch(database, v7(), readerIdleMs);
        if (batch === undefined) return read === 0 ? nothingToDo : undefined;
        await readFile(database, batch, signal).catch((error: unknown) => {
          if (!(error instanceof UploadError)) throw error;
          log.info({ err: error, batch: batch.id }, 'a batch was taken from its reader');
        });
      }
    },
    measure: async () => {
      const open = new Map((await measureBatches(database)).map((row) => [row.status, row]));
      for (const status of batchStatuses.filter((one) => one !== 'ended'))
        metrics.batchesOpen.set({ status }, open.get(status)?.open ?? 0);
      metrics.batchesOldestAge.set(
        Math.max(0, ...[...open.values()].map(({ oldestSeconds }) => oldestSeconds)),
      );
    },
    tidy: async () => {
      const given = await endAbandonedUploads(database, config.UPLOAD_RESUME_MS);
      if (given > 0) log.info({ batches: given }, 'uploads that broke off were given up');
      await pruneBatchKeys(database);
      while ((await pruneBatches(database, batchesMax)) === batchesMax);
      while ((await pruneFiles(database, batchesMax)) === batchesMax);
    },
  };
}

/** @returns how many jobs were counted */
async function countSome(database: Pool, name: BatchName): Promise<number> {
  const { parts, ...lines } = await countParts(database, name, jobsMax);
  for (const [outcome, count] of Object.entries(lines)) metrics.batchLinesEnded.inc({ outcome }, count);
  return parts;
}

/** Takes a sweep through all jobs of a batch. Begun anew after a crash, it finds those before it done. */
async function sweepBatch(database: Pool, name: BatchName, sweep: Sweep): Promise<void> {
  if (sweep === 'drop' || sweep === 'erase') {
    while ((await removePage(database, name, sweep, sweep === 'drop' ? jobsMax : erasedMax)) > 0);
  } else {
    let last: string | undefined = '00000000-0000-0000-0000-000000000000';
    while (last !== undefined) last = await sweepPage(database, name, sweep, last, jobsMax);
  }
  await finishSweep(database, name, sweep);
}

/** Reads the file of a batch to its end, or until `signal`: another process goes on where the ledger says. */
async function readFile(database: Pool, batch: FileBatch, signal: AbortSignal): Promise<void> {
  const recorder = createLineRecorder({
    pool: database,
    batch: {
      ...batch,
      deadlineAt: batch.deadlineAt?.toISOString() ?? null,
      expiresAt: batch.expiresAt.toISOString(),
      sealed: false,
    },
  });
  const error = await readLines(database, batch, recorder, signal);
  if (signal.aborted) return;
  const { linesRead, linesBad, faults } = recorder.state();
  const empty = { code: 'empty', detail: 'The file has no lines' };
  const nothing = linesRead === 0 ? (error ?? empty) : undefined;
  const invalid = {
    code: 'invalid_lines',
    detail: `${linesBad} of ${linesRead} lines are invalid; nothing ran`,
  };
  const refused = batch.onInvalid === 'reject' && linesBad > 0 ? invalid : undefined;
  const end = nothing ?? refused ?? (batch.onInvalid === 'reject' ? error : undefined);
  if (end !== undefined) {
    const reason = end === refused || end === empty ? 'invalid' : 'error';
    return endUnread(database, batch, { reason, error: end, faults, linesBad, linesRead });
  }
  await recorder.flush();
  await sealBatch(database, batch, error ?? null);
}

/** @returns why the file was not read to its end */
async function readLines(
  database: Pool,
  batch: FileBatch,
  recorder: LineRecorder,
  signal: AbortSignal,
): Promise<{ code: string; detail: string } | undefined> {
  const reader = createLineReader(batchLimits.lineBytesMax);
  const schema = batch.dialect === 'openai' ? openaiLineSchema(batch.kind) : undefined;
  let number = 0;
  const add = (raw: RawLine): void => {
    number += 1;
    if (!isBlank(raw)) recorder.add(parseRawLine(raw, number, schema), raw.bytes);
  };
  try {
    for (let index = 0; !signal.aborted; index++) {
      const chunk = await getFileChunk(database, { tenantId: batch.tenantId, id: batch.fileId }, index);
      if (chunk === undefined) break;
      reader.push(chunk).forEach(add);
      await recorder.flushIfDue();
    }
    reader.end().forEach(add);
    if (await hasFile(database, { tenantId: batch.tenantId, id: batch.fileId })) return undefined;
    return { code: 'file_gone', detail: 'The file was deleted while it was read' };
  } catch (error) {
    if (!(error instanceof UploadError) || error.reason !== 'too_many_lines') throw error;
    return { code: 'too_many_lines', detail: `A batch has at most ${batchLimits.linesMax} lines` };
  }
}
