// What a client may do to a job that is there already: cancel it, repeat it, erase it.

import { type Request, type Response, Router } from 'express';
import { asTenant } from '../../db/client.ts';
import { getWebhookRequest } from '../../db/deliveries.ts';
import { eraseJob } from '../../db/erase-job.ts';
import { cancelJob } from '../../db/job-control.ts';
import { getSubmission } from '../../db/jobs.ts';
import { ProblemError } from '../../shared/problem.ts';
import { admit } from '../admit.ts';
import { findAndWait, patienceOf, recordAndWait } from '../await-job.ts';
import type { Context } from '../context.ts';
import { findErasure, sendErasure } from '../erasure-view.ts';
import { jobNotFound, readJobName } from '../job-name.ts';
import { refuseMethod } from '../problem-handler.ts';
import { readIdempotencyKey } from '../read-headers.ts';
import { toRetry } from '../retry-job.ts';
import { sendJob } from '../send-job.ts';

export function jobControlRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/jobs/:id/cancel')
    .post((request, response) => cancel(context, request, response))
    .all(refuseMethod('POST'));
  router
    .route('/v1/jobs/:id/retry')
    .post((request, response) => retry(context, request, response))
    .all(refuseMethod('POST'));
  return router;
}

async function cancel(context: Context, request: Request, response: Response): Promise<void> {
  const name = readJobName(request);
  const moved = await cancelJob(context.changers, name.tenantId, name.id);
  if (moved === undefined) throw jobNotFound();
  if (['succeeded', 'failed', 'expired'].includes(moved.after))
    throw new ProblemError('job_already_finished', `The job has ended as ${moved.after}`);
  const seen = await findAndWait(context, name, patienceOf(response, undefined));
  if (seen === undefined) throw jobNotFound();
  sendJob(response, seen.view, seen.view.status === 'canceled' ? 200 : 202);
}

async function retry(context: Context, request: Request, response: Response): Promise<void> {
  const { tenantId, id } = readJobName(request);
  const idempotencyKey = readIdempotencyKey(request);
  const found = await asTenant(context.readers, tenantId, (reader) => getSubmission(reader, tenantId, id));
  if (found === undefined) throw jobNotFound();
  const webhook = await asTenant(context.readers, tenantId, (reader) =>
    getWebhookRequest(reader, tenantId, id),
  );
  const job = toRetry({ ...found, webhook }, context.registry, idempotencyKey);
  const charge = await admit(context, request, response, job);
  const { view, replayed } = await recordAndWait(context, job, {
    ...patienceOf(response, undefined),
    charge,
  });
  if (replayed) response.setHeader('Idempotent-Replayed', 'true');
  response.setHeader('Location', view.links.self);
  sendJob(response, view, 202);
}

/** Erases the job and answers with the receipt, as often as it is asked to. */
export async function erase(context: Context, request: Request, response: Response): Promise<void> {
  const { tenantId, id } = readJobName(request);
  const receipt = await eraseJob(context.changers, tenantId, id);
  if (receipt === undefined) throw jobNotFound();
  sendErasure(response, await findErasure(context, { tenantId, id: receipt }), 202);
}
