// Submit a job, look at a job, wait for a job.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { isTerminal, limits, parseJobId } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import { admit } from '../admit.ts';
import { tenantOf } from '../authenticate.ts';
import { findAndWait, hangUp, recordAndWait } from '../await-job.ts';
import type { Context } from '../context.ts';
import { toNewJob } from '../job-request.ts';
import type { JobView } from '../job-view.ts';
import { refuseMethod } from '../problem-handler.ts';
import { parseJson, readBody } from '../read-json.ts';
import { validate } from '../validate.ts';

/** Seconds after which a client that polls should ask again. */
const retryAfterSeconds = '1';

export function jobRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/jobs')
    .post(...readBody(context.config.BODY_BYTES_MAX), (request, response) =>
      submitJob(context, request, response),
    )
    .all(refuseMethod('POST'));
  router
    .route('/v1/jobs/:id')
    .get((request, response) => showJob(context, request, response))
    .all(refuseMethod('GET'));
  return router;
}

async function submitJob(context: Context, request: Request, response: Response): Promise<void> {
  const idempotencyKey = readIdempotencyKey(request);
  const waitSeconds = readPreference(request);
  const owner = { tenantId: tenantOf(request), registry: context.registry, idempotencyKey };
  const job = toNewJob(parseJson(request), owner);
  await admit(context, request, response, job);
  const { view, replayed } = await recordAndWait(context, job, { waitSeconds, signal: hangUp(response) });
  if (replayed) response.setHeader('Idempotent-Replayed', 'true');
  if (waitSeconds !== undefined) response.setHeader('Preference-Applied', `wait=${waitSeconds}`);
  response.setHeader('Location', view.links.self);
  const waitedOut = waitSeconds !== undefined && isTerminal(view.status);
  if (waitedOut && view.timing_ms !== null) response.setHeader('Server-Timing', serverTiming(view.timing_ms));
  sendJob(response, view, waitedOut ? 200 : 202);
}

async function showJob(context: Context, request: Request, response: Response): Promise<void> {
  const id = parseJobId(z.string().parse(request.params['id']));
  if (id === undefined) throw new ProblemError('job_not_found', 'A job id is job_ and a UUIDv7');
  const { wait: waitSeconds } = validate(waitQuerySchema, request.query, '?');
  const name = { tenantId: tenantOf(request), id };
  const view = await findAndWait(context, name, { waitSeconds, signal: hangUp(response) });
  if (view === undefined) throw new ProblemError('job_not_found', 'There is no such job, or it was deleted');
  sendJob(response, view, 200);
}

/** A job and, while it has not ended, when to look again. */
export function sendJob(response: Response, view: JobView, status: 200 | 202): void {
  if (!isTerminal(view.status)) response.setHeader('Retry-After', retryAfterSeconds);
  response.status(status).json(view);
}

const waitQuerySchema = z.strictObject({
  wait: z.coerce.number().int().min(0).max(limits.waitSecondsMax).optional(),
});

/** `Prefer: wait=N` (RFC 7240) in seconds, at most 60; undefined without one. What cannot be read is not preferred. */
function readPreference(request: Request): number | undefined {
  const found = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i.exec(request.get('Prefer') ?? '')?.[1];
  return found === undefined ? undefined : Math.min(Number(found), limits.waitSecondsMax);
}

function readIdempotencyKey(request: Request): string | undefined {
  const key = request.get('Idempotency-Key');
  if (key === undefined) return undefined;
  if (key.length < 1 || key.length > limits.idempotencyKeyCharactersMax || !/^[\x20-\x7e]+$/.test(key)) {
    const detail = `Idempotency-Key must have 1 to ${limits.idempotencyKeyCharactersMax} printable ASCII characters`;
    throw new ProblemError('invalid_header', detail);
  }
  return key;
}

function serverTiming(timing: NonNullable<JobView['timing_ms']>): string {
  return Object.entries(timing)
    .map(([stage, ms]) => `${stage};dur=${ms}`)
    .join(', ');
}
