// Submit a batch, look at it, wait for it, list, cancel, erase.

import { type Request, type RequestHandler, type Response, Router } from 'express';
import { cancelBatch, requestErasure } from '../../db/batch-control.ts';
import type { NewBatch } from '../../db/batch-intake.ts';
import type { BatchName } from '../../db/batch-counting.ts';
import { getBatch, listBatchPage, type RunningBatch } from '../../db/batches.ts';
import { asTenant } from '../../db/client.ts';
import { formatBatchId, parseBatchId, parseFileId } from '../../shared/batch.ts';
import { ProblemError } from '../../shared/problem.ts';
import { tenantOf } from '../authenticate.ts';
import { hangUp } from '../await-job.ts';
import { openFileBatch } from '../batch-from-file.ts';
import { batchNotFound, readBatchName } from '../batch-name.ts';
import { batchListQuerySchema, batchLookQuerySchema } from '../batch-queries.ts';
import { batchQuerySchema, batchRequestSchema, toNewBatch } from '../batch-request.ts';
import { fromBody, fromItems, isBroken, takeLines } from '../batch-upload.ts';
import { toBatchView } from '../batch-view.ts';
import type { Context } from '../context.ts';
import { toListPage } from '../list-page.ts';
import { refuseMethod } from '../problem-handler.ts';
import { readIdempotencyKey } from '../read-headers.ts';
import { parseJson, readBody } from '../read-json.ts';
import { checkUpload, lineTypes } from '../read-upload.ts';
import { invalidRequest, validate } from '../validate.ts';

/** Seconds after which a client that polls a batch should ask again. */
const retryAfterSeconds = '2';

export function batchRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/batches')
    .get((request, response) => showBatches(context, request, response))
    .post(
      takesLines((request, response) => submitLines(context, request, response)),
      ...readBody(context.config.BODY_BYTES_MAX),
      (request, response) => submitJson(context, request, response),
    )
    .all(refuseMethod('GET', 'POST'));
  router
    .route('/v1/batches/:id')
    .get((request, response) => showBatch(context, request, response))
    .delete((request, response) => erase(context, request, response))
    .all(refuseMethod('GET', 'DELETE'));
  router
    .route('/v1/batches/:id/cancel')
    .post((request, response) => cancel(context, request, response))
    .all(refuseMethod('POST'));
  return router;
}

/** A body of lines goes its own way; anything else is read as JSON. */
function takesLines(submit: (request: Request, response: Response) => Promise<void>): RequestHandler {
  return async (request, response, next) => {
    if (typeof request.is(lineTypes) !== 'string') return next();
    await submit(request, response);
  };
}

async function submitLines(context: Context, request: Request, response: Response): Promise<void> {
  checkUpload(request);
  const options = validate(batchQuerySchema, request.query, '?');
  const batch = toNewBatch(options, ownerOf(context, request, '?'));
  await admitWebhook(context, batch, '?/webhook/url');
  context.admission.check(batch.tenantId, batch.class);
  try {
    const { id, replayed } = await takeLines(context, request, response, { batch, source: fromBody });
    await sendAccepted(context, response, { tenantId: batch.tenantId, id }, replayed);
  } catch (error) {
    // Nobody is there to be answered; and after the status the only sign that is left is to hang up.
    if (!isBroken(error)) throw error;
    context.log.info({ err: error }, 'an upload broke off');
    request.destroy();
  }
}

async function submitJson(context: Context, request: Request, response: Response): Promise<void> {
  if (Object.keys(request.query).length > 0) {
    const detail = 'With a JSON body the options stand in the body';
    throw invalidRequest([{ pointer: '?', code: 'unknown_field', detail }]);
  }
  const { items, input_file_id: fileId, ...options } = validate(batchRequestSchema, parseJson(request));
  const owner = ownerOf(context, request, '');
  if (fileId !== undefined) {
    const batch = toNewBatch(options, { ...owner, fileId: parseFileId(fileId) ?? '' });
    await admitWebhook(context, batch, '/webhook/url');
    const { id, inserted } = await openFileBatch(context, request, response, batch);
    return sendAccepted(context, response, { tenantId: batch.tenantId, id }, !inserted);
  }
  const batch = toNewBatch(options, owner);
  await admitWebhook(context, batch, '/webhook/url');
  context.admission.check(batch.tenantId, batch.class);
  const source = fromItems(items ?? []);
  const { id, replayed } = await takeLines(context, request, response, { batch, source }).catch(inItems);
  await sendAccepted(context, response, { tenantId: batch.tenantId, id }, replayed);
}

