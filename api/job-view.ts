// What a client sees of a job. The view lists each field by name, so that nothing reaches the wire by accident.

import { z } from 'zod';
import type { JobRow, ResultRow } from '../db/jobs.ts';
import type { NewJob } from '../db/submissions.ts';
import { formatBatchId } from '../shared/batch.ts';
import { formatJobId, isTerminal, jobStatuses, priorities } from '../shared/job.ts';
import type { QueuePlace } from './forecast.ts';
import { timeAttempts, toTimeline } from './timeline.ts';

const moment = z.iso.datetime();
const itemErrorSchema = z.object({ code: z.string(), detail: z.string() });

const resultItemSchema = z.object({
  index: z.int(),
  status: z.enum(['succeeded', 'failed']),
  output: z.unknown().optional().describe("As the kind's output schema says"),
  error: itemErrorSchema.optional(),
});

export const jobViewSchema = z.object({
  id: z.string().describe('job_ and a UUIDv7'),
  object: z.literal('job'),
  kind: z.string(),
  status: z.enum(jobStatuses),
  status_reason: z.string().nullable(),
  user_id: z.string().nullable(),
  custom_id: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  tags: z.array(z.string()),
  model: z.object({
    name: z.string(),
    version: z.string(),
    digest: z.string().describe('sha256 of the weights'),
  }),
  priority: z.enum(priorities),
  created_at: moment,
  queued_at: moment.nullable(),
  started_at: moment.nullable().describe('Of the first attempt'),
  ended_at: moment.nullable(),
  not_before: moment.nullable(),
  deadline_at: moment.nullable(),
  expires_at: moment.describe('When job and result are deleted'),
  retry_of: z.string().nullable(),
  batch_id: z.string().nullable().describe('The batch that it is a part of'),
  attempts: z.array(
    z.object({
      number: z.int(),
      started_at: moment,
      ended_at: moment.optional(),
      worker: z.string(),
      outcome: z.string().optional(),
      error: itemErrorSchema.optional(),
      timing_ms: z
        .object({ queue: z.int(), run: z.int(), total: z.int() })
        .optional()
        .describe('Waited since the attempt before, and in the hands of the worker'),
    }),
  ),
  counts: z.object({ total: z.int(), succeeded: z.int(), failed: z.int() }),
  queue: z
    .object({
      position: z
        .int()
        .min(1)
        .describe('About how many jobs of the tenant and priority go before it, and itself'),
      eta_p50_at: moment
        .nullable()
        .describe('It has ended by then as likely as not; null while no worker is there'),
      eta_p90_at: moment.nullable().describe('It has ended by then in nine of ten cases'),
    })
    .nullable()
    .describe('Only while the job is queued'),
  timing_ms: z
    .object({
      queue: z.int().describe('Waiting, backing off, and the attempts before the last'),
      batch_wait: z.int(),
      tokenize: z.int(),
      inference: z.int(),
      persist: z.int(),
      total: z.int().describe('ended_at - created_at: the sum of the others'),
    })
    .nullable()
    .describe('Null until the job has ended'),
  execution: z
    .object({
      attempt: z.int(),
      worker: z.string(),
      device: z.string(),
      pool_items: z.int(),
      micro_batch_items: z.int(),
      micro_batch_tokens: z.int(),
      padding_ratio: z.number().describe('Padded tokens to real tokens in the pool'),
      flush_reason: z.enum(['full', 'tokens', 'goal', 'idle', 'timeout', 'turn', 'drain']),
      cache: z
        .enum(['hit', 'miss', 'mixed', 'none'])
        .describe('Whether results were known from equal texts: all, none, some; none where nothing is kept'),
    })
    .nullable(),
  error: itemErrorSchema.nullable(),
  result: z.object({ items: z.array(resultItemSchema) }).nullable(),
  links: z.object({ self: z.string(), result: z.string(), events: z.string(), cancel: z.string() }),
});

export type JobView = z.output<typeof jobViewSchema>;

export const resultViewSchema = z.object({
  job_id: z.string(),
  object: z.literal('result'),
  kind: z.string(),
  model: jobViewSchema.shape.model,
  counts: jobViewSchema.shape.counts,
  items: z.array(resultItemSchema).describe('In the order of the texts'),
});

/** The result alone, as `/result` shows it. */
export function toResultView(
  { id, kind, model, counts }: JobView,
  { items }: NonNullable<JobView['result']>,
): z.output<typeof resultViewSchema> {
  return { job_id: id, object: 'result', kind, model, counts, items };
}

