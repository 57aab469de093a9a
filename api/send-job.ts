// A job as an answer: the view, and while it has not ended when to look again.

import type { Response } from 'express';
import { isTerminal } from '../shared/job.ts';
import type { JobView } from './job-view.ts';
import { sendJson } from './send-json.ts';

/** Seconds after which a client that polls should ask again. */
export const retryAfterSeconds = '1';

/** A job and, while it has not ended, when to look again. */
export function sendJob(response: Response, view: JobView, status: 200 | 202): void {
  if (!isTerminal(view.status)) response.setHeader('Retry-After', retryAfterSeconds);
  sendJson(response, status, view);
}
