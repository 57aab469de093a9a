// Whether a job may come in: what every route that records one asks first, once it knows how large the job is.

import type { Request, Response } from 'express';
import type { NewJob } from '../db/submissions.ts';
import type { Context } from './context.ts';
import { takeItems } from './limit-requests.ts';

/**
 * Takes the job's items from the tenant's allowance.
 * @throws ProblemError `quota_exceeded` (429)
 */
export async function admit(
  { quota }: Pick<Context, 'quota'>,
  request: Request,
  response: Response,
  job: NewJob,
): Promise<void> {
  await takeItems(quota, request, response, Math.max(1, job.texts.length));
}
