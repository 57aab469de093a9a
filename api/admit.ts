// Whether a job may come in: what every route that records one asks first, once it knows how large the job is.

import type { Request, Response } from 'express';
import type { NewJob } from '../db/submissions.ts';
import type { Context } from './context.ts';
import { takeItems } from './limit-requests.ts';

/**
 * Refuses what would wait too long, then takes the job's items from the tenant's allowance.
 * @throws ProblemError `overloaded` (503), `quota_exceeded` (429)
 */
export async function admit(
  { quota, admission }: Pick<Context, 'quota' | 'admission'>,
  request: Request,
  response: Response,
  job: NewJob,
): Promise<void> {
  if (job.status === 'queued') admission.check(job.tenantId, job.class);
  await takeItems(quota, request, response, Math.max(1, job.texts.length));
}