/** @throws ProblemError as `Webhooks.admit`, if the batch's own webhook must not be called */
async function admitWebhook(
  { webhooks }: Context,
  { tenantId, webhook }: NewBatch,
  pointer: string,
): Promise<void> {
  if (webhook !== undefined) await webhooks.admit(tenantId, webhook.url, pointer);
}

/** Of a JSON body a pointer leads to the line. */
function inItems(error: unknown): never {
  if (!(error instanceof ProblemError) || error.code !== 'invalid_lines') throw error;
  throw new ProblemError(error.code, error.message, {
    errors: error.errors.map((fault) => ({
      ...fault,
      pointer: `/items/${(fault.line ?? 1) - 1}${fault.pointer}`,
    })),
    ...(error.invalidLines === undefined ? {} : { invalidLines: error.invalidLines }),
  });
}

function ownerOf(context: Context, request: Request, at: string) {
  return {
    tenantId: tenantOf(request),
    registry: context.registry,
    idempotencyKey: readIdempotencyKey(request),
    at,
  };
}

/** The 202, or its body where the status went out with the first lines. */
async function sendAccepted(
  context: Context,
  response: Response,
  name: BatchName,
  replayed: boolean,
): Promise<void> {
  const found = await find(context, name);
  if (found === undefined) throw batchNotFound();
  if (response.headersSent) return void response.end(JSON.stringify(toBatchView(found)));
  if (replayed) response.setHeader('Idempotent-Replayed', 'true');
  const id = formatBatchId(name.id);
  response.setHeader('Location', `/v1/batches/${id}`);
  response.setHeader('Batch-Id', id);
  sendBatch(response, found, 202);
}

function find({ readers }: Context, name: BatchName): Promise<RunningBatch | undefined> {
  return asTenant(readers, name.tenantId, (reader) => getBatch(reader, name));
}

function sendBatch(response: Response, found: RunningBatch, status: 200 | 202): void {
  if (found.batch.status !== 'ended') response.setHeader('Retry-After', retryAfterSeconds);
  response.status(status).json(toBatchView(found));
}

async function showBatch(context: Context, request: Request, response: Response): Promise<void> {
  const name = readBatchName(request);
  const { wait = 0 } = validate(batchLookQuerySchema, request.query, '?');
  const deadlineMs = performance.now() + wait * 1000;
  const { stopping } = context;
  const signal = wait === 0 ? stopping : AbortSignal.any([hangUp(response), stopping]);
  const watch = context.watcher.watch(name.id);
  try {
    let found = await find(context, name);
    while (found !== undefined && found.batch.status !== 'ended' && (await watch.changed(deadlineMs, signal)))
      found = await find(context, name);
    if (found === undefined) throw batchNotFound();
    sendBatch(response, found, 200);
  } finally {
    watch.close();
  }
}

async function showBatches({ readers }: Context, request: Request, response: Response): Promise<void> {
  const { limit, after, before, ...filter } = validate(batchListQuerySchema, request.query, '?');
  const place = { limit, after: after && parseBatchId(after), before: before && parseBatchId(before) };
  const tenantId = tenantOf(request);
  const page = await asTenant(readers, tenantId, (reader) => listBatchPage(reader, tenantId, filter, place));
  response.json(toListPage(page.batches.map(toBatchView), page.hasMore));
}

async function cancel(context: Context, request: Request, response: Response): Promise<void> {
  const name = readBatchName(request);
  const before = await cancelBatch(context.changers, name);
  if (before === undefined) throw batchNotFound();
  if (before.status === 'ended' && before.endReason !== 'canceled')
    throw new ProblemError('batch_already_ended', `The batch has ended: ${before.endReason}`);
  const found = await find(context, name);
  if (found === undefined) throw batchNotFound();
  sendBatch(response, found, found.batch.status === 'ended' ? 200 : 202);
}

async function erase(context: Context, request: Request, response: Response): Promise<void> {
  const name = readBatchName(request);
  if (!(await requestErasure(context.changers, name))) throw batchNotFound();
  response.status(202).json({ id: formatBatchId(name.id), object: 'batch', deleted: true });
}
