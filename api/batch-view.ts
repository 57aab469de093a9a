// What a client sees of a batch, of its results and of a file. The views list each field by name, so that nothing
// reaches the wire by accident.

import { z } from 'zod';
import { batchEndReasons, batchStatuses, invalidLinePolicies } from '../shared/batch.ts';
import type { RunningBatch } from '../db/batches.ts';
import type { ResultRow } from '../db/batch-results.ts';
import type { FileRow } from '../db/files.ts';
import { formatBatchId, formatFileId } from '../shared/batch.ts';
import { formatJobId, priorities } from '../shared/job.ts';
import { jobViewSchema } from './job-view.ts';

const moment = z.iso.datetime();

export const lineFaultSchema = z.object({
  line: z.int().describe('Counted from 1'),
  pointer: z.string().describe('JSON pointer into the line'),
  code: z.string(),
  detail: z.string(),
});

export const batchViewSchema = z.object({
  id: z.string().describe('batch_ and a UUIDv7'),
  object: z.literal('batch'),
  status: z.enum(batchStatuses),
  end_reason: z.enum(batchEndReasons).nullable().describe('Once `status` is `ended`'),
  kind: z.string(),
  model: jobViewSchema.shape.model,
  priority: z.enum(priorities),
  on_invalid: z.enum(invalidLinePolicies),
  input_file_id: z.string().nullable(),
  metadata: z.record(z.string(), z.string()),
  created_at: moment,
  in_progress_at: moment.nullable().describe('When its first lines could run'),
  cancel_requested_at: moment.nullable(),
  ended_at: moment.nullable(),
  deadline_at: moment.nullable(),
  expires_at: moment.describe('When batch and results are deleted'),
  input: z
    .object({
      complete: z.boolean().describe('Whether the last line has been read'),
      lines: z.int().describe('Lines read and recorded so far'),
      invalid_lines: z.int(),
    })
    .describe('How far the lines have been read'),
  counts: z
    .object({
      total: z.int(),
      queued: z.int(),
      processing: z.int(),
      succeeded: z.int(),
      failed: z.int().describe('Bad lines included'),
      canceled: z.int(),
      expired: z.int(),
    })
    .describe('Of lines; the last four are those of which the results are ready to be read'),
  error: z
    .object({ code: z.string(), detail: z.string() })
    .nullable()
    .describe('Why the batch ended as `invalid` or `error`, or was read only in part'),
  errors: z.array(lineFaultSchema).describe('The first 1,000 bad lines; empty in lists'),
  links: z.object({ self: z.string(), results: z.string(), events: z.string(), cancel: z.string() }),
});

export type BatchView = z.output<typeof batchViewSchema>;

export const batchPageSchema = z.object({
  object: z.literal('list'),
  data: z.array(batchViewSchema).describe('Newest first'),
  has_more: z.boolean().describe('Whether there are more in the direction that was asked for'),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
});

/** One line of `/results`. */
export const batchResultSchema = z.object({
  index: z.int().describe('The place of the line in the batch, from 0'),
  custom_id: z.string().nullable().describe('Null if the line was too broken to have one'),
  status: z.enum(['succeeded', 'failed', 'canceled', 'expired']),
  output: z.unknown().optional().describe("As the kind's output schema says"),
  error: z.object({ code: z.string(), detail: z.string(), pointer: z.string().optional() }).optional(),
  job_id: z.string().nullable().describe('The job that the line ran in; null for a bad line'),
  user_id: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
});

export type BatchResult = z.output<typeof batchResultSchema>;

export const fileViewSchema = z.object({
  id: z.string().describe('file_ and a UUIDv7'),
  object: z.literal('file'),
  filename: z.string(),
  bytes: z.int(),
  lines: z.int().describe('Lines that are not empty'),
  sha256: z.string().describe('Of the content, in hex'),
  created_at: moment,
  expires_at: moment.describe('When the file is deleted'),
  links: z.object({ self: z.string(), content: z.string() }),
});

export type FileView = z.output<typeof fileViewSchema>;

export const filePageSchema = batchPageSchema.extend({ data: z.array(fileViewSchema) });

export const deletedSchema = (object: 'batch' | 'file') =>
  z.object({ id: z.string(), object: z.literal(object), deleted: z.literal(true) });

