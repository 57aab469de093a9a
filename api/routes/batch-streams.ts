// What streams out of a batch while it runs: its results, and its progress as server-sent events.

import { type Request, type Response, Router } from 'express';
import { once } from 'node:events';
import type { BatchName } from '../../db/batch-counting.ts';
import {
  findResult,
  firstPlace,
  listResults,
  listResultsByInput,
  type ResultPlace,
  type ResultRow,
} from '../../db/batch-results.ts';
import { type BatchVersion, getBatchVersion, listBatchEvents } from '../../db/batches.ts';
import { asTenant, isUnavailable, type Reader } from '../../db/client.ts';
import { formatBatchId } from '../../shared/batch.ts';
import { ProblemError } from '../../shared/problem.ts';
import { hangUp } from '../await-job.ts';
import { batchNotFound, readBatchName } from '../batch-name.ts';
import { resultsQuerySchema } from '../batch-queries.ts';
import { toResultLine } from '../batch-view.ts';
import type { Context } from '../context.ts';
import { type EventSource, heartbeatMs, streamEvents } from '../event-stream.ts';
import { refuseMethod } from '../problem-handler.ts';
import { invalidRequest, validate } from '../validate.ts';

/** How soon a stream asks again after the ledger was away. */
const retryMs = 1000;

export function batchStreamRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/batches/:id/results')
    .get((request, response) => streamResults(context, request, response))
    .all(refuseMethod('GET'));
  router
    .route('/v1/batches/:id/events')
    .get((request, response) => streamEvents(context, sourceOf(context, request), request, response))
    .all(refuseMethod('GET'));
  return router;
}

function sourceOf({ readers }: Context, request: Request): EventSource {
  const name = readBatchName(request);
  return {
    id: name.id,
    version: async () => {
      const found = await asTenant(readers, name.tenantId, (reader) => getBatchVersion(reader, name));
      return found && { ended: found.status === 'ended', eventSequence: found.eventSequence };
    },
    list: (after, limit) =>
      asTenant(readers, name.tenantId, (reader) => listBatchEvents(reader, name, after, limit)),
    isLast: (type) => type === 'batch.ended',
    named: { batch_id: formatBatchId(name.id) },
    notFound: batchNotFound,
  };
}

/** Where a stream has come to, in one of the two orders. */
interface Cursor {
  /** The results behind the place, which moves on behind them. */
  readonly next: (reader: Reader) => Promise<readonly ResultRow[]>;
  /** Whether the last page may have more behind it. */
  readonly more: () => boolean;
}

async function streamResults(context: Context, request: Request, response: Response): Promise<void> {
  const name = readBatchName(request);
  const query = validate(resultsQuerySchema, request.query, '?');
  const watch = context.watcher.watch(name.id, 'every move');
  try {
    const version = await look(context, name);
    if (version === undefined) throw batchNotFound();
    if (version.expiresAt <= new Date())
      throw new ProblemError(
        'result_expired',
        `The results were kept until ${version.expiresAt.toISOString()}`,
      );
    const cursor =
      query.order === 'input'
        ? inputCursor(name, query.after)
        : completionCursor(name, await findPlace(context, name, query.after));
    response.writeHead(200, {
      'Content-Type': 'application/x-ndjson',
      'Cache-Control': 'no-store',
      'X-Accel-Buffering': 'no',
    });
    response.flushHeaders();
    const signal = AbortSignal.any([hangUp(response), context.stopping]);
    while (!signal.aborted) {
      const state = await writeReady(context, { name, cursor, signal }, response);
      if (state === 'ended') break;
      const sleepMs = state === 'away' ? retryMs : heartbeatMs;
      const woken = await watch.changed(performance.now() + sleepMs, signal);
      if (!woken && !signal.aborted) response.write('\n');
    }
    // A stream that is cut because the process stops must not look like one that is whole.
    if (context.stopping.aborted) response.destroy();
    else response.end();
  } finally {
    watch.close();
  }
}

/** Writes what is ready. Whether the batch has ended is asked before, so that nothing is left behind. */
async function writeReady(
  context: Context,
  { name, cursor, signal }: { name: BatchName; cursor: Cursor; signal: AbortSignal },
  response: Response,
): Promise<'ended' | 'open' | 'away'> {
  try {
    const version = await look(context, name);
    do {
      const rows = await asTenant(context.readers, name.tenantId, cursor.next);
      const flowing = rows.length === 0 || response.write(rows.map(toResultLine).join(''));
      if (!flowing) await once(response, 'drain', { signal }).catch(() => undefined);
    } while (cursor.more() && !signal.aborted);
    return version === undefined || version.status === 'ended' ? 'ended' : 'open';
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    context.log.warn({ err: error }, 'a stream of results waits for the ledger');
    return 'away';
  }
}

function look({ readers }: Context, name: BatchName): Promise<BatchVersion | undefined> {
  return asTenant(readers, name.tenantId, (reader) => getBatchVersion(reader, name));
}

function inputCursor(name: BatchName, after: number | undefined): Cursor {
  let index = after ?? -1;
  let more = true;
  return {
    next: async (reader) => {
      const rows = await listResultsByInput(reader, name, index);
      index = rows.at(-1)?.index ?? index;
      more = rows.length > 0;
      return rows;
    },
    more: () => more,
  };
}

function completionCursor(name: BatchName, from: ResultPlace): Cursor {
  let place = from;
  let more = true;
  return {
    next: async (reader) => {
      const { rows, next } = await listResults(reader, name, place);
      more = next !== place;
      place = next;
      return rows;
    },
    more: () => more,
  };
}

/** Behind the result that the client has. */
async function findPlace(context: Context, name: BatchName, after: number | undefined): Promise<ResultPlace> {
  if (after === undefined) return firstPlace;
  const place = await asTenant(context.readers, name.tenantId, (reader) => findResult(reader, name, after));
  if (place !== undefined) return { ordinal: place.ordinal, itemIndex: place.itemIndex + 1 };
  const detail = 'The batch has no result of that index, or not yet';
  throw invalidRequest([{ pointer: '?/after', code: 'unknown_result', detail }]);
}
