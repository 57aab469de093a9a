// The part of the OpenAPI document that is OpenAI's dialect. Its errors are in OpenAI's form, not ours.

import { z } from 'zod';
import { deletedSchema } from './batch-view.ts';
import type { Paths } from './openapi-security.ts';
import { openaiBatchSchema, openaiFileSchema } from './openai-view.ts';
import { openaiBatchRequestSchema, openaiListQuerySchema } from './routes/openai.ts';

const params = z.object({ id: z.string() });
const errorSchema = z
  .object({
    error: z.object({
      message: z.string(),
      type: z.string(),
      param: z.string().nullable(),
      code: z.string(),
    }),
  })
  .meta({ id: 'OpenaiError' });
const file = openaiFileSchema.meta({ id: 'OpenaiFile' });
const batch = openaiBatchSchema.meta({ id: 'OpenaiBatch' });
const json = (description: string, schema: z.ZodType) => ({
  description,
  content: { 'application/json': { schema } },
});
const pageOf = (data: z.ZodType) =>
  z.object({
    object: z.literal('list'),
    data: z.array(data),
    has_more: z.boolean(),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
  });

/** The problem answers of the dialect, by status. */
function errors(...statuses: number[]) {
  const described: Readonly<Record<number, string>> = {
    400: 'The form or the body cannot be read',
    404: 'There is no such file or batch',
    405: 'An output file goes with its batch',
    409: 'The batch has already ended',
    413: 'The file is too large',
    415: 'The body has another form',
    422: 'The request is well formed but invalid',
    429: 'Too many requests or items',
    503: 'More comes in than can be done, or the ledger is away',
  };
  return Object.fromEntries(statuses.map((status) => [status, json(described[status] ?? '', errorSchema)]));
}

export function registerOpenai(paths: Paths): void {
  registerFiles(paths);
  registerBatches(paths);
}

function registerFiles(paths: Paths): void {
  const tags = ["OpenAI's dialect"];
  const form = z.object({
    file: z.string().meta({ format: 'binary' }),
    purpose: z.literal('batch'),
  });
  paths.registerPath({
    method: 'post',
    path: '/openai/v1/files',
    operationId: 'openaiCreateFile',
    tags,
    summary: 'Upload a file of requests',
    request: { body: { required: true, content: { 'multipart/form-data': { schema: form } } } },
    responses: { 200: json('The file', file), ...errors(400, 413, 415, 422, 503) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/files',
    operationId: 'openaiListFiles',
    tags,
    summary: 'Files, newest first',
    request: { query: openaiListQuerySchema },
    responses: { 200: json('A page of files', pageOf(file)), ...errors(422, 503) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/files/{id}',
    operationId: 'openaiGetFile',
    tags,
    summary: 'Look at a file',
    request: { params },
    responses: { 200: json('The file', file), ...errors(404, 503) },
  });
  paths.registerPath({
    method: 'delete',
    path: '/openai/v1/files/{id}',
    operationId: 'openaiDeleteFile',
    tags,
    summary: 'Delete a file',
    request: { params },
    responses: { 200: json('The file is gone', deletedSchema('file')), ...errors(404, 405, 503) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/files/{id}/content',
    operationId: 'openaiGetFileContent',
    tags,
    summary: 'The content of a file; of an output file, the results in the form of the endpoint',
    request: { params },
    responses: {
      200: { description: 'The content', content: { 'application/octet-stream': { schema: z.string() } } },
      ...errors(404, 503),
    },
  });
}

function registerBatches(paths: Paths): void {
  const tags = ["OpenAI's dialect"];
  paths.registerPath({
    method: 'post',
    path: '/openai/v1/batches',
    operationId: 'openaiCreateBatch',
    tags,
    summary: 'Run the requests of a file',
    description:
      'Lines are `{custom_id, method, url, body: {model, input, user?, metadata?}}`; `url` is the endpoint of the batch, `model` the kind that stands there, `input` one text. A bad line fails the batch; what has not run after 24 hours expires.',
    request: {
      body: { required: true, content: { 'application/json': { schema: openaiBatchRequestSchema } } },
    },
    responses: { 200: json('The batch', batch), ...errors(400, 404, 413, 415, 422, 429, 503) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/batches',
    operationId: 'openaiListBatches',
    tags,
    summary: 'Batches of this dialect, newest first',
    request: { query: openaiListQuerySchema },
    responses: { 200: json('A page of batches', pageOf(batch)), ...errors(422, 503) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/batches/{id}',
    operationId: 'openaiGetBatch',
    tags,
    summary: 'Look at a batch',
    request: { params },
    responses: { 200: json('The batch', batch), ...errors(404, 503) },
  });
  paths.registerPath({
    method: 'post',
    path: '/openai/v1/batches/{id}/cancel',
    operationId: 'openaiCancelBatch',
    tags,
    summary: 'Cancel a batch',
    request: { params },
    responses: { 200: json('The batch', batch), ...errors(404, 409, 503) },
  });
}
