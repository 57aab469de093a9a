// The part of the OpenAPI document that is about batches: submit, look, list, results, cancel, erase, events.

import { z } from 'zod';
import { batchListQuerySchema, batchLookQuerySchema, resultsQuerySchema } from './batch-queries.ts';
import { batchBodySchema, batchQuerySchema } from './batch-request.ts';
import { batchPageSchema, batchResultSchema, batchViewSchema, deletedSchema } from './batch-view.ts';
import { batchLimits } from '../shared/batch.ts';
import type { ProblemCode } from '../shared/problem.ts';
import { streamedEventSchema } from './openapi-jobs.ts';
import type { Answers, Paths } from './openapi-security.ts';
import { idempotencyKeyHeader } from './read-headers.ts';

export const batchLines = `{"custom_id":"1","text":"I finally got the job!"}
{"custom_id":"2","text":"Nobody came, and I had baked all day.","user_id":"ada","metadata":{"row":"17"}}
`;
const resultLines = `{"index":0,"custom_id":"1","status":"succeeded","output":{},"job_id":"job_01990a6e-7c00-7000-8000-000000000001"}
{"index":1,"custom_id":"2","status":"failed","error":{"code":"invalid_type","detail":"Expected string","pointer":"/text"},"job_id":null}
`;

const batch = batchViewSchema.meta({ id: 'Batch' });
const lookProblems: readonly ProblemCode[] = ['batch_not_found', 'internal_error', 'ledger_unavailable'];
const exampleId = 'batch_01990a6e-7c00-7000-8000-000000000001';
const params = z.object({ id: z.string().meta({ example: exampleId }) });
const kindParameter = batchQuerySchema.shape.kind.meta({ example: 'emotion' });
const eventExample = `retry: 1000

id: 1
event: batch.validating
data: {"type":"batch.validating","sequence":1,"batch_id":"${exampleId}","at":"2026-11-24T18:00:00.000Z","data":{}}

`;

export function registerBatches(paths: Paths, answers: Answers): void {
  registerSubmit(paths, answers);
  registerLooks(paths, answers);
  registerResults(paths, answers);
  registerControl(paths, answers);
}

function ok(description: string, schema: z.ZodType) {
  return { description, content: { 'application/json': { schema } } };
}

const submitDescription = `Up to ${batchLimits.linesMax.toLocaleString('en')} lines, as \`items\` or \`input_file_id\` of a JSON body, or streamed as an \`application/x-ndjson\` body with the options in the query (which a JSON body refuses). A line is \`{custom_id, text, user_id?, metadata?}\` in UTF-8; lines end with LF or CRLF, empty ones are passed over, and a byte order mark at the start is.

With \`on_invalid=reject\` nothing runs before the last line has been read and found good; else one 422 \`invalid_lines\` names up to ${batchLimits.badLinesToldMax} bad lines, and of an upload that breaks off nothing remains. With \`on_invalid=skip\` lines run while the upload goes on; the status, \`Location\` and \`Batch-Id\` are sent with the first lines, the body when all are read. A file is read after the answer: the batch is \`validating\` and, with \`reject\` and a bad line, ends as \`invalid\` with the lines in \`errors\`.

With an \`Idempotency-Key\` the same lines can be sent again for 24 hours: what was recorded is not recorded twice, and an upload that broke off goes on where it was. A second upload under the key takes the batch over from one that still runs, which is refused with 409 \`batch_superseded\`. Send lines of one person next to each other: lines share a job, and so a database row, with those of the same \`user_id\` among the next thousand.`;

function registerSubmit(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'post',
    path: '/v1/batches',
    operationId: 'createBatch',
    tags: ['Batches'],
    summary: 'Submit a batch',
    description: submitDescription,
    request: {
      query: batchQuerySchema.extend({ kind: kindParameter }).partial(),
      headers: z.object({
        'Idempotency-Key': idempotencyKeyHeader,
      }),
      body: {
        required: true,
        content: {
          'application/json': {
            schema: batchBodySchema.meta({
              id: 'BatchRequest',
              oneOf: [{ required: ['items'] }, { required: ['input_file_id'] }],
            }),
            example: { kind: 'emotion', items: [{ custom_id: '1', text: 'I finally got the job!' }] },
          },
          'application/x-ndjson': { schema: z.string(), example: batchLines },
        },
      },
    },
    responses: {
      202: ok('The batch is recorded; `Location` says where to look', batch),
      ...answers([
        'malformed_request',
        'malformed_json',
        'invalid_encoding',
        'invalid_header',
        'file_not_found',
        'batch_superseded',
        'payload_too_large',
        'unsupported_media_type',
        'unsupported_encoding',
        'invalid_request',
        'invalid_lines',
        'idempotency_key_reused',
        'quota_exceeded',
        'internal_error',
        'ledger_unavailable',
        'overloaded',
        'webhooks_unavailable',
      ]),
    },
  });
}

