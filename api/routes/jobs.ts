// Submit a job, look at a job, wait for a job, take its result.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { asTenant } from '../../db/client.ts';
import { getJobVersion } from '../../db/jobs.ts';
import { isTerminal, limits } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import { admit } from '../admit.ts';
import { tenantOf } from '../authenticate.ts';
import { findAndWait, patienceOf, recordAndWait } from '../await-job.ts';
import type { Context } from '../context.ts';
import { hasEntityTag, jobNotFound, type JobName, readJobName, toEntityTag } from '../job-name.ts';
import { toNewJob } from '../job-request.ts';
import { type JobView, toJobView, toResultView } from '../job-view.ts';
import { showJobs } from '../list-jobs.ts';
import { refuseMethod } from '../problem-handler.ts';
import { readIdempotencyKey, readPreference } from '../read-headers.ts';
import { parseJson, readBody } from '../read-json.ts';
import { retryAfterSeconds, sendJob } from '../send-job.ts';
import { sendJson } from '../send-json.ts';
import { validate } from '../validate.ts';
import { erase } from './job-control.ts';
import { queryInteger } from '../query-number.ts';

export function jobRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/jobs')
    .get((request, response) => showJobs(context, request, response))
    .post(...readBody(context.config.BODY_BYTES_MAX), (request, response) =>
      submitJob(context, request, response),
    )
    .all(refuseMethod('GET', 'POST'));
  router
    .route('/v1/jobs/:id')
    .get((request, response) => showJob(context, request, response))
    .delete((request, response) => erase(context, request, response))
    .all(refuseMethod('GET', 'DELETE'));
  router
    .route('/v1/jobs/:id/result')
    .get((request, response) => showResult(context, request, response))
    .all(refuseMethod('GET'));
  return router;
}

async function submitJob(context: Context, request: Request, response: Response): Promise<void> {
  const idempotencyKey = readIdempotencyKey(request);
  const waitSeconds = readPreference(request);
  const owner = { tenantId: tenantOf(request), registry: context.registry, idempotencyKey };
  const job = toNewJob(parseJson(request), owner);
  const charge = await admit(context, request, response, job);
  const patience = patienceOf(response, waitSeconds);
  const { view, replayed } = await recordAndWait(context, job, { ...patience, charge });
  if (replayed) response.setHeader('Idempotent-Replayed', 'true');
  if (waitSeconds !== undefined) response.setHeader('Preference-Applied', `wait=${waitSeconds}`);
  response.setHeader('Location', view.links.self);
  const waitedOut = waitSeconds !== undefined && isTerminal(view.status);
  if (waitedOut && view.timing_ms !== null) response.setHeader('Server-Timing', serverTiming(view.timing_ms));
  sendJob(response, view, waitedOut ? 200 : 202);
}

async function showJob(context: Context, request: Request, response: Response): Promise<void> {
  const name = readJobName(request);
  const { wait: waitSeconds } = validate(waitQuerySchema, request.query, '?');
  const conditional = request.get('If-None-Match') !== undefined && waitSeconds === undefined;
  if (conditional && sendUnchanged(request, response, await findTag(context, name))) return;
  const seen = await findAndWait(context, name, patienceOf(response, waitSeconds));
  if (seen === undefined) throw jobNotFound();
  if (sendUnchanged(request, response, seen.tag)) return;
  sendJob(response, seen.view, 200);
}

/** The entity tag of a job, found without reading its results. */
async function findTag({ lookups }: Context, { tenantId, id }: JobName): Promise<string> {
  const version = await asTenant(lookups, tenantId, (reader) => getJobVersion(reader, tenantId, id));
  if (version === undefined) throw jobNotFound();
  return toEntityTag(version);
}

/** Says which version the answer is of. @returns true if the client has it already, and was told so with 304. */
function sendUnchanged(request: Request, response: Response, tag: string): boolean {
  response.setHeader('ETag', tag);
  if (!hasEntityTag(request, tag)) return false;
  response.status(304).end();
  return true;
}

async function showResult(context: Context, request: Request, response: Response): Promise<void> {
  const { tenantId, id } = readJobName(request);
  const found = await context.loader.load(tenantId, id);
  if (found === undefined) throw jobNotFound();
  const view = toJobView(found.job, found.results, context.forecast.place);
  if (!isTerminal(view.status)) {
    const headers = { 'Retry-After': retryAfterSeconds(view) };
    throw new ProblemError('job_not_finished', `The job is ${view.status}`, { headers });
  }
  if (view.status !== 'succeeded') {
    const detail = view.status_reason ?? `The job ended as ${view.status}`;
    const jobError = view.error ?? { code: view.status, detail };
    throw new ProblemError('job_failed', jobError.detail, { jobError });
  }
  if (view.result === null || found.job.expiresAt <= new Date())
    throw new ProblemError('result_expired', `The result was kept until ${view.expires_at}, or was erased`);
  sendJson(response, 200, toResultView(view, view.result));
}

const waitQuerySchema = z.strictObject({
  wait: queryInteger(0, limits.waitSecondsMax).optional(),
});

function serverTiming(timing: NonNullable<JobView['timing_ms']>): string {
  return Object.entries(timing)
    .map(([stage, ms]) => `${stage};dur=${ms}`)
    .join(', ');
}
