// The OpenAPI 3.1 document, made from the schemas that validate and from the catalogue of problems.

import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { Registry } from '../models/registry.ts';
import { limits } from '../shared/job.ts';
import { type ProblemCode, problemCatalogue } from '../shared/problem.ts';
import { jobRequestSchema } from './job-request.ts';
import { jobViewSchema } from './job-view.ts';
import { type Paths, securePaths } from './openapi-security.ts';
import { registerUsers } from './openapi-users.ts';

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string(),
  retryable: z.boolean().describe('The same request may succeed later'),
  errors: z
    .array(z.object({ pointer: z.string().describe('JSON pointer'), code: z.string(), detail: z.string() }))
    .optional(),
});

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
  'overloaded',
];

const example = { kind: 'emotion', input: { text: 'I finally got the job, and I cannot stop smiling!' } };

/** @returns the document, ready to be sent as JSON. */
export function createOpenApi(models: Registry): ReturnType<OpenApiGeneratorV31['generateDocument']> {
  const registry = new OpenAPIRegistry();
  const problem = problemSchema.meta({ id: 'Problem' });
  const job = withOutputs(models).meta({ id: 'Job' });
  const request = jobRequestSchema.meta({ id: 'JobRequest' });

  const answers = (codes: readonly ProblemCode[]) =>
    Object.fromEntries(
      [...new Set(codes.map((code) => problemCatalogue[code].status))].map((status) => [
        status,
        {
          description: codes
            .filter((code) => problemCatalogue[code].status === status)
            .map((code) => `\`${code}\`: ${problemCatalogue[code].title}`)
            .join('; '),
          content: { 'application/problem+json': { schema: problem } },
        },
      ]),
    );
  const paths = securePaths(registry, answers);
  const jobAnswer = (description: string) => ({
    description,
    content: { 'application/json': { schema: job } },
  });

  paths.registerPath({
    method: 'post',
    path: '/v1/jobs',
    operationId: 'submitJob',
    tags: ['Jobs'],
    summary: 'Submit a job',
    description:
      'The answer 202 means that the job is recorded and will not be lost. With `Prefer: wait=N` the answer comes when the job ends, within N seconds (200), or is the job as it then is (202); `Preference-Applied` says what was done.',
    request: {
      headers: z.object({
        'Idempotency-Key': z
          .string()
          .min(1)
          .max(limits.idempotencyKeyCharactersMax)
          .optional()
          .describe(
            'For 24 hours the same key and body answer with the same job (`Idempotent-Replayed: true`)',
          ),
        Prefer: z.string().optional().describe(`\`wait=N\`, N from 1 to ${limits.waitSecondsMax} seconds`),
      }),
      body: { required: true, content: { 'application/json': { schema: request, example } } },
    },
    responses: {
      200: jobAnswer('The job ended while you waited'),
      202: jobAnswer('The job is recorded; `Location` says where to look, `Retry-After` when'),
      ...answers(bodyProblems),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/jobs/{id}',
    operationId: 'getJob',
    tags: ['Jobs'],
    summary: 'Look at a job, or wait for it',
    request: {
      params: z.object({ id: z.string() }),
      query: z.object({
        wait: z
          .int()
          .min(0)
          .max(limits.waitSecondsMax)
          .optional()
          .describe('Seconds to wait for the job to end; an event wakes the answer'),
      }),
    },
    responses: {
      200: jobAnswer('The job as it is; `result` once it has ended'),
      ...answers(['job_not_found', 'invalid_request', 'internal_error', 'ledger_unavailable']),
    },
  });
  registerUsers(paths, answers);
  registerHealth(paths);

  const kinds = models.kinds.map(({ kind, summary }) => `- \`${kind}\`: ${summary}`).join('\n');
  return new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Soma',
      version: '0.1.0',
      description: `Texts in, analyses out, through a queue.\n\nKinds:\n${kinds}`,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
  });
}

/** The job as clients get it, with the output that each kind promises. */
function withOutputs(models: Registry) {
  const outputs = models.kinds.map(({ kind, outputSchema }) =>
    outputSchema.meta({ id: `${capitalize(kind)}Output` }),
  );
  const items = jobViewSchema.shape.result.unwrap().shape.items;
  const item = items.element.extend({ output: z.union(outputs).optional() });
  return jobViewSchema.extend({ result: z.object({ items: z.array(item) }).nullable() });
}

function registerHealth(paths: Paths): void {
  const schema = z.object({ status: z.string() });
  const answer = (description: string) => ({ description, content: { 'application/json': { schema } } });
  const routes = {
    '/health': 'Can it accept jobs?',
    '/health/ready': 'Can it accept jobs?',
    '/health/live': 'Does the process turn?',
    '/health/detailed': 'How is each part?',
  };
  for (const [path, summary] of Object.entries(routes)) {
    const responses = {
      200: answer('Yes'),
      ...(path === '/health/live' ? {} : { 503: answer('Not at the moment') }),
    };
    paths.registerPath({ method: 'get', path, tags: ['Health'], summary, responses });
  }
  paths.registerPath({
    method: 'get',
    path: '/metrics',
    tags: ['Health'],
    summary: 'Metrics in the Prometheus text format',
    responses: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
  });
}

function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
