// Whether a job may come in: what every route that records one asks first, once it knows how large the job is.

import type { Request, Response } from 'express';
import type { NewJob } from '../db/submissions.ts';
import type { Context } from './context.ts';
import { ProblemError } from '../shared/problem.ts';
import { takeItems } from './limit-requests.ts';

/**
 * Refuses a webhook that must not be called, and what would wait too long or end after its deadline; then takes the
 * job's items from the tenant's allowance.
 * @throws ProblemError `invalid_request` (422), `webhooks_unavailable`, `overloaded`, `deadline_unmeetable` (503),
 *   `quota_exceeded` (429)
 */
export async function admit(
  { quota, admission, forecast, webhooks }: Pick<Context, 'quota' | 'admission' | 'forecast' | 'webhooks'>,
  request: Request,
  response: Response,
  job: NewJob,
): Promise<void> {
  if (job.webhook != null) await webhooks.admit(job.tenantId, job.webhook.url, '/webhook/url');
  if (job.status === 'queued') {
    admission.check(job.tenantId, job.class);
    checkDeadline(forecast, job);
  }
  await takeItems(quota, request, response, Math.max(1, job.texts.length));
}

/** Refuses a job that would not be in time in nine of ten cases, and says when such a one could be in time. */
function checkDeadline(forecast: Context['forecast'], job: NewJob): void {
  if (job.deadlineAt === null) return;
  const waitMs = forecast.waitMs(job);
  const lateMs = waitMs === undefined ? 0 : Date.now() + waitMs - Date.parse(job.deadlineAt);
  if (lateMs <= 0) return;
  const seconds = Math.min(3600, Math.max(1, Math.ceil(lateMs / 1000)));
  throw new ProblemError('deadline_unmeetable', `The job could end ${seconds} s after its deadline`, {
    headers: { 'Retry-After': String(seconds) },
  });
}
