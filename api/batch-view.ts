// What a client sees of a batch, of its results and of a file. The views list each field by name, so that nothing
// reaches the wire by accident.

import { z } from 'zod';
import { batchEndReasons, batchStatuses, invalidLinePolicies } from '../shared/batch.ts';
import { priorities } from '../shared/job.ts';
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

export const fileViewSchema = z.object({
  id: z.string().describe('file_ and a UUIDv7'),
  object: z.literal('file'),
  filename: z.string(),
  bytes: z.int(),
  sha256: z.string().describe('Of the content, in hex'),
  created_at: moment,
  expires_at: moment.describe('When the file is deleted'),
  links: z.object({ self: z.string(), content: z.string() }),
});

export type FileView = z.output<typeof fileViewSchema>;

export const filePageSchema = batchPageSchema.extend({ data: z.array(fileViewSchema) });

export const deletedSchema = (object: 'batch' | 'file') =>
  z.object({ id: z.string(), object: z.literal(object), deleted: z.literal(true) });
