// A batch whose lines are read from a file, after the answer: what our own route and OpenAI's dialect do in the same way.

import type { Request, Response } from 'express';
import { dropBatch, type NewBatch, type OpenedBatch, openBatch } from '../db/batch-intake.ts';
import { asTenant } from '../db/client.ts';
import { getFile } from '../db/files.ts';
import { ProblemError } from '../shared/problem.ts';
import { fileNotFound } from './batch-name.ts';
import type { Context } from './context.ts';
import { takeItems } from './limit-requests.ts';

/**
 * Records a batch of `batch.fileId`. The lines of a file are counted when it is uploaded, so the batch is refused as a
 * whole if the tenant has no room for them.
 * @throws ProblemError `file_not_found`, `idempotency_key_reused`, `overloaded`, `quota_exceeded`
 */
export async function openFileBatch(
  context: Context,
  request: Request,
  response: Response,
  batch: NewBatch,
): Promise<OpenedBatch> {
  const { tenantId } = batch;
  const name = { tenantId, id: batch.fileId ?? '' };
  const file = await asTenant(context.readers, tenantId, (reader) => getFile(reader, name));
  if (file === undefined) throw fileNotFound();
  context.admission.check(tenantId, batch.class);
  const opened = await openBatch(context.bulk, batch);
  if (opened.fingerprint !== batch.fingerprint)
    throw new ProblemError('idempotency_key_reused', 'This Idempotency-Key came with another request before');
  if (opened.inserted) {
    await takeItems(context.quota, request, response, file.lineCount).catch(async (error: unknown) => {
      await dropBatch(context.bulk, { tenantId, ...opened });
      throw error;
    });
  }
  return opened;
}