// Postgres writes the times inside its JSON with microseconds and an offset.
const storedMoment = z.string().transform((text) => new Date(text).toISOString());
const attemptsSchema = z.array(
  jobViewSchema.shape.attempts.element.extend({
    started_at: storedMoment,
    ended_at: storedMoment.optional(),
  }),
);
const metadataSchema = jobViewSchema.shape.metadata;
const stagesSchema = z
  .object({ batch_wait: z.number(), tokenize: z.number(), inference: z.number() })
  .nullable();
const executionSchema = jobViewSchema.shape.execution;
const errorSchema = itemErrorSchema.nullable();
const statusSchema = z.enum(jobStatuses);

/**
 * A job as the client sees it, with its result once it has one.
 * @param place where a queued job stands; without it the view does not say
 */
export function toJobView(
  job: JobRow,
  results: readonly ResultRow[],
  place?: (job: JobRow) => QueuePlace | undefined,
): JobView {
  const status = statusSchema.parse(job.status);
  const id = formatJobId(job.id);
  const attempts = attemptsSchema.parse(job.attempts);
  return {
    id,
    object: 'job',
    kind: job.kind,
    status,
    status_reason: job.statusReason,
    user_id: job.userId,
    custom_id: job.customId,
    metadata: metadataSchema.parse(job.metadata),
    tags: job.tags,
    model: { name: job.kind, version: job.modelVersion, digest: job.modelDigest },
    priority: priorities[job.class] ?? 'normal',
    created_at: job.createdAt.toISOString(),
    queued_at: toMoment(job.queuedAt),
    started_at: toMoment(job.startedAt),
    ended_at: toMoment(job.endedAt),
    not_before: toMoment(job.notBefore),
    deadline_at: toMoment(job.deadlineAt),
    expires_at: job.expiresAt.toISOString(),
    batch_id: job.batchId === null ? null : formatBatchId(job.batchId),
    retry_of: job.retryOf === null ? null : formatJobId(job.retryOf),
    attempts: timeAttempts(job.createdAt, attempts),
    counts: { total: job.itemCount, succeeded: job.succeededCount, failed: job.failedCount },
    queue: status === 'queued' ? toQueueView(place?.(job)) : null,
    timing_ms: toTimeline(job, attempts, stagesSchema.parse(job.timing)),
    execution: executionSchema.parse(job.execution),
    error: errorSchema.parse(job.error),
    result: isTerminal(status) && results.length > 0 ? { items: results.map(toItemView) } : null,
    links: {
      self: `/v1/jobs/${id}`,
      result: `/v1/jobs/${id}/result`,
      events: `/v1/jobs/${id}/events`,
      cancel: `/v1/jobs/${id}/cancel`,
    },
  };
}

function toQueueView(place: QueuePlace | undefined): JobView['queue'] {
  if (place === undefined) return null;
  const { position, etaP50, etaP90 } = place;
  return { position, eta_p50_at: toMoment(etaP50 ?? null), eta_p90_at: toMoment(etaP90 ?? null) };
}

function toItemView(result: ResultRow): z.output<typeof resultItemSchema> {
  const error = errorSchema.parse(result.error);
  if (error !== null) return { index: result.itemIndex, status: 'failed', error };
  return { index: result.itemIndex, status: 'succeeded', output: result.output };
}

/** The row that a job just recorded has, without asking the ledger for it. */
export function toJobRow(job: NewJob): JobRow {
  const createdAt = new Date(job.createdAt);
  // Field by field, not spread: every submit comes through here.
  return {
    tenantId: job.tenantId,
    id: job.id,
    kind: job.kind,
    modelVersion: job.modelVersion,
    modelDigest: job.modelDigest,
    class: job.class,
    status: job.status,
    statusReason: null,
    userId: job.userId,
    customId: job.customId,
    metadata: job.metadata,
    tags: [...job.tags],
    options: job.options,
    storeInput: job.storeInput,
    retryOf: job.retryOf ?? null,
    batchId: job.batchId ?? null,
    batchCounted: false,
    itemCount: Math.max(1, job.texts.length),
    characterCount: job.characterCount,
    succeededCount: 0,
    failedCount: 0,
    attempt: 0,
    attempts: [],
    leaseUntil: null,
    worker: null,
    dispatchId: job.dispatchId,
    dispatchedAt: null,
    notBefore: job.notBefore === null ? null : new Date(job.notBefore),
    deadlineAt: job.deadlineAt === null ? null : new Date(job.deadlineAt),
    cancelRequestedAt: null,
    eventSequence: 1,
    timing: null,
    execution: null,
    error: null,
    createdAt,
    queuedAt: job.status === 'queued' ? createdAt : null,
    startedAt: null,
    endedAt: null,
    expiresAt: new Date(job.expiresAt),
  };
}

function toMoment(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}
