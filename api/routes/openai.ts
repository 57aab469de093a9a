// OpenAI's files and batches over our own: the paths, shapes and errors that its SDKs know, at `/openai/v1`.

import { type ErrorRequestHandler, type Request, type Response, Router } from 'express';
import { once } from 'node:events';
import { z } from 'zod';
import { cancelBatch } from '../../db/batch-control.ts';
import type { BatchName } from '../../db/batch-counting.ts';
import { firstPlace, listResults } from '../../db/batch-results.ts';
import { getBatch, listBatchPage, type RunningBatch } from '../../db/batches.ts';
import { asTenant } from '../../db/client.ts';
import { deleteFile, getFile, getFileChunk, listFilePage } from '../../db/files.ts';
import { formatFileId, parseBatchId, parseFileId } from '../../shared/batch.ts';
import { limits } from '../../shared/job.ts';
import type { Logger } from '../../shared/log.ts';
import { kindOfEndpoint, openaiEndpoints } from '../../shared/openai-lines.ts';
import { ProblemError } from '../../shared/problem.ts';
import { metadata } from '../../shared/text-schema.ts';
import { tenantOf } from '../authenticate.ts';
import { hangUp } from '../await-job.ts';
import { openFileBatch } from '../batch-from-file.ts';
import { batchId, fileId } from '../batch-queries.ts';
import { batchNotFound, fileNotFound, readBatchName } from '../batch-name.ts';
import { toNewBatch } from '../batch-request.ts';
import type { Context } from '../context.ts';
import {
  type OutputKind,
  parseOutputId,
  toOpenaiBatch,
  toOpenaiFile,
  toOutputFile,
  toOutputLine,
} from '../openai-view.ts';
import { logProblem, refuseMethod, toProblem } from '../problem-handler.ts';
import { readIdempotencyKey } from '../read-headers.ts';
import { parseJson, readBody } from '../read-json.ts';
import { readMultipart } from '../read-multipart.ts';
import { storeFile } from '../store-file.ts';
import { validate } from '../validate.ts';
import { queryInteger } from '../query-number.ts';

/** The only window that OpenAI has; here it is the deadline. */
const windowMs = 24 * 3600 * 1000;

export const openaiBatchRequestSchema = z.strictObject({
  input_file_id: z.string(),
  endpoint: z
    .enum(Object.values(openaiEndpoints), { error: 'Is no endpoint that runs here' })
    .describe('/v1/embeddings (kind embedding), /v1/moderations (emotion) or /v1/responses (reasoning)'),
  completion_window: z.literal('24h'),
  metadata: metadata.nullish(),
});

// The SDKs send parameters that have no meaning here, so others are passed over.
const rows = queryInteger(1, 10_000).default(limits.pageJobsDefault);
export const openaiFilesQuerySchema = z.object({ limit: rows, after: fileId.optional() });
export const openaiBatchesQuerySchema = z.object({ limit: rows, after: batchId.optional() });

export function openaiRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/openai/v1/files')
    .post((request, response) => createFile(context, request, response))
    .get((request, response) => listFiles(context, request, response))
    .all(refuseMethod('GET', 'POST'));
  router
    .route('/openai/v1/files/:id')
    .get(async (request, response) => {
      const found = await findFile(context, request);
      response.json('kind' in found ? toOutputFile(found.kind, found.batch) : toOpenaiFile(found));
    })
    .delete((request, response) => removeFile(context, request, response))
    .all(refuseMethod('GET', 'DELETE'));
  router
    .route('/openai/v1/files/:id/content')
    .get((request, response) => sendContent(context, request, response))
    .all(refuseMethod('GET'));
  router
    .route('/openai/v1/batches')
    .post(...readBody(context.config.BODY_BYTES_MAX), (request, response) =>
      createBatch(context, request, response),
    )
    .get((request, response) => listBatches(context, request, response))
    .all(refuseMethod('GET', 'POST'));
  router
    .route('/openai/v1/batches/:id')
    .get(async (request, response) => {
      response.json(toOpenaiBatch(await findBatch(context, readBatchName(request))));
    })
    .all(refuseMethod('GET'));
  router
    .route('/openai/v1/batches/:id/cancel')
    .post((request, response) => cancel(context, request, response))
    .all(refuseMethod('POST'));
  return router;
}

const errorTypes: Readonly<Record<number, string>> = {
  429: 'rate_limit_error',
  500: 'server_error',
  503: 'server_error',
};

/** Errors under `/openai`, those of the gate too, in the form that the SDKs read; the codes are ours. */
export function openaiErrorHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = toProblem(error);
    logProblem(log, response, { error, problem });
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    response.status(problem.status).json(toForeignError(problem));
  };
}

/** A problem in OpenAI's form. */
export function toForeignError({ status, message, errors, code }: ProblemError) {
  const type = errorTypes[status] ?? 'invalid_request_error';
  return { error: { message, type, param: errors[0]?.pointer ?? null, code } };
}

async function createFile(context: Context, request: Request, response: Response): Promise<void> {
  const tenantId = tenantOf(request);
  const retention = limits.retentionSecondsDefault;
  const { stored, fields } = await readMultipart(
    request,
    context.config.BATCH_BYTES_MAX,
    (filename, pieces) =>
      storeFile(context, { tenantId, filename: filename.slice(0, 255) || 'batch.jsonl', retention, pieces }),
  );
  if (fields['purpose'] !== 'batch') {
    await deleteFile(context.bulk, stored);
    throw new ProblemError('invalid_request', 'The only purpose is batch');
  }
  const file = await asTenant(context.readers, tenantId, (reader) => getFile(reader, stored));
  if (file === undefined) throw fileNotFound();
  response.json(toOpenaiFile(file));
}

