// The part of the OpenAPI document that is about files: upload, look, list, content, delete.

import { z } from 'zod';
import { fileListQuerySchema, fileUploadQuerySchema } from './batch-queries.ts';
import { deletedSchema, filePageSchema, fileViewSchema } from './batch-view.ts';
import { batchLines } from './openapi-batches.ts';
import type { Answers, Paths } from './openapi-security.ts';
import type { ProblemCode } from '../shared/problem.ts';

const lookProblems: readonly ProblemCode[] = ['file_not_found', 'internal_error', 'ledger_unavailable'];
const params = z.object({
  id: z.string().meta({ example: 'file_01990a6e-7c00-7000-8000-000000000001' }),
});
const file = fileViewSchema.meta({ id: 'File' });
const json = (description: string, schema: z.ZodType) => ({
  description,
  content: { 'application/json': { schema } },
});

export function registerFiles(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'post',
    path: '/v1/files',
    operationId: 'createFile',
    tags: ['Files'],
    summary: 'Upload lines for batches',
    description:
      'The body is kept as it comes, and read when a batch names it. Of an upload that breaks off nothing remains.',
    request: {
      query: fileUploadQuerySchema,
      body: {
        required: true,
        content: { 'application/x-ndjson': { schema: z.string(), example: batchLines } },
      },
    },
    responses: {
      201: json('The file', file),
      ...answers([
        'malformed_request',
        'payload_too_large',
        'unsupported_media_type',
        'unsupported_encoding',
        'invalid_request',
        'internal_error',
        'ledger_unavailable',
      ]),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/files',
    operationId: 'listFiles',
    tags: ['Files'],
    summary: 'Files, newest first',
    request: { query: z.strictObject(fileListQuerySchema.shape) },
    responses: {
      200: json('A page of files', filePageSchema),
      ...answers(['invalid_request', 'internal_error', 'ledger_unavailable']),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/files/{id}',
    operationId: 'getFile',
    tags: ['Files'],
    summary: 'Look at a file',
    request: { params },
    responses: { 200: json('The file', file), ...answers(lookProblems) },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/files/{id}/content',
    operationId: 'getFileContent',
    tags: ['Files'],
    summary: 'The bytes of a file, as they were uploaded',
    request: { params },
    responses: {
      200: {
        description: 'The content, whatever its lines are',
        content: { 'application/x-ndjson': { schema: z.unknown(), example: batchLines } },
      },
      ...answers(lookProblems),
    },
  });
  paths.registerPath({
    method: 'delete',
    path: '/v1/files/{id}',
    operationId: 'deleteFile',
    tags: ['Files'],
    summary: 'Delete a file',
    description:
      'A batch that is still reading the file ends as `error`; what batches have read of it is theirs, and goes with them.',
    request: { params },
    responses: { 200: json('The file is gone', deletedSchema('file')), ...answers(lookProblems) },
  });
}
