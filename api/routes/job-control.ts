// What a client may do to a job that is there already: cancel it.

import { type Request, type Response, Router } from 'express';
import { cancelJob } from '../../db/job-control.ts';
import { ProblemError } from '../../shared/problem.ts';
import { findAndWait, hangUp } from '../await-job.ts';
import type { Context } from '../context.ts';
import { jobNotFound, readJobName } from '../job-name.ts';
import { refuseMethod } from '../problem-handler.ts';
import { sendJob } from './jobs.ts';

export function jobControlRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/jobs/:id/cancel')
    .post((request, response) => cancel(context, request, response))
    .all(refuseMethod('POST'));
  return router;
}

async function cancel(context: Context, request: Request, response: Response): Promise<void> {
  const name = readJobName(request);
  const moved = await cancelJob(context.changers, name.tenantId, name.id);
  if (moved === undefined) throw jobNotFound();
  if (['succeeded', 'failed', 'expired'].includes(moved.after))
    throw new ProblemError('job_already_finished', `The job has ended as ${moved.after}`);
  const seen = await findAndWait(context, name, { waitSeconds: undefined, signal: hangUp(response) });
  if (seen === undefined) throw jobNotFound();
  sendJob(response, seen.view, seen.view.status === 'canceled' ? 200 : 202);
}
