// What a client may ask of a batch: the JSON body of `POST /v1/batches`, or for a body of lines its query, which has the
// same names. Checked here to the last field; the lines are checked as they are read.

import { v7 } from 'uuid';
import { z } from 'zod';
import type { NewBatch } from '../db/batch-intake.ts';
import type { Kind, Registry } from '../models/registry.ts';
import { batchLimits, batchLineSchema, type Dialect, invalidLinePolicies } from '../shared/batch.ts';
import { limits, priorities, uuidTime } from '../shared/job.ts';
import { boundedText, metadata, moment } from '../shared/text-schema.ts';
import { fileId } from './batch-queries.ts';
import { fingerprint } from './fingerprint.ts';
import { invalidRequest, validate } from './validate.ts';
import { batchWebhookSchema, toWebhookRequest } from './webhook-request.ts';
import { queryInteger } from './query-number.ts';

const shared = {
  kind: z.string().describe('What is done to each text, e.g. emotion'),
  model: z.string().optional().describe('<kind>, <kind>@stable or <kind>@<version>; the default is stable'),
  on_invalid: z
    .enum(invalidLinePolicies)
    .default('reject')
    .describe(
      '`reject`: nothing runs before the last line is read and all are good. `skip`: lines run as they are read, bad ones end as failed results',
    ),
  priority: z.enum(priorities).default('low').describe('Behind live traffic unless you say otherwise'),
  user_id: boundedText(1, limits.userIdCharactersMax)
    .optional()
    .describe('Whose texts these are, where a line does not say'),
  deadline_at: moment
    .optional()
    .describe('What has not started by then expires; what is done by then is kept'),
};

/** The JSON body: options, and the lines themselves or a file that has them. */
export const batchRequestSchema = z
  .strictObject({
    ...shared,
    options: z.record(z.string(), z.unknown()).default({}).describe('Depends on the kind'),
    metadata: metadata.default({}),
    store_input: z.boolean().default(true).describe('With false the texts are erased as their jobs end'),
    retention_seconds: z
      .int()
      .min(60)
      .max(limits.retentionSecondsMax)
      .default(limits.retentionSecondsDefault),
    webhook: batchWebhookSchema
      .optional()
      .describe(
        "Where this batch's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`)",
      ),
    items: z.array(z.unknown()).min(1).max(batchLimits.inlineItemsMax).optional().describe('The lines'),
    input_file_id: fileId.optional().describe('A file of lines, from `POST /v1/files`'),
  })
  .refine((value) => (value.items === undefined) !== (value.input_file_id === undefined), {
    error: 'Needs either items or input_file_id',
    params: { code: 'one_of' },
  });

/** The body as the document shows it: `items` with the schema by which each line is checked. */
export const batchBodySchema = z.strictObject({
  ...batchRequestSchema.shape,
  items: z.array(batchLineSchema).min(1).max(batchLimits.inlineItemsMax).optional().describe('The lines'),
});

/** A JSON object in a query parameter. */
const jsonObject = z.string().transform((text, context) => {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    context.addIssue({ code: 'custom', message: 'Is not JSON', params: { code: 'malformed_json' } });
    return z.NEVER;
  }
});

/** The query beside an `application/x-ndjson` body. */
export const batchQuerySchema = z.strictObject({
  ...shared,
  options: jsonObject
    .pipe(batchRequestSchema.shape.options.unwrap())
    .prefault('{}')
    .describe('A JSON object; depends on the kind'),
  metadata: jsonObject.pipe(metadata).prefault('{}').describe('A JSON object of up to 16 strings'),
  webhook: jsonObject
    .pipe(batchWebhookSchema)
    .optional()
    .describe('A JSON object, `{url, events}`, as in a JSON body'),
  store_input: z
    .enum(['true', 'false'])
    .transform((value) => value === 'true')
    .prefault('true'),
  retention_seconds: queryInteger(60, limits.retentionSecondsMax).default(limits.retentionSecondsDefault),
});

/** What both forms say of a batch, without its lines. */
export type BatchOptions = z.output<typeof batchQuerySchema>;

/** The kinds that a batch can have: those that take texts. */
function batchKinds(registry: Registry): readonly Kind[] {
  return registry.kinds.filter(({ input }) => input === 'texts');
}

/**
 * The batch that a client asks for, without its lines. Its id is a new UUIDv7, whose time is its `createdAt`.
 * @throws ProblemError `invalid_request`
 */
export function toNewBatch(
  request: BatchOptions,
  context: {
    readonly tenantId: string;
    readonly registry: Registry;
    readonly idempotencyKey: string | undefined;
    readonly fileId?: string;
    readonly dialect?: Dialect;
    /** Where the options stand in the request. */
    readonly at: string;
  },
): NewBatch {
  const { analyzer, model } = findBatchModel(request, context.registry, context.at);
  const options = validate(analyzer.optionsSchema, request.options, `${context.at}/options`);
  const id = v7();
  const createdAt = uuidTime(id);
  const deadline = request.deadline_at === undefined ? null : new Date(request.deadline_at);
  if (deadline !== null && deadline <= createdAt) {
    const pointer = `${context.at}/deadline_at`;
    throw invalidRequest([{ pointer, code: 'in_the_past', detail: 'Has already passed' }]);
  }
  return {
    tenantId: context.tenantId,
    id,
    uploadId: v7(),
    kind: request.kind,
    modelVersion: model.version,
    modelDigest: model.digest,
    class: priorities.indexOf(request.priority),
    onInvalid: request.on_invalid,
    userId: request.user_id ?? null,
    options,
    metadata: request.metadata,
    storeInput: request.store_input,
    fileId: context.fileId ?? null,
    dialect: context.dialect ?? 'soma',
    webhook: toWebhookRequest(request.webhook),
    idempotencyKey: context.idempotencyKey ?? null,
    fingerprint: fingerprint({ ...request, input_file_id: context.fileId }),
    deadlineAt: deadline?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    expiresAt: new Date(createdAt.getTime() + request.retention_seconds * 1000).toISOString(),
  };
}

function findBatchModel({ kind, model }: BatchOptions, registry: Registry, at: string) {
  const kinds = batchKinds(registry);
  const analyzer = kinds.find((candidate) => candidate.kind === kind);
  if (analyzer === undefined) {
    const known = kinds.map((candidate) => candidate.kind).join(', ');
    const detail = `Not a kind that takes texts; those are: ${known}`;
    throw invalidRequest([{ pointer: `${at}/kind`, code: 'unknown_kind', detail }]);
  }
  const found = registry.resolve(kind, model);
  if (found === undefined)
    throw invalidRequest([
      { pointer: `${at}/model`, code: 'unknown_model', detail: 'Not a model of this kind' },
    ]);
  return { analyzer, model: found };
}
