// The part of the OpenAPI document that is about jobs: submit, look, wait, result, list, cancel, retry, erase, events.

import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { jobIdPattern, limits } from '../shared/job.ts';
import type { ProblemCode } from '../shared/problem.ts';
import { erasureExample, erasureSchema } from './erasure-view.ts';
import { jobPageSchema, listQuerySchema } from './list-jobs.ts';
import type { Paths } from './openapi-security.ts';
import { idempotencyKeyHeader } from './read-headers.ts';

const bodyProblems: readonly ProblemCode[] = [
  'malformed_request',
  'malformed_json',
  'invalid_encoding',
  'invalid_header',
  'payload_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'invalid_request',
  'idempotency_key_reused',
  'rate_limited',
  'quota_exceeded',
  'internal_error',
  'ledger_unavailable',
  'webhooks_unavailable',
  'overloaded',
  'deadline_unmeetable',
];

const lookProblems: readonly ProblemCode[] = ['job_not_found', 'internal_error', 'ledger_unavailable'];

const example = { kind: 'emotion', input: { text: 'I finally got the job, and I cannot stop smiling!' } };
const exampleId = 'job_01990a6e-7c00-7000-8000-000000000001';
const params = z.object({ id: z.string().meta({ example: exampleId, pattern: jobIdPattern.source }) });

interface Shapes {
  readonly job: z.ZodType;
  /** The result alone. */
  readonly result: z.ZodType;
  readonly request: z.ZodType;
  /** The problem answers of an operation, by their codes. */
  readonly answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'];
}

export function registerJobs(registry: Paths, shapes: Shapes): void {
  registerSubmit(registry, shapes);
  registerLooks(registry, shapes);
  registerControl(registry, shapes);
  registerEvents(registry, shapes);
}

function ok(description: string, schema: z.ZodType, sample?: unknown) {
  const content = sample === undefined ? { schema } : { schema, example: sample };
  return { description, content: { 'application/json': content } };
}

function registerSubmit(registry: Paths, { job, request, answers }: Shapes): void {
  registry.registerPath({
    method: 'post',
    path: '/v1/jobs',
    operationId: 'submitJob',
    tags: ['Jobs'],
    summary: 'Submit a job',
    description:
      'The answer 202 means that the job is recorded and will not be lost. With `Prefer: wait=N` the answer comes when the job ends, within N seconds (200), or is the job as it then is (202); `Preference-Applied` says what was done.',
    request: {
      headers: z.object({
        'Idempotency-Key': idempotencyKeyHeader,
        Prefer: z.string().optional().describe(`\`wait=N\`, N from 1 to ${limits.waitSecondsMax} seconds`),
      }),
      body: { required: true, content: { 'application/json': { schema: request, example } } },
    },
    responses: {
      200: ok('The job ended while you waited', job),
      202: ok('The job is recorded; `Location` says where to look, `Retry-After` when', job),
      ...answers([...bodyProblems, 'job_not_found']),
    },
  });
}

function registerLooks(registry: Paths, { job, result, answers }: Shapes): void {
  registry.registerPath({
    method: 'get',
    path: '/v1/jobs',
    operationId: 'listJobs',
    tags: ['Jobs'],
    summary: 'Jobs, newest first',
    description:
      'Filters may be combined. Go on with `after=<last_id>`, or back with `before=<first_id>`; jobs that are submitted meanwhile move no page.',
    request: { query: z.strictObject(listQuerySchema.shape) },
    responses: {
      200: ok('A page of jobs', jobPageSchema),
      ...answers(['invalid_request', 'internal_error', 'ledger_unavailable']),
    },
  });
  registry.registerPath({
    method: 'get',
    path: '/v1/jobs/{id}',
    operationId: 'getJob',
    tags: ['Jobs'],
    summary: 'Look at a job, or wait for it',
    request: {
      params,
      query: z.object({
        wait: z
          .int()
          .min(0)
          .max(limits.waitSecondsMax)
          .optional()
          .describe('Seconds to wait for the job to end; an event wakes the answer'),
      }),
      headers: z.object({
        'If-None-Match': z.string().optional().describe('The `ETag` of the version that you have'),
      }),
    },
    responses: {
      200: ok('The job as it is; `result` once it has ended', job),
      304: { description: 'You have the job as it is' },
      ...answers([...lookProblems, 'invalid_request']),
    },
  });
  registry.registerPath({
    method: 'get',
    path: '/v1/jobs/{id}/result',
    operationId: 'getJobResult',
    tags: ['Jobs'],
    summary: 'The result alone',
    description:
      'A job that failed, was canceled or expired has no result: 409 `job_failed`, with what it failed with in `error`.',
    request: { params },
    responses: {
      200: ok('The results of the texts, in their order', result),
      ...answers([...lookProblems, 'job_not_finished', 'job_failed', 'result_expired']),
    },
  });
}

