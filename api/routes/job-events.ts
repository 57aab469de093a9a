// The life of a job as server-sent events. The ledger is the only source: a stream holds nothing but its place in it,
// so it can be cut anywhere, and go on at another process.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { asTenant, isUnavailable } from '../../db/client.ts';
import { type JobEventRow, listJobEvents } from '../../db/job-events.ts';
import { getJobVersion, type JobVersion } from '../../db/jobs.ts';
import { formatJobId, terminalStatuses } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import { hangUp } from '../await-job.ts';
import type { Context } from '../context.ts';
import { jobNotFound, type JobName, readJobName } from '../job-name.ts';
import { refuseMethod } from '../problem-handler.ts';
import { validate } from '../validate.ts';
import type { Watch } from '../wait.ts';

/** Proxies close connections on which nothing is said for half a minute or more. */
const heartbeatMs = 15_000;
/** How soon a client should come back, and how soon a stream asks again after the ledger was away. */
const retryMs = 1000;
const eventsPerReadMax = 100;

const terminalTypes: ReadonlySet<string> = new Set(terminalStatuses.map((status) => `job.${status}`));

const sequence = z.coerce.number().int().min(0).max(2_147_483_647);
const querySchema = z.strictObject({ after: sequence.optional() });

export function jobEventRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/jobs/:id/events')
    .get((request, response) => streamEvents(context, request, response))
    .all(refuseMethod('GET'));
  return router;
}

async function streamEvents(context: Context, request: Request, response: Response): Promise<void> {
  const name = readJobName(request);
  const after = readPlace(request);
  // Before the first look, so that nothing happens between it and the first wait.
  const watch = context.watcher.watch(name.id, 'every move');
  try {
    const version = await findVersion(context, name);
    if (version === undefined) throw jobNotFound();
    const over = terminalTypes.has(`job.${version.status}`) && after >= version.eventSequence;
    // 204 keeps an EventSource from coming back again and again.
    if (over) return void response.status(204).end();
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    response.write(`retry: ${retryMs}\n\n`);
    await follow(context, { name, after, watch }, response);
    response.end();
  } finally {
    watch.close();
  }
}

/** Writes what is new, sleeps until there is more, and returns after the terminal event or when nobody listens. */
async function follow(
  context: Context,
  { name, after, watch }: { name: JobName; after: number; watch: Watch },
  response: Response,
): Promise<void> {
  const signal = AbortSignal.any([hangUp(response), context.stopping]);
  let place = after;
  let woken = false;
  while (!signal.aborted) {
    const events = await readEvents(context, name, place);
    for (const event of events ?? []) {
      response.write(toMessage(event));
      place = event.sequence;
      if (terminalTypes.has(event.type)) return;
    }
    if (events?.length === eventsPerReadMax) continue;
    if (events?.length === 0 && woken && (await isErased(context, name))) return;
    const sleepMs = events === undefined ? retryMs : heartbeatMs;
    woken = await watch.changed(performance.now() + sleepMs, signal);
    if (!woken && !signal.aborted) response.write(': still there\n\n');
  }
}

/** Undefined while the ledger is away: a stream that has begun outlasts that. */
function readEvents(context: Context, name: JobName, after: number): Promise<JobEventRow[] | undefined> {
  return asTenant(context.readers, name.tenantId, (reader) =>
    listJobEvents(reader, name, after, eventsPerReadMax),
  ).catch((error: unknown) => {
    if (!isUnavailable(error)) throw error;
    context.log.warn({ err: error }, 'an event stream waits for the ledger');
    return undefined;
  });
}

async function isErased(context: Context, name: JobName): Promise<boolean> {
  return (await findVersion(context, name).catch(() => 'unknown')) === undefined;
}

function findVersion({ readers }: Context, { tenantId, id }: JobName): Promise<JobVersion | undefined> {
  return asTenant(readers, tenantId, (reader) => getJobVersion(reader, tenantId, id));
}

function toMessage({ sequence: number, type, jobId, at, data }: JobEventRow): string {
  const body = { type, sequence: number, job_id: formatJobId(jobId), at: at.toISOString(), data };
  return `id: ${number}\nevent: ${type}\ndata: ${JSON.stringify(body)}\n\n`;
}

/** The last event that the client has: its `Last-Event-ID`, else `?after=`, else 0. */
function readPlace(request: Request): number {
  const { after = 0 } = validate(querySchema, request.query, '?');
  const last = request.get('Last-Event-ID');
  if (last === undefined || last === '') return after;
  const parsed = sequence.safeParse(last);
  if (!parsed.success) throw new ProblemError('invalid_header', 'Last-Event-ID is the id of an event');
  return parsed.data;
}
