// What a client may ask: the body of `POST /v1/jobs`, checked to the last field, and turned into a row to record.

import { v7 } from 'uuid';
import { z } from 'zod';
import type { NewJob } from '../db/submissions.ts';
import type { Kind, ModelReference, Registry } from '../models/registry.ts';
import { toFaults } from '../shared/faults.ts';
import { limits, priorities, uuidTime } from '../shared/job.ts';
import type { Fault } from '../shared/problem.ts';
import { boundedText, itemText, metadata, moment, userId } from '../shared/text-schema.ts';
import { fingerprint } from './fingerprint.ts';
import { invalidRequest } from './validate.ts';
import { jobWebhookSchema as webhookSchema, toWebhookRequest } from './webhook-request.ts';

const input = z
  .strictObject({
    text: itemText.optional(),
    texts: z
      .array(itemText)
      .min(1)
      .max(limits.itemsMax)
      .optional()
      .describe('1 to 100 texts; results keep their order'),
  })
  .refine((value) => (value.text === undefined) !== (value.texts === undefined), {
    error: 'Needs either text or texts',
    params: { code: 'one_of' },
  })
  .meta({ oneOf: [{ required: ['text'] }, { required: ['texts'] }] });

/** Everything but the two fields that depend on the kind: `model` and `options` are checked against the registry. */
export const jobRequestSchema = z.strictObject({
  kind: z.string().describe('What is done, e.g. emotion'),
  input: input
    .optional()
    .describe('The texts; left out for kind profile, which reads what is stored about user_id'),
  user_id: userId.optional().describe('Whose texts these are'),
  custom_id: boundedText(1, limits.customIdCharactersMax).optional().describe('Your own label'),
  metadata: metadata.default({}),
  tags: z.array(boundedText(1, limits.tagCharactersMax)).max(limits.tagsMax).default([]),
  model: z.string().optional().describe('<kind>, <kind>@stable or <kind>@<version>; the default is stable'),
  priority: z.enum(priorities).default('normal'),
  not_before: moment.optional().describe('Runs no earlier than this'),
  deadline_at: moment.optional().describe('Expires instead of running if its result cannot be there by then'),
  options: z.record(z.string(), z.unknown()).default({}).describe('Depends on the kind'),
  webhook: webhookSchema
    .optional()
    .describe(
      "Where this job's events go, signed with the tenant's default secret (`GET /v1/webhook_secret`)",
    ),
  store_input: z.boolean().default(true).describe('With false the texts are erased when the job ends'),
  retention_seconds: z.int().min(60).max(limits.retentionSecondsMax).default(limits.retentionSecondsDefault),
});

export type JobRequest = z.output<typeof jobRequestSchema>;

/**
 * Reads a body and makes the job it asks for. Its id is a new UUIDv7, whose time is the job's `createdAt`.
 * @throws ProblemError `invalid_request` naming every fault by JSON pointer.
 */
export function toNewJob(
  body: unknown,
  context: {
    readonly tenantId: string;
    readonly registry: Registry;
    readonly idempotencyKey: string | undefined;
  },
): NewJob {
  const { request, analyzer, model, options } = readRequest(body, context.registry);
  const id = v7();
  const createdAt = uuidTime(id);
  refuseTimes(request, createdAt);
  const texts = readTexts(request, analyzer);
  const later = request.not_before !== undefined && new Date(request.not_before) > createdAt;
  const { idempotencyKey } = context;
  return {
    tenantId: context.tenantId,
    id,
    kind: request.kind,
    modelVersion: model.version,
    modelDigest: model.digest,
    class: priorities.indexOf(request.priority),
    status: later ? 'scheduled' : 'queued',
    userId: request.user_id ?? null,
    customId: request.custom_id ?? null,
    metadata: request.metadata,
    tags: request.tags,
    options,
    storeInput: request.store_input,
    texts,
    characterCount: texts.reduce((sum, item) => sum + item.length, 0),
    dispatchId: null,
    notBefore: toUtc(request.not_before),
    deadlineAt: toUtc(request.deadline_at),
    createdAt: createdAt.toISOString(),
    expiresAt: new Date(createdAt.getTime() + request.retention_seconds * 1000).toISOString(),
    webhook: toWebhookRequest(request.webhook),
    idempotency:
      idempotencyKey === undefined
        ? null
        : { route: 'POST /v1/jobs', key: idempotencyKey, fingerprint: fingerprint(body) },
  };
}