function registerControl(registry: Paths, { job, answers }: Shapes): void {
  registry.registerPath({
    method: 'post',
    path: '/v1/jobs/{id}/cancel',
    operationId: 'cancelJob',
    tags: ['Jobs'],
    summary: 'Cancel a job',
    description:
      'A job that no worker has ends at once (200). One in a worker becomes `canceling` (202), is dropped before the model where it is not too late, and ends as `canceled` without a result in any case. A canceled job answers 200 again.',
    request: { params },
    responses: {
      200: ok('The job is canceled', job),
      202: ok('The job will be canceled; wait for it with `GET /v1/jobs/{id}?wait=N`', job),
      ...answers([...lookProblems, 'job_already_finished']),
    },
  });
  registry.registerPath({
    method: 'post',
    path: '/v1/jobs/{id}/retry',
    operationId: 'retryJob',
    tags: ['Jobs'],
    summary: 'Run an ended job again, as a new job',
    description:
      'The new job has the same texts, options, labels and priority, and the same model if it is still there; `retry_of` names the old one, which stays as it is.',
    request: {
      params,
      headers: z.object({
        'Idempotency-Key': idempotencyKeyHeader,
      }),
    },
    responses: {
      202: ok('The new job; `Location` says where to look', job),
      ...answers([
        ...lookProblems,
        'job_not_finished',
        'input_not_stored',
        'invalid_header',
        'idempotency_key_reused',
        'invalid_request',
        'webhooks_unavailable',
        'overloaded',
      ]),
    },
  });
  registry.registerPath({
    method: 'delete',
    path: '/v1/jobs/{id}',
    operationId: 'eraseJob',
    tags: ['Jobs'],
    summary: 'Erase a job',
    description:
      'Erases texts, results, events, facts, what the graph knows from them alone, and the profiles of the person that were made since the job ended. A worker that has the job can store nothing of it. Jobs that were made of it by retry are jobs of their own. Asked again, the answer is the same receipt.',
    request: { params },
    responses: {
      202: ok('The receipt', erasureSchema, { ...erasureExample, job_id: exampleId }),
      ...answers(lookProblems),
    },
  });
}

/** A message of an event stream, as a reader of server-sent events takes it apart. */
export const streamedEventSchema = z
  .object({
    id: z.string().optional(),
    event: z.string().optional(),
    data: z.string().optional().describe('JSON'),
    retry: z.int().optional(),
  })
  .meta({ id: 'StreamedEvent', description: 'One message of the stream' });

const eventExample = `retry: 1000

id: 1
event: job.queued
data: {"type":"job.queued","sequence":1,"job_id":"${exampleId}","at":"2026-11-24T18:00:00.000Z","data":{}}

`;

function registerEvents(registry: Paths, { answers }: Shapes): void {
  const last = z
    .string()
    .meta({ pattern: '^[0-9]{0,9}$' })
    .optional()
    .describe('The `id` of the last event that you have; an EventSource sends it');
  registry.registerPath({
    method: 'get',
    path: '/v1/jobs/{id}/events',
    operationId: 'streamJobEvents',
    tags: ['Jobs'],
    summary: 'What happens to a job, as server-sent events',
    description:
      'One event for each move of the job, from the first one on; `id` is its number in the job. The stream ends after `job.succeeded`, `job.failed`, `job.canceled` or `job.expired`, and when the job is erased. Cut off, go on where you were with `Last-Event-ID` or `?after=`. A comment each 15 seconds shows that the stream lives.',
    request: {
      params,
      query: z.object({
        after: z.int().min(0).max(2_147_483_647).optional().describe('As `Last-Event-ID`, which goes first'),
      }),
      headers: z.object({ 'Last-Event-ID': last }),
    },
    responses: {
      200: {
        description: 'The events',
        content: { 'text/event-stream': { schema: streamedEventSchema, example: eventExample } },
      },
      204: { description: 'The job has ended and you have all of its events' },
      ...answers([...lookProblems, 'invalid_request', 'invalid_header']),
    },
  });
}