async function listFiles({ readers }: Context, request: Request, response: Response): Promise<void> {
  const query = validate(openaiFilesQuerySchema, request.query, '?');
  const place = placeOf(query, parseFileId);
  const tenantId = tenantOf(request);
  const page = await asTenant(readers, tenantId, (reader) => listFilePage(reader, tenantId, place));
  sendList(response, page.files.map(toOpenaiFile), page.hasMore);
}

/** A page of this dialect may be asked larger than ours are. */
function placeOf(
  { limit, after }: { readonly limit: number; readonly after?: string | undefined },
  parse: (id: string) => string | undefined,
) {
  return { limit: Math.min(limit, limits.pageJobsMax), after: after && parse(after) };
}

function sendList(response: Response, data: readonly { readonly id: string }[], hasMore: boolean): void {
  const [first, last] = [data[0]?.id ?? null, data.at(-1)?.id ?? null];
  response.json({ object: 'list', data, has_more: hasMore, first_id: first, last_id: last });
}

/** A stored file, or the batch whose results an output file is made of. */
async function findFile({ readers }: Context, request: Request) {
  const tenantId = tenantOf(request);
  const id = z.string().parse(request.params['id']);
  const output = parseOutputId(id);
  if (output !== undefined) {
    const name = { tenantId, id: output.batchId };
    const found = await asTenant(readers, tenantId, (reader) => getBatch(reader, name));
    if (found === undefined || found.batch.status !== 'ended') throw fileNotFound();
    return { kind: output.kind, batch: found.batch };
  }
  const uuid = parseFileId(id);
  const file =
    uuid === undefined
      ? undefined
      : await asTenant(readers, tenantId, (reader) => getFile(reader, { tenantId, id: uuid }));
  if (file === undefined) throw fileNotFound();
  return file;
}

async function removeFile(context: Context, request: Request, response: Response): Promise<void> {
  const found = await findFile(context, request);
  // An output file is a view of results, which go with the batch.
  if ('kind' in found)
    throw new ProblemError('method_not_allowed', 'Delete the batch, and its results go with it', {
      headers: { Allow: 'GET' },
    });
  await deleteFile(context.bulk, found);
  response.json({ id: formatFileId(found.id), object: 'file', deleted: true });
}

async function sendContent(context: Context, request: Request, response: Response): Promise<void> {
  const found = await findFile(context, request);
  const gone = hangUp(response);
  response.setHeader('Content-Type', 'application/octet-stream');
  const pieces = 'kind' in found ? outputLines(context, found.batch, found.kind) : chunksOf(context, found);
  for await (const piece of pieces) {
    if (gone.aborted) return;
    if (!response.write(piece)) await once(response, 'drain', { signal: gone }).catch(() => undefined);
  }
  response.end();
}

async function* chunksOf({ bulk }: Context, name: BatchName): AsyncGenerator<Buffer> {
  for (let index = 0; ; index++) {
    const chunk = await getFileChunk(bulk, name, index);
    if (chunk === undefined) return;
    yield chunk;
  }
}

async function* outputLines(
  { readers }: Context,
  batch: RunningBatch['batch'],
  kind: OutputKind,
): AsyncGenerator<string> {
  let place = firstPlace;
  for (;;) {
    const from = place;
    const { rows, next } = await asTenant(readers, batch.tenantId, (reader) =>
      listResults(reader, batch, from),
    );
    const wanted = rows.filter((row) => (row.output !== null) === (kind === 'output'));
    if (wanted.length > 0) yield wanted.map((row) => toOutputLine(row, batch.kind)).join('');
    if (next === from) return;
    place = next;
  }
}

async function createBatch(context: Context, request: Request, response: Response): Promise<void> {
  const asked = validate(openaiBatchRequestSchema, parseJson(request));
  const input = parseFileId(asked.input_file_id);
  if (input === undefined) throw fileNotFound();
  const now = new Date();
  const batch = toNewBatch(
    {
      kind: kindOfEndpoint(asked.endpoint) ?? '',
      on_invalid: 'reject',
      priority: 'low',
      deadline_at: new Date(now.getTime() + windowMs).toISOString(),
      options: {},
      metadata: asked.metadata ?? {},
      store_input: true,
      retention_seconds: limits.retentionSecondsDefault,
    },
    {
      tenantId: tenantOf(request),
      registry: context.registry,
      idempotencyKey: readIdempotencyKey(request),
      fileId: input,
      dialect: 'openai',
      at: '',
    },
  );
  const { id } = await openFileBatch(context, request, response, batch);
  response.json(toOpenaiBatch(await findBatch(context, { tenantId: batch.tenantId, id })));
}

/** @throws ProblemError `batch_not_found` */
async function findBatch({ readers }: Context, name: BatchName): Promise<RunningBatch> {
  const found = await asTenant(readers, name.tenantId, (reader) => getBatch(reader, name));
  if (found === undefined) throw batchNotFound();
  return found;
}

async function listBatches({ readers }: Context, request: Request, response: Response): Promise<void> {
  const query = validate(openaiBatchesQuerySchema, request.query, '?');
  const place = placeOf(query, parseBatchId);
  const tenantId = tenantOf(request);
  const page = await asTenant(readers, tenantId, (reader) =>
    listBatchPage(reader, tenantId, { dialect: 'openai' }, place),
  );
  sendList(response, page.batches.map(toOpenaiBatch), page.hasMore);
}

async function cancel(context: Context, request: Request, response: Response): Promise<void> {
  const name = readBatchName(request);
  const before = await cancelBatch(context.changers, name);
  if (before === undefined) throw batchNotFound();
  if (before.status === 'ended' && before.endReason !== 'canceled')
    throw new ProblemError('batch_already_ended', `The batch has ended: ${before.endReason}`);
  response.json(toOpenaiBatch(await findBatch(context, name)));
}