/** What can be said of a body whose other fields are wrong: which kind and model it names, and its options. */
const namesSchema = z.object({
  kind: z.string(),
  model: z.string().optional().catch(undefined),
  options: z.record(z.string(), z.unknown()).optional().catch(undefined),
});

/** @throws ProblemError `invalid_request` with the faults of all fields, and of the kind, model and options beside them */
function readRequest(body: unknown, registry: Registry) {
  const parsed = jobRequestSchema.safeParse(body);
  const names = namesSchema.safeParse(body).data;
  const found = names === undefined ? { faults: [] } : findNamed(names, registry);
  if (parsed.success && !('faults' in found)) return { request: parsed.data, ...found };
  const ofBody = parsed.error?.issues.flatMap((issue) => toFaults(issue)) ?? [];
  throw invalidRequest([...ofBody, ...('faults' in found ? found.faults : [])]);
}

interface Named {
  readonly analyzer: Kind;
  readonly model: ModelReference;
  readonly options: Record<string, unknown>;
}

function findNamed(
  { kind, model: wanted, options = {} }: z.output<typeof namesSchema>,
  registry: Registry,
): Named | { readonly faults: readonly Fault[] } {
  const analyzer = registry.find(kind);
  if (analyzer === undefined) {
    const known = registry.kinds.map((candidate) => candidate.kind).join(', ');
    return {
      faults: [{ pointer: '/kind', code: 'unknown_kind', detail: `Not a kind; the kinds are: ${known}` }],
    };
  }
  const checked = analyzer.optionsSchema.safeParse(options);
  const model = registry.resolve(kind, wanted);
  if (checked.success && model !== undefined) return { analyzer, model, options: checked.data };
  const ofOptions = checked.error?.issues.flatMap((issue) => toFaults(issue, '/options')) ?? [];
  return { faults: [...(model === undefined ? [unknownModel(kind, registry)] : []), ...ofOptions] };
}

function unknownModel(kind: string, registry: Registry): Fault {
  const versions = registry.models
    .filter((candidate) => candidate.kind === kind)
    .map(({ version }) => `${kind}@${version}`);
  const detail = `Not a model of kind ${kind}; the models are: ${[kind, `${kind}@stable`, ...versions].join(', ')}`;
  return { pointer: '/model', code: 'unknown_model', detail };
}

/** Postgres takes fewer offsets than RFC 3339 has. */
function toUtc(time: string | undefined): string | null {
  return time === undefined ? null : new Date(time).toISOString();
}

function refuseTimes({ not_before: notBefore, deadline_at: deadlineAt }: JobRequest, now: Date): void {
  if (deadlineAt === undefined) return;
  const deadline = new Date(deadlineAt);
  if (deadline <= now)
    throw invalidRequest([{ pointer: '/deadline_at', code: 'in_the_past', detail: 'Has already passed' }]);
  if (notBefore !== undefined && deadline <= new Date(notBefore)) {
    throw invalidRequest([
      { pointer: '/deadline_at', code: 'before_start', detail: 'Is not after not_before' },
    ]);
  }
}

/** The texts of the job; none for a kind that reads what is stored about a person. */
function readTexts({ input: given, user_id: userId }: JobRequest, { kind, input: takes }: Kind): string[] {
  if (takes === 'texts') {
    if (given === undefined)
      throw invalidRequest([{ pointer: '/input', code: 'required', detail: 'Needs text or texts' }]);
    return given.texts ?? [given.text ?? ''];
  }
  if (given !== undefined) {
    throw invalidRequest([
      { pointer: '/input', code: 'unknown_field', detail: `Kind ${kind} takes no texts` },
    ]);
  }
  if (userId === undefined) {
    throw invalidRequest([
      { pointer: '/user_id', code: 'required', detail: `Kind ${kind} needs the person` },
    ]);
  }
  return [];
}
