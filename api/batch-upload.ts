// Lines on their way in: from a request's body, or from a JSON body's items, through the recorder into the ledger. What
// a client is told depends on how far its lines have come, so all of that is decided here.

import type { Request, Response } from 'express';
import {
  dropBatch,
  type NewBatch,
  type OpenedBatch,
  openBatch,
  sealBatch,
  type Upload,
} from '../db/batch-intake.ts';
import { createLineRecorder, type LineRecorder, UploadError } from '../db/batch-recorder.ts';
import { formatBatchId, batchLimits } from '../shared/batch.ts';
import { createLineReader, isBlank, type RawLine } from '../shared/line-reader.ts';
import { parseLineValue, parseRawLine } from '../shared/parse-line.ts';
import { ProblemError } from '../shared/problem.ts';
import { accessOf } from './authenticate.ts';
import type { Context } from './context.ts';
import { takeItems } from './limit-requests.ts';
import { readUpload, UploadBroken } from './read-upload.ts';
import { invalidRequest } from './validate.ts';

interface Intake {
  readonly context: Context;
  readonly request: Request;
  readonly response: Response;
  readonly batch: NewBatch;
  readonly opened: OpenedBatch;
  readonly recorder: LineRecorder;
}

/** Feeds lines to the recorder. */
type Source = (intake: Intake) => Promise<void>;

/**
 * Records a batch with its lines and says that they are all there.
 * @returns the batch's id, and whether it was there before with all its lines
 * @throws ProblemError for what is wrong with the request, the lines or the moment; UploadBroken if the client is gone
 */
export async function takeLines(
  context: Context,
  request: Request,
  response: Response,
  { batch, source }: { readonly batch: NewBatch; readonly source: Source },
): Promise<{ id: string; replayed: boolean }> {
  const opened = await openBatch(context.bulk, batch);
  if (opened.fingerprint !== batch.fingerprint) throw keyReused();
  const upload: Upload = { tenantId: batch.tenantId, id: opened.id, uploadId: opened.uploadId };
  const recorder = createLineRecorder({
    pool: context.bulk,
    batch: { ...batch, ...opened, expiresAt: opened.expiresAt.toISOString() },
    ...(batch.onInvalid === 'skip' ? { admit: (lines) => admitLines(intake, lines) } : {}),
  });
  const intake: Intake = { context, request, response, batch, opened, recorder };
  try {
    await source(intake);
    if (opened.sealed) refuseShorter(intake);
    else await finish(intake, upload);
    return { id: opened.id, replayed: opened.sealed };
  } catch (error) {
    if (await endsShort(intake, upload, error)) return { id: opened.id, replayed: false };
    await giveUp(intake, upload, error);
    throw toProblem(error);
  }
}

/** The lines of a body of lines. */
export async function fromBody({
  context,
  request,
  response,
  batch,
  opened,
  recorder,
}: Intake): Promise<void> {
  const reader = createLineReader(batchLimits.lineBytesMax);
  let number = 0;
  const add = (raw: RawLine): void => {
    number += 1;
    if (!isBlank(raw)) recorder.add(parseRawLine(raw, number), raw.bytes);
  };
  const { BATCH_BYTES_MAX: bytesMax, UPLOAD_IDLE_MS: idleMs } = context.config;
  for await (const piece of readUpload(request, { bytesMax, idleMs, signal: context.stopping })) {
    if (piece !== undefined) reader.push(piece).forEach(add);
    await recorder.flushIfDue();
    const running = batch.onInvalid === 'skip' && recorder.state().linesRecorded > opened.lineCount;
    if (running && !response.headersSent) sendEarly(response, opened.id);
  }
  reader.end().forEach(add);
}

/** The lines of a JSON body. */
export function fromItems(items: readonly unknown[]): Source {
  return async ({ recorder }) => {
    for (const [index, item] of items.entries()) {
      recorder.add(parseLineValue(item, index + 1), JSON.stringify(item));
      if (index % 500 === 499) await recorder.flushIfDue();
    }
  };
}

