// Submit a job, look at a job, wait for a job.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import type { JobWithAnalyses } from '../../db/jobs.ts';
import type { NewJob } from '../../db/submissions.ts';
import { defaultTenantId, isTerminal, limits, parseJobId } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import type { Context } from '../context.ts';
import { toNewJob } from '../job-request.ts';
import { type JobView, toJobRow, toJobView } from '../job-view.ts';
import { refuseMethod } from '../problem-handler.ts';
import { parseJson, readBody } from '../read-json.ts';
import { validate } from '../validate.ts';
import type { Watch } from '../wait.ts';

/** Seconds after which a client that polls should ask again. */
const retryAfterSeconds = '1';

export function jobRoutes(context: Context): Router {
  const router = Router();
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
  const { registry, intake, watcher } = context;
  const idempotencyKey = readIdempotencyKey(request);
  const waitSeconds = readPreference(request);
  const job = toNewJob(parseJson(request), { tenantId: defaultTenantId, registry, idempotencyKey });
  const watch = waitSeconds === undefined ? undefined : watcher.watch(job.id);
  try {
    const result = await intake.submit(job);
    if (result.outcome === 'replayed')
      return await replayJob(context, response, { job, jobId: result.jobId, waitSeconds });
    const view =
      watch && (await waitForEnd(context, response, watch, { ...job, waitSeconds: waitSeconds ?? 0 }));
    sendJob(response, view ?? toJobView(toJobRow(job), []), waitSeconds);
  } finally {
    watch?.close();
  }
}

/** The job that the key made before, as it is now; waited for like a new one. */
async function replayJob(
  context: Context,
  response: Response,
  args: { readonly job: NewJob; readonly jobId: string; readonly waitSeconds: number | undefined },
): Promise<void> {
  const target = { tenantId: args.job.tenantId, id: args.jobId, waitSeconds: args.waitSeconds ?? 0 };
  const watch = context.watcher.watch(args.jobId);
  try {
    const now = await loadView(context, target);
    if (now === undefined)
      throw new ProblemError('job_not_found', 'The job of this Idempotency-Key was deleted');
    const view =
      args.waitSeconds === undefined || isTerminal(now.status)
        ? now
        : await waitForEnd(context, response, watch, target);
    response.setHeader('Idempotent-Replayed', 'true');
    sendJob(response, view ?? now, args.waitSeconds);
  } finally {
    watch.close();
  }
}

async function showJob(context: Context, request: Request, response: Response): Promise<void> {
  const id = parseJobId(z.string().parse(request.params['id']));
  if (id === undefined) throw new ProblemError('job_not_found', 'A job id is job_ and a UUIDv7');
  const { wait: waitSeconds } = validate(waitQuerySchema, request.query, '?');
  const target = { tenantId: defaultTenantId, id, waitSeconds: waitSeconds ?? 0 };
  const watch = waitSeconds === undefined ? undefined : context.watcher.watch(id);
  try {
    const now = await loadView(context, target);
    if (now === undefined) throw new ProblemError('job_not_found', 'There is no such job, or it was deleted');
    const waited =
      watch && !isTerminal(now.status) ? await waitForEnd(context, response, watch, target) : undefined;
    const view = waited ?? now;
    if (!isTerminal(view.status)) response.setHeader('Retry-After', retryAfterSeconds);
    response.status(200).json(view);
  } finally {
    watch?.close();
  }
}

/** 202 with where to look, or 200 if the job is terminal already and the client waited. */
function sendJob(response: Response, view: JobView, waitSeconds: number | undefined): void {
  const ended = isTerminal(view.status);
  response.setHeader('Location', view.links.self);
  if (waitSeconds !== undefined) response.setHeader('Preference-Applied', `wait=${waitSeconds}`);
  if (view.timing_ms !== null && waitSeconds !== undefined)
    response.setHeader('Server-Timing', serverTiming(view.timing_ms));
  if (!ended) response.setHeader('Retry-After', retryAfterSeconds);
  response.status(ended && waitSeconds !== undefined ? 200 : 202).json(view);
}

/** Sleeps until the job is terminal, the time is over, the client hung up, or we stop. Undefined: not terminal. */
async function waitForEnd(
  context: Context,
  response: Response,
  watch: Watch,
  target: { readonly tenantId: string; readonly id: string; readonly waitSeconds: number },
): Promise<JobView | undefined> {
  const deadlineMs = performance.now() + target.waitSeconds * 1000;
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, context.stopping]);
  while (await watch.changed(deadlineMs, signal)) {
    const view = await loadView(context, target);
    if (view === undefined || isTerminal(view.status)) return view;
  }
  return undefined;
}

async function loadView(
  { loader }: Context,
  target: { readonly tenantId: string; readonly id: string },
): Promise<JobView | undefined> {
  const found: JobWithAnalyses | undefined = await loader.load(target.tenantId, target.id);
  return found && toJobView(found.job, found.analyses);
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