function registerLooks(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'get',
    path: '/v1/batches',
    operationId: 'listBatches',
    tags: ['Batches'],
    summary: 'Batches, newest first',
    request: { query: z.strictObject(batchListQuerySchema.shape) },
    responses: {
      200: ok('A page of batches', batchPageSchema),
      ...answers(['invalid_request', 'internal_error', 'ledger_unavailable']),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/batches/{id}',
    operationId: 'getBatch',
    tags: ['Batches'],
    summary: 'Look at a batch, or wait for it',
    request: { params, query: batchLookQuerySchema },
    responses: {
      200: ok('The batch as it is', batch),
      ...answers([...lookProblems, 'invalid_request']),
    },
  });
}

function registerResults(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'get',
    path: '/v1/batches/{id}/results',
    operationId: 'streamBatchResults',
    tags: ['Batches'],
    summary: 'The results, a line each, while the batch still runs',
    description:
      'Streams one JSON object per line of the batch: what is ready at once, the others as they come, until the batch has ended; while nothing comes, an empty line each 15 seconds shows that the stream lives. Cut off, go on with `after=` and the `index` of the last line that you have, in the same `order`. Lines of jobs that were erased are left out.',
    request: { params, query: resultsQuerySchema },
    responses: {
      200: {
        description: 'The results',
        content: {
          'application/x-ndjson': {
            schema: batchResultSchema.meta({ id: 'BatchResult' }),
            example: resultLines,
          },
        },
      },
      ...answers([...lookProblems, 'invalid_request', 'result_expired']),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/batches/{id}/events',
    operationId: 'streamBatchEvents',
    tags: ['Batches'],
    summary: 'The progress of a batch, as server-sent events',
    description:
      '`batch.validating`, `batch.in_progress`, `batch.progress` (with the counts, at most one each half second), `batch.canceling`, and `batch.ended`, after which the stream ends. Resumes from `Last-Event-ID` or `?after=` as the events of a job do.',
    request: {
      params,
      query: z.object({
        after: z.int().min(0).max(2_147_483_647).optional().describe('As `Last-Event-ID`, which goes first'),
      }),
      headers: z.object({
        'Last-Event-ID': z
          .string()
          .meta({ pattern: '^[0-9]{0,9}$' })
          .optional()
          .describe('The `id` of the last event that you have'),
      }),
    },
    responses: {
      200: {
        description: 'The events',
        content: { 'text/event-stream': { schema: streamedEventSchema, example: eventExample } },
      },
      204: { description: 'The batch has ended and you have all of its events' },
      ...answers([...lookProblems, 'invalid_request', 'invalid_header']),
    },
  });
}

function registerControl(paths: Paths, answers: Answers): void {
  paths.registerPath({
    method: 'post',
    path: '/v1/batches/{id}/cancel',
    operationId: 'cancelBatch',
    tags: ['Batches'],
    summary: 'Cancel a batch',
    description:
      'Nothing more of it starts. What is done is kept and can be read; lines that did not run end as `canceled`. 202 until all of them have, 200 for a batch that is canceled.',
    request: { params },
    responses: {
      200: ok('The batch is canceled', batch),
      202: ok('The batch will be canceled; wait for it with `GET /v1/batches/{id}?wait=N`', batch),
      ...answers([...lookProblems, 'batch_already_ended']),
    },
  });
  paths.registerPath({
    method: 'delete',
    path: '/v1/batches/{id}',
    operationId: 'eraseBatch',
    tags: ['Batches'],
    summary: 'Erase a batch',
    description:
      'Nobody finds the batch or a job of it from now on; its jobs are erased as `DELETE /v1/jobs/{id}` erases one, a hundred at a time. The file that it was read from is a thing of its own.',
    request: { params },
    responses: { 202: ok('The batch is gone', deletedSchema('batch')), ...answers(lookProblems) },
  });
}
