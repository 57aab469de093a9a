// Server-sent events from the ledger, of a job or of a batch. The ledger is the only source: a stream holds nothing but
// its place in it, so it can be cut anywhere, and go on at another process.

import type { Request, Response } from 'express';
import { z } from 'zod';
import { isUnavailable } from '../db/client.ts';
import { ProblemError } from '../shared/problem.ts';
import { hangUp } from './await-job.ts';
import type { Context } from './context.ts';
import { validate } from './validate.ts';
import type { Watch } from './wait.ts';
import { queryInteger } from './query-number.ts';

/** Proxies close connections on which nothing is said for half a minute or more. */
export const heartbeatMs = 15_000;
/** How soon a client should come back, and how soon a stream asks again after the ledger was away. */
const retryMs = 1000;
const eventsPerReadMax = 100;

const sequence = queryInteger(0, 2_147_483_647);
const querySchema = z.strictObject({ after: sequence.optional() });

interface StreamedEvent {
  readonly sequence: number;
  readonly type: string;
  readonly data: unknown;
  readonly at: Date;
}

/** What the events are of. */
export interface EventSource {
  readonly id: string;
  /** Whether it has ended, and the number of its last event; undefined if it is not there. */
  readonly version: () => Promise<{ readonly ended: boolean; readonly eventSequence: number } | undefined>;
  readonly list: (after: number, limit: number) => Promise<readonly StreamedEvent[]>;
  readonly isLast: (type: string) => boolean;
  /** What the events call it, e.g. `{ job_id }`. */
  readonly named: Readonly<Record<string, string>>;
  readonly notFound: () => ProblemError;
}

/** Answers with the events of `source` until its last one, from the place that the client has come to. */
export async function streamEvents(
  context: Context,
  source: EventSource,
  request: Request,
  response: Response,
): Promise<void> {
  const after = readPlace(request);
  // Before the first look, so that nothing happens between it and the first wait.
  const watch = context.watcher.watch(source.id, 'every move');
  try {
    const version = await source.version();
    if (version === undefined) throw source.notFound();
    // 204 keeps an EventSource from coming back again and again.
    if (version.ended && after >= version.eventSequence) return void response.status(204).end();
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    response.write(`retry: ${retryMs}\n\n`);
    await follow(context, { source, after, watch }, response);
    response.end();
  } finally {
    watch.close();
  }
}

/** Writes what is new, sleeps until there is more, and returns after the last event or when nobody listens. */
async function follow(
  context: Context,
  { source, after, watch }: { source: EventSource; after: number; watch: Watch },
  response: Response,
): Promise<void> {
  const signal = AbortSignal.any([hangUp(response), context.stopping]);
  let place = after;
  let woken = false;
  while (!signal.aborted) {
    const events = await readEvents(context, source, place);
    for (const event of events ?? []) {
      response.write(toMessage(event, source.named));
      place = event.sequence;
      if (source.isLast(event.type)) return;
    }
    if (events?.length === eventsPerReadMax) continue;
    if (events?.length === 0 && woken && (await isErased(source))) return;
    const sleepMs = events === undefined ? retryMs : heartbeatMs;
    woken = await watch.changed(performance.now() + sleepMs, signal);
    if (!woken && !signal.aborted) response.write(': still there\n\n');
  }
}

/** Undefined while the ledger is away: a stream that has begun outlasts that. */
function readEvents(
  context: Context,
  source: EventSource,
  after: number,
): Promise<readonly StreamedEvent[] | undefined> {
  return source.list(after, eventsPerReadMax).catch((error: unknown) => {
    if (!isUnavailable(error)) throw error;
    context.log.warn({ err: error }, 'an event stream waits for the ledger');
    return undefined;
  });
}

async function isErased(source: EventSource): Promise<boolean> {
  return (await source.version().catch(() => 'unknown')) === undefined;
}

function toMessage(
  { sequence: number, type, at, data }: StreamedEvent,
  named: Readonly<Record<string, string>>,
): string {
  const body = { type, sequence: number, ...named, at: at.toISOString(), data };
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
