// Whether a job may come in: what every route that records one asks first, once it knows how large the job is.

import type { Request, Response } from 'express';
import type { NewJob } from '../db/submissions.ts';
import type { Context } from './context.ts';
import { takeItems } from './limit-requests.ts';

/**
 * Refuses a webhook that must not be called and what would wait too long, then takes the job's items from the tenant's
 * allowance.
 * @throws ProblemError `invalid_request` (422), `webhooks_unavailable`, `overloaded` (503), `quota_exceeded` (429)
 */
export async function admit(
  { quota, admission, webhooks }: Pick<Context, 'quota' | 'admission' | 'webhooks'>,
  request: Request,
  response: Response,
  job: NewJob,
): Promise<void> {
  if (job.webhook != null) await webhooks.admit(job.tenantId, job.webhook.url, '/webhook/url');
  if (job.status === 'queued') admission.check(job.tenantId, job.class);
  await takeItems(quota, request, response, Math.max(1, job.texts.length));
}