/** Tells the client the batch's id while its lines still come, so that it can read results of the first of them. */
function sendEarly(response: Response, id: string): void {
  const name = formatBatchId(id);
  response.writeHead(202, {
    'Content-Type': 'application/json; charset=utf-8',
    Location: `/v1/batches/${name}`,
    'Batch-Id': name,
  });
  response.flushHeaders();
}

/** All lines are read: none may be bad under `reject`, and there must be one. */
async function finish(intake: Intake, upload: Upload): Promise<void> {
  const { context, request, response, batch, opened, recorder } = intake;
  const { linesRead, linesBad, faults } = recorder.state();
  if (linesRead === 0) throw invalidRequest([{ pointer: '', code: 'empty', detail: 'There are no lines' }]);
  if (linesRead < opened.lineCount) throw new UploadError('differs');
  if (batch.onInvalid === 'reject') {
    if (linesBad > 0) {
      const detail = `${linesBad} of ${linesRead} lines are invalid; nothing of the batch runs`;
      throw new ProblemError('invalid_lines', detail, { errors: faults, invalidLines: linesBad });
    }
    await takeItems(context.quota, request, response, linesRead);
  }
  await recorder.flush();
  if (!(await sealBatch(context.bulk, upload, null))) throw new UploadError('superseded');
}

function refuseShorter({ recorder, opened }: Intake): void {
  if (recorder.state().linesRead < opened.lineCount) throw new UploadError('differs');
}

/** With `skip`: the first lines are refused with 429 if there is no room for them, later ones end as failed. */
async function admitLines(
  { context, request, response, opened, recorder }: Intake,
  lines: number,
): Promise<boolean> {
  const begun = recorder.state().linesRecorded > 0 || !opened.inserted;
  if (!begun) {
    await takeItems(context.quota, request, response, lines);
    return true;
  }
  const { tenantId, tier } = accessOf(request);
  if (tier === undefined) return true;
  const { refusedBy } = await context.quota.take(tenantId, tier, { requests: 0, items: lines });
  return refusedBy === undefined;
}

/** With `skip`, what is too much is cut off: the batch goes on with the lines before, and says so. */
async function endsShort(
  { context, batch, recorder }: Intake,
  upload: Upload,
  error: unknown,
): Promise<boolean> {
  const tooLong = error instanceof UploadError && error.reason === 'too_many_lines';
  const tooLarge = error instanceof ProblemError && error.code === 'payload_too_large';
  if (batch.onInvalid !== 'skip' || !(tooLong || tooLarge)) return false;
  await recorder.flush();
  return sealBatch(context.bulk, upload, {
    code: tooLong ? 'too_many_lines' : 'payload_too_large',
    detail: 'The batch was longer than a batch may be; the lines after that were not read',
  });
}

/**
 * Of a batch that is not accepted nothing remains. One that another upload has, that has begun to run, or that the next
 * process can go on with, is left alone.
 */
async function giveUp(
  { context, batch, opened, recorder }: Intake,
  upload: Upload,
  error: unknown,
): Promise<void> {
  const others = error instanceof UploadError && error.reason !== 'too_many_lines';
  const begun = batch.onInvalid === 'skip' && (recorder.state().linesRecorded > 0 || !opened.inserted);
  if (others || begun || opened.sealed || context.stopping.aborted) return;
  await dropBatch(context.bulk, upload).catch((cause: unknown) =>
    context.log.warn({ err: cause, batch: opened.id }, 'a batch that was not accepted is left to the sweep'),
  );
}

function toProblem(error: unknown): unknown {
  if (!(error instanceof UploadError)) return error;
  if (error.reason === 'differs') return keyReused();
  if (error.reason === 'canceled')
    return new ProblemError('batch_already_ended', 'The batch was canceled while its lines came');
  if (error.reason === 'too_many_lines')
    return new ProblemError('payload_too_large', `A batch has at most ${batchLimits.linesMax} lines`);
  return new ProblemError('batch_superseded', 'Another upload with this Idempotency-Key has taken over', {
    headers: { 'Retry-After': '1' },
  });
}

function keyReused(): ProblemError {
  return new ProblemError(
    'idempotency_key_reused',
    'This Idempotency-Key came with other lines or options before',
  );
}

/** Whether an error is only that the client went away. */
export function isBroken(error: unknown): boolean {
  return error instanceof UploadBroken;
}
