// Which batch or file a request is about.

import type { Request } from 'express';
import { z } from 'zod';
import type { BatchName } from '../db/batch-counting.ts';
import { parseBatchId, parseFileId } from '../shared/batch.ts';
import { ProblemError } from '../shared/problem.ts';
import { tenantOf } from './authenticate.ts';

/** @throws ProblemError `batch_not_found` if the path has no batch id */
export function readBatchName(request: Request): BatchName {
  const id = parseBatchId(z.string().parse(request.params['id']));
  if (id === undefined) throw new ProblemError('batch_not_found', 'A batch id is batch_ and a UUIDv7');
  return { tenantId: tenantOf(request), id };
}

export function batchNotFound(): ProblemError {
  return new ProblemError('batch_not_found', 'There is no such batch, or it was deleted');
}

/** @throws ProblemError `file_not_found` if the path has no file id */
export function readFileName(request: Request): BatchName {
  const id = parseFileId(z.string().parse(request.params['id']));
  if (id === undefined) throw new ProblemError('file_not_found', 'A file id is file_ and a UUIDv7');
  return { tenantId: tenantOf(request), id };
}

export function fileNotFound(): ProblemError {
  return new ProblemError('file_not_found', 'There is no such file, or it was deleted');
}
