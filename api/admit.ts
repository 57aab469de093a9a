// Whether a job may come in: what every route that records one asks first, once it knows how large the job is. A submit
// that is repeated under its Idempotency-Key costs a request and no items, and is answered where a new job is refused.

import type { Request, Response } from 'express';
import type { NewJob } from '../db/submissions.ts';
import type { Context } from './context.ts';
import { ProblemError } from '../shared/problem.ts';
import { giveBackItems, takeItems } from './limit-requests.ts';

/** What a job that was let in has cost. */
export interface Charge {
  /** For a job that was recorded before, or not at all. */
  readonly giveBack: () => Promise<void>;
}

const free: Charge = { giveBack: () => Promise.resolve() };

/**
 * Refuses a webhook that must not be called, and what would wait too long or end after its deadline; then takes the
 * job's items from the tenant's allowance. What is refused may still be a repeat, which is looked up then only.
 * @throws ProblemError `invalid_request` (422), `webhooks_unavailable`, `overloaded`, `deadline_unmeetable` (503),
 *   `quota_exceeded` (429)
 */
export async function admit(
  context: Admitting,
  request: Request,
  response: Response,
  job: NewJob,
): Promise<Charge> {
  const items = Math.max(1, job.texts.length);
  try {
    await refuse(context, job);
    await takeItems(context.quota, request, response, items);
  } catch (error) {
    if (error instanceof ProblemError && (await context.intake.knows(job))) return free;
    throw error;
  }
  return { giveBack: () => giveBackItems(context.quota, request, response, items) };
}

type Admitting = Pick<Context, 'quota' | 'admission' | 'forecast' | 'webhooks' | 'intake'>;

async function refuse({ admission, forecast, webhooks }: Admitting, job: NewJob): Promise<void> {
  if (job.webhook != null) await webhooks.admit(job.tenantId, job.webhook.url, '/webhook/url');
  if (job.status === 'queued') {
    admission.check(job.tenantId, job.class);
    checkDeadline(forecast, job);
  }
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
