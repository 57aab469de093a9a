// The OpenAPI 3.1 document, made from the schemas that validate and from the catalogue of problems.

import { OpenAPIRegistry, OpenApiGeneratorV31 } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { Registry } from '../models/registry.ts';
import { problemCatalogue, problemCodes } from '../shared/problem.ts';
import { jobRequestSchema } from './job-request.ts';
import { jobViewSchema, resultViewSchema } from './job-view.ts';
import { registerBatches } from './openapi-batches.ts';
import { type OpenApiDocument, withExamples } from './openapi-examples.ts';
import { registerFiles } from './openapi-files.ts';
import { registerJobs } from './openapi-jobs.ts';
import { openaiErrorSchema, registerOpenai } from './openapi-openai.ts';
import { type Answers, type Paths, securePaths } from './openapi-security.ts';
import { registerPerson } from './openapi-person.ts';
import { registerUsers } from './openapi-users.ts';
import { registerWebhooks, webhookMessage } from './openapi-webhooks.ts';

const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(problemCodes),
  request_id: z.string(),
  retryable: z.boolean().describe('The same request may succeed later'),
  errors: z
    .array(
      z.object({
        line: z.int().optional().describe('Of a batch, counted from 1'),
        pointer: z.string().describe('JSON pointer'),
        code: z.string(),
        detail: z.string(),
      }),
    )
    .optional(),
  invalid_lines: z
    .int()
    .optional()
    .describe('With `invalid_lines`: how many lines are bad; `errors` has the first 1,000'),
  error: z
    .object({ code: z.string(), detail: z.string() })
    .optional()
    .describe('With `job_failed`: what the job failed with'),
});

/**
 * @param auth as the server runs: with `off` no operation asks for a key
 * @returns the document, ready to be sent as JSON.
 */
export function createOpenApi(models: Registry, auth: 'on' | 'off' = 'on'): OpenApiDocument {
  const registry = new OpenAPIRegistry();
  const problem = problemSchema.meta({ id: 'Problem' });
  const items = itemsWithOutputs(models);
  const job = jobViewSchema.extend({ result: z.object({ items }).nullable() }).meta({ id: 'Job' });
  const result = resultViewSchema.extend({ items });

  const answers = answersIn({ 'application/problem+json': { schema: problem } });
  const secure = securePaths(registry, auth);
  const paths = secure(answers);
  registerJobs(paths, { job, result, request: withKinds(models).meta({ id: 'JobRequest' }), answers });
  registerBatches(paths, answers);
  registerFiles(paths, answers);
  const openaiAnswers = answersIn({ 'application/json': { schema: openaiErrorSchema } });
  registerOpenai(secure(openaiAnswers), openaiAnswers);
  registerUsers(paths, job, answers);
  registerWebhooks(paths, answers);
  registry.registerWebhook(webhookMessage);
  registerPerson(paths, answers);
  registerHealth(paths);

  const kinds = models.kinds.map(({ kind, summary }) => `- \`${kind}\`: ${summary}`).join('\n');
  const generated = new OpenApiGeneratorV31(registry.definitions).generateDocument({
    openapi: '3.1.0',
    info: {
      title: 'Soma',
      version: '0.1.0',
      description: `Texts in, analyses out, through a queue.\n\nKinds:\n${kinds}`,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
  });
  return withExamples(generated);
}

/** Errors in one form: their status, and in words which codes stand behind it. */
function answersIn(content: Readonly<Record<string, { readonly schema: z.ZodType }>>): Answers {
  return (codes) =>
    Object.fromEntries(
      [...new Set(codes.map((code) => problemCatalogue[code].status))].map((status) => [
        status,
        {
          description: codes
            .filter((code) => problemCatalogue[code].status === status)
            .map((code) => `\`${code}\`: ${problemCatalogue[code].title}`)
            .join('; '),
          content,
        },
      ]),
    );
}

/** What may be asked for, kind by kind: each has its own options, and reads texts or a person. */
function withKinds(models: Registry) {
  const { input, user_id: userId } = jobRequestSchema.shape;
  const requests = models.kinds.map(({ kind, input: reads, optionsSchema }) => {
    const versions = models.models.filter((model) => model.kind === kind).map(({ version }) => version);
    const common = jobRequestSchema.omit({ input: true }).extend({
      kind: z.literal(kind),
      model: z.enum([kind, `${kind}@stable`, ...versions.map((version) => `${kind}@${version}`)]).optional(),
      options: optionsSchema.optional(),
    });
    const whole =
      reads === 'texts'
        ? common.extend({ input: input.unwrap() })
        : common.extend({ user_id: userId.unwrap() });
    return whole.meta({ id: `${capitalize(kind)}Request` });
  });
  return z.union(requests);
}

/** The items of a result, with the output that each kind promises. */
function itemsWithOutputs(models: Registry) {
  const outputs = models.kinds.map(({ kind, outputSchema }) =>
    outputSchema.meta({ id: `${capitalize(kind)}Output` }),
  );
  const item = resultViewSchema.shape.items.element;
  return z.array(item.extend({ output: z.union(outputs).optional() })).describe('In the order of the texts');
}

const check = z.object({ status: z.enum(['ok', 'unavailable']), reason: z.string().optional() });
const healthSchema = z.object({
  status: check.shape.status,
  checks: z.object({ ledger: check }),
});
const detailedSchema = healthSchema.extend({
  checks: z.object({
    ledger: check,
    redis: check,
    notifications: check,
    workers: check,
    dispatcher: check,
  }),
  processes: z.array(
    z.object({
      type: z.string(),
      host: z.string(),
      pid: z.int(),
      started_at: z.iso.datetime(),
      seen_at: z.iso.datetime(),
      info: z.unknown().describe('As the process tells, by its type'),
    }),
  ),
});
const metricsExample = `# HELP soma_jobs_submitted_total Jobs committed to the ledger
# TYPE soma_jobs_submitted_total counter
soma_jobs_submitted_total{kind="emotion",class="normal"} 17
`;

function registerHealth(paths: Paths): void {
  const answer = (description: string, schema: z.ZodType) => ({
    description,
    content: { 'application/json': { schema } },
  });
  const routes: readonly (readonly [path: string, summary: string, schema: z.ZodType])[] = [
    ['/health', 'Can it accept jobs?', healthSchema],
    ['/health/ready', 'Can it accept jobs?', healthSchema],
    ['/health/live', 'Does the process turn?', healthSchema.omit({ checks: true })],
    ['/health/detailed', 'How is each part?', detailedSchema],
  ];
  for (const [path, summary, schema] of routes) {
    const responses = {
      200: answer('Yes', schema),
      ...(path === '/health/live' ? {} : { 503: answer('Not at the moment', schema) }),
    };
    paths.registerPath({ method: 'get', path, tags: ['Health'], summary, responses });
  }
  paths.registerPath({
    method: 'get',
    path: '/metrics',
    tags: ['Health'],
    summary: 'Metrics in the Prometheus text format',
    responses: {
      200: {
        description: 'Metrics',
        content: { 'text/plain': { schema: z.string(), example: metricsExample } },
      },
    },
  });
}

function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
