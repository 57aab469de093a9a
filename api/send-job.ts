// A job as an answer: the view, and while it has not ended when to look again.

import type { Response } from 'express';
import { isTerminal } from '../shared/job.ts';
import type { JobView } from './job-view.ts';
import { sendJson } from './send-json.ts';

const secondsMax = 3600;

/** Whole seconds after which a client that polls should ask again: when a queued job has ended as likely as not. */
export function retryAfterSeconds({ queue }: Pick<JobView, 'queue'>, nowMs = Date.now()): string {
  const eta = queue?.eta_p50_at ?? undefined;
  const seconds = eta === undefined ? 1 : Math.ceil((Date.parse(eta) - nowMs) / 1000);
  return String(Math.min(secondsMax, Math.max(1, seconds)));
}

/** A job and, while it has not ended, when to look again. */
export function sendJob(response: Response, view: JobView, status: 200 | 202): void {
  if (!isTerminal(view.status)) response.setHeader('Retry-After', retryAfterSeconds(view));
  sendJson(response, status, view);
}
