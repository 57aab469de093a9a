// What a client sees of a job. The view lists each field by name, so that nothing reaches the wire by accident.

import { z } from 'zod';
import type { AnalysisRow, JobRow } from '../db/jobs.ts';
import type { NewJob } from '../db/submissions.ts';
import { formatJobId, isTerminal, jobStatuses, priorities } from '../shared/job.ts';

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
  attempts: z.array(
    z.object({
      number: z.int(),
      started_at: moment,
      ended_at: moment.optional(),
      worker: z.string(),
      outcome: z.string().optional(),
      error: itemErrorSchema.optional(),
    }),
  ),
  counts: z.object({ total: z.int(), succeeded: z.int(), failed: z.int() }),
  timing_ms: z
    .object({
      queue: z.number(),
      batch_wait: z.number(),
      tokenize: z.number(),
      inference: z.number(),
      persist: z.number(),
      total: z.number(),
    })
    .nullable()
    .describe('The stages add up to total'),
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
      cache: z.string(),
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
const timingSchema = jobViewSchema.shape.timing_ms;
const executionSchema = jobViewSchema.shape.execution;
const errorSchema = itemErrorSchema.nullable();
const statusSchema = z.enum(jobStatuses);

/** A job as the client sees it, with its result once it has one. */
export function toJobView(job: JobRow, analyses: readonly AnalysisRow[]): JobView {
  const status = statusSchema.parse(job.status);
  const id = formatJobId(job.id);
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
    retry_of: job.retryOf === null ? null : formatJobId(job.retryOf),
    attempts: attemptsSchema.parse(job.attempts),
    counts: { total: job.itemCount, succeeded: job.succeededCount, failed: job.failedCount },
    timing_ms: timingSchema.parse(job.timing),
    execution: executionSchema.parse(job.execution),
    error: errorSchema.parse(job.error),
    result: isTerminal(status) && analyses.length > 0 ? { items: analyses.map(toItemView) } : null,
    links: {
      self: `/v1/jobs/${id}`,
      result: `/v1/jobs/${id}/result`,
      events: `/v1/jobs/${id}/events`,
      cancel: `/v1/jobs/${id}/cancel`,
    },
  };
}

function toItemView(analysis: AnalysisRow): z.output<typeof resultItemSchema> {
  const error = errorSchema.parse(analysis.error);
  if (error !== null) return { index: analysis.itemIndex, status: 'failed', error };
  return { index: analysis.itemIndex, status: 'succeeded', output: analysis.output };
}

/** The row that a job just recorded has, without asking the ledger for it. */
export function toJobRow(job: NewJob): JobRow {
  const createdAt = new Date(job.createdAt);
  // Field by field: spreading the job cost as much as checking the request.
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
