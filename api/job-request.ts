// What a client may ask: the body of `POST /v1/jobs`, checked to the last field, and turned into a row to record.

import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import { z } from 'zod';
import type { NewJob } from '../db/submissions.ts';
import type { Kind, Registry } from '../models/registry.ts';
import { limits, priorities, uuidTime } from '../shared/job.ts';
import { invalidRequest, validate } from './validate.ts';

/** Whether there are more than `max` characters; a text with twice as many units has, whatever they are. */
const isLonger = (text: string, max: number): boolean =>
  text.length > max && (text.length > 2 * max || Array.from(text).length > max);

/** Text that Postgres can store and a client can have meant: no NUL, no half of a surrogate pair. `min` is 0 or 1. */
function text(min: 0 | 1, max: number): z.ZodString {
  return z
    .string()
    .refine((value) => !value.includes('\0'), {
      error: 'Contains U+0000',
      params: { code: 'contains_nul' },
      abort: true,
    })
    .refine((value) => value.isWellFormed(), {
      error: 'Contains half of a surrogate pair',
      params: { code: 'ill_formed_unicode' },
      abort: true,
    })
    .refine((value) => value.length >= min, {
      error: `Needs at least ${min} character${min === 1 ? '' : 's'}`,
      params: { code: 'too_small' },
      abort: true,
    })
    .refine((value) => !isLonger(value, max), {
      error: `Has more than ${max.toLocaleString('en')} characters`,
      params: { code: 'too_big' },
    });
}

/** A moment that JavaScript and Postgres both can hold: 1970 to 9999. */
const moment = z.iso.datetime({ offset: true }).refine(
  (value) => {
    const time = Date.parse(value);
    return time >= 0 && time < Date.UTC(10_000, 0);
  },
  { error: 'Is not between the years 1970 and 9999', params: { code: 'out_of_range' } },
);

const itemText = text(1, limits.itemCharactersMax).refine((value) => value.trim() !== '', {
  error: 'Has nothing but white space',
  params: { code: 'blank' },
});

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
  });

/** Everything but the two fields that depend on the kind: `model` and `options` are checked against the registry. */
export const jobRequestSchema = z.strictObject({
  kind: z.string().describe('What is done, e.g. emotion'),
  input: input
    .optional()
    .describe('The texts; left out for kind profile, which reads what is stored about user_id'),
  user_id: text(1, limits.userIdCharactersMax).optional().describe('Whose texts these are'),
  custom_id: text(1, limits.customIdCharactersMax).optional().describe('Your own label'),
  metadata: z
    .record(text(1, limits.metadataKeyCharactersMax), text(0, limits.metadataValueCharactersMax))
    .refine((value) => Object.keys(value).length <= limits.metadataPairsMax, {
      error: `Has more than ${limits.metadataPairsMax} pairs`,
      params: { code: 'too_big' },
    })
    .default({}),
  tags: z.array(text(1, limits.tagCharactersMax)).max(limits.tagsMax).default([]),
  model: z.string().optional().describe('<kind>, <kind>@stable or <kind>@<version>; the default is stable'),
  priority: z.enum(priorities).default('normal'),
  not_before: moment.optional().describe('Runs no earlier than this'),
  deadline_at: moment.optional().describe('Expires if it has not started by then'),
  options: z.record(z.string(), z.unknown()).default({}).describe('Depends on the kind'),
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
  const request = validate(jobRequestSchema, body);
  const { analyzer, model } = findModel(request, context.registry);
  const options = validate(analyzer.optionsSchema, request.options, '/options');
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
    idempotency:
      idempotencyKey === undefined
        ? null
        : { route: 'POST /v1/jobs', key: idempotencyKey, fingerprint: fingerprint(body) },
  };
}

function findModel({ kind, model }: JobRequest, registry: Registry) {
  const analyzer = registry.find(kind);
  if (analyzer === undefined) {
    const known = registry.kinds.map((candidate) => candidate.kind).join(', ');
    throw invalidRequest([
      { pointer: '/kind', code: 'unknown_kind', detail: `Not a kind; the kinds are: ${known}` },
    ]);
  }
  const found = registry.resolve(kind, model);
  if (found === undefined) {
    const versions = registry.models
      .filter((candidate) => candidate.kind === kind)
      .map(({ version }) => `${kind}@${version}`);
    const detail = `Not a model of kind ${kind}; the models are: ${[kind, `${kind}@stable`, ...versions].join(', ')}`;
    throw invalidRequest([{ pointer: '/model', code: 'unknown_model', detail }]);
  }
  return { analyzer, model: found };
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

/** SHA-256 of the body with its keys in order: the same request whatever the order in which it was written. */
function fingerprint(body: unknown): string {
  const sortKeys = (_key: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256').update(JSON.stringify(body, sortKeys)).digest('hex');
}
