// The part of the OpenAPI document that is OpenAI's dialect. Its errors are in OpenAI's form, not ours; their codes are.

import { z } from 'zod';
import type { ProblemCode } from '../shared/problem.ts';
import { deletedSchema } from './batch-view.ts';
import type { Answers, Paths } from './openapi-security.ts';
import { idempotencyKeyHeader } from './read-headers.ts';
import { openaiBatchSchema, openaiFileSchema } from './openai-view.ts';
import {
  openaiBatchesQuerySchema,
  openaiBatchRequestSchema,
  openaiFilesQuerySchema,
} from './routes/openai.ts';

const fileId = 'file_01990a6e-7c00-7000-8000-000000000001';
const fileParams = z.object({ id: z.string().meta({ example: fileId }) });
const batchParams = z.object({
  id: z.string().meta({ example: 'batch_01990a6e-7c00-7000-8000-000000000001' }),
});

export const openaiErrorSchema = z
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

const always: readonly ProblemCode[] = ['internal_error', 'ledger_unavailable'];
const ofFile: readonly ProblemCode[] = ['file_not_found', ...always];
const ofBatch: readonly ProblemCode[] = ['batch_not_found', ...always];
const ofBody: readonly ProblemCode[] = [
  'malformed_request',
  'payload_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'invalid_request',
];
const tags = ["OpenAI's dialect"];
const requestLines = `{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"embedding","input":"I finally got the job!"}}
`;

/** @param answers the errors of an operation in this dialect, by their codes */
export function registerOpenai(paths: Paths, answers: Answers): void {
  registerUpload(paths, answers);
  registerFiles(paths, answers);
  registerBatches(paths, answers);
}

function registerUpload(paths: Paths, answers: Answers): void {
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
    request: {
      body: {
        required: true,
        content: {
          'multipart/form-data': { schema: form, example: { purpose: 'batch', file: requestLines } },
        },
      },
    },
    responses: { 200: json('The file', file), ...answers([...ofBody, ...always]) },
  });
}

function registerFiles(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/files',
    operationId: 'openaiListFiles',
    tags,
    summary: 'Files, newest first',
    request: { query: openaiFilesQuerySchema },
    responses: { 200: json('A page of files', pageOf(file)), ...answers(['invalid_request', ...always]) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/files/{id}',
    operationId: 'openaiGetFile',
    tags,
    summary: 'Look at a file',
    request: { params: fileParams },
    responses: { 200: json('The file', file), ...answers(ofFile) },
  });
  paths.registerPath({
    method: 'delete',
    path: '/openai/v1/files/{id}',
    operationId: 'openaiDeleteFile',
    tags,
    summary: 'Delete a file',
    request: { params: fileParams },
    responses: {
      200: json('The file is gone', deletedSchema('file')),
      ...answers(['method_not_allowed', ...ofFile]),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/files/{id}/content',
    operationId: 'openaiGetFileContent',
    tags,
    summary: 'The content of a file; of an output file, the results in the form of the endpoint',
    request: { params: fileParams },
    responses: {
      200: {
        description: 'The content',
        content: { 'application/octet-stream': { schema: z.string(), example: requestLines } },
      },
      ...answers(ofFile),
    },
  });
}

function registerBatches(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'post',
    path: '/openai/v1/batches',
    operationId: 'openaiCreateBatch',
    tags,
    summary: 'Run the requests of a file',
    description:
      'Lines are `{custom_id, method, url, body: {model, input, user?, metadata?}}`; `url` is the endpoint of the batch, `model` the kind that stands there, `input` one text. A bad line fails the batch; what has not run after 24 hours expires.',
    request: {
      headers: z.object({
        'Idempotency-Key': idempotencyKeyHeader,
      }),
      body: {
        required: true,
        content: {
          'application/json': {
            schema: openaiBatchRequestSchema,
            example: { input_file_id: fileId, endpoint: '/v1/embeddings', completion_window: '24h' },
          },
        },
      },
    },
    responses: {
      200: json('The batch', batch),
      ...answers([
        ...ofBody,
        'malformed_json',
        'invalid_encoding',
        'invalid_header',
        'idempotency_key_reused',
        'quota_exceeded',
        'overloaded',
        ...ofFile,
      ]),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/batches',
    operationId: 'openaiListBatches',
    tags,
    summary: 'Batches of this dialect, newest first',
    request: { query: openaiBatchesQuerySchema },
    responses: { 200: json('A page of batches', pageOf(batch)), ...answers(['invalid_request', ...always]) },
  });
  paths.registerPath({
    method: 'get',
    path: '/openai/v1/batches/{id}',
    operationId: 'openaiGetBatch',
    tags,
    summary: 'Look at a batch',
    request: { params: batchParams },
    responses: { 200: json('The batch', batch), ...answers(ofBatch) },
  });
  paths.registerPath({
    method: 'post',
    path: '/openai/v1/batches/{id}/cancel',
    operationId: 'openaiCancelBatch',
    tags,
    summary: 'Cancel a batch',
    request: { params: batchParams },
    responses: { 200: json('The batch', batch), ...answers(['batch_already_ended', ...ofBatch]) },
  });
}