const statusSchema = batchViewSchema.shape.status;
const endReasonSchema = batchViewSchema.shape.end_reason;
const errorSchema = batchViewSchema.shape.error;
const faultsSchema = batchViewSchema.shape.errors;
const metadataSchema = batchViewSchema.shape.metadata;
const policySchema = batchViewSchema.shape.on_invalid;

/** A batch as the client sees it. */
export function toBatchView({ batch, processing }: RunningBatch): BatchView {
  const id = formatBatchId(batch.id);
  return {
    id,
    object: 'batch',
    status: statusSchema.parse(batch.status),
    end_reason: endReasonSchema.parse(batch.endReason),
    kind: batch.kind,
    model: { name: batch.kind, version: batch.modelVersion, digest: batch.modelDigest },
    priority: priorities[batch.class] ?? 'low',
    on_invalid: policySchema.parse(batch.onInvalid),
    input_file_id: batch.fileId === null ? null : formatFileId(batch.fileId),
    metadata: metadataSchema.parse(batch.metadata),
    created_at: batch.createdAt.toISOString(),
    in_progress_at: toMoment(batch.inProgressAt),
    cancel_requested_at: toMoment(batch.cancelRequestedAt),
    ended_at: toMoment(batch.endedAt),
    deadline_at: toMoment(batch.deadlineAt),
    expires_at: batch.expiresAt.toISOString(),
    input: { complete: batch.sealed, lines: batch.lineCount, invalid_lines: batch.invalidCount },
    counts: toCounts({ batch, processing }),
    error: errorSchema.parse(batch.error),
    errors: faultsSchema.parse(batch.faults),
    links: {
      self: `/v1/batches/${id}`,
      results: `/v1/batches/${id}/results`,
      events: `/v1/batches/${id}/events`,
      cancel: `/v1/batches/${id}/cancel`,
    },
  };
}

/** What is not in a worker's hands and has not ended waits. */
function toCounts({ batch, processing }: RunningBatch): BatchView['counts'] {
  const { lineCount: total, succeededCount, failedCount, canceledCount, expiredCount } = batch;
  const open = Math.max(0, total - succeededCount - failedCount - canceledCount - expiredCount);
  const running = Math.min(open, processing);
  return {
    total,
    queued: open - running,
    processing: running,
    succeeded: succeededCount,
    failed: failedCount,
    canceled: canceledCount,
    expired: expiredCount,
  };
}

function toMoment(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}

/** A result as a line of NDJSON; the output goes out as the worker wrote it. */
export function toResultLine(row: ResultRow): string {
  const { status, error } = outcomeOf(row);
  const head = JSON.stringify({ index: row.index, custom_id: row.custom_id, status }).slice(0, -1);
  const output = status === 'succeeded' && row.output !== null ? `,"output":${row.output}` : '';
  const tail = JSON.stringify({
    ...(error === undefined ? {} : { error }),
    job_id: row.job_id === null ? null : formatJobId(row.job_id),
    ...(row.user_id === null ? {} : { user_id: row.user_id }),
    ...(row.metadata === null ? {} : { metadata: row.metadata }),
  }).slice(1);
  return `${head}${output},${tail}\n`;
}

/** What came of a line: its own error, what its item came to, or what its job did. */
export function outcomeOf(row: ResultRow): Pick<BatchResult, 'status' | 'error'> {
  if (row.line_error !== null) return { status: 'failed', error: row.line_error };
  if (row.error !== null) return { status: 'failed', error: row.error };
  if (row.output !== null) return { status: 'succeeded' };
  if (row.job_status === 'canceled' || row.job_status === 'expired') return { status: row.job_status };
  return {
    status: 'failed',
    error: row.job_error ?? { code: 'result_gone', detail: 'The result was erased' },
  };
}

export function toFileView(file: FileRow): FileView {
  const id = formatFileId(file.id);
  return {
    id,
    object: 'file',
    filename: file.filename,
    bytes: file.byteCount,
    lines: file.lineCount,
    sha256: file.sha256?.toString('hex') ?? '',
    created_at: file.createdAt.toISOString(),
    expires_at: file.expiresAt.toISOString(),
    links: { self: `/v1/files/${id}`, content: `/v1/files/${id}/content` },
  };
}
