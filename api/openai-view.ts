// Batches, files and results as OpenAI's API shows them. Output files are not stored: their lines are made of the results
// as they are read.

import { z } from 'zod';
import type { ResultRow } from '../db/batch-results.ts';
import type { BatchRow, RunningBatch } from '../db/batches.ts';
import type { FileRow } from '../db/files.ts';
import { formatBatchId, formatFileId } from '../shared/batch.ts';
import { openaiEndpoints } from '../shared/openai-lines.ts';
import { type BatchView, outcomeOf, toBatchView } from './batch-view.ts';

/** Which results of a batch an output file has. */
export type OutputKind = 'output' | 'errors';

export function formatOutputId(kind: OutputKind, batchId: string): string {
  return `file_${kind}_${batchId}`;
}

const outputIdPattern =
  /^file_(output|errors)_([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/;

/** The batch and the kind of an output file's id; undefined if `id` is none. */
export function parseOutputId(
  id: string,
): { readonly kind: OutputKind; readonly batchId: string } | undefined {
  const [, kind, batchId] = outputIdPattern.exec(id) ?? [];
  if (batchId === undefined) return undefined;
  return { kind: kind === 'output' ? 'output' : 'errors', batchId };
}

const seconds = (moment: Date | string): number => Math.floor(new Date(moment).getTime() / 1000);

export const openaiFileSchema = z.object({
  id: z.string(),
  object: z.literal('file'),
  bytes: z.int().describe('0 for output files, which are made as they are read'),
  created_at: z.int(),
  expires_at: z.int(),
  filename: z.string(),
  purpose: z.enum(['batch', 'batch_output']),
  status: z.literal('processed'),
});

export function toOpenaiFile(file: FileRow): z.output<typeof openaiFileSchema> {
  return {
    id: formatFileId(file.id),
    object: 'file',
    bytes: file.byteCount,
    created_at: seconds(file.createdAt),
    expires_at: seconds(file.expiresAt),
    filename: file.filename,
    purpose: 'batch',
    status: 'processed',
  };
}

export function toOutputFile(kind: OutputKind, batch: BatchRow): z.output<typeof openaiFileSchema> {
  return {
    id: formatOutputId(kind, batch.id),
    object: 'file',
    bytes: 0,
    created_at: seconds(batch.endedAt ?? batch.createdAt),
    expires_at: seconds(batch.expiresAt),
    filename: `${formatBatchId(batch.id)}_${kind}.jsonl`,
    purpose: 'batch_output',
    status: 'processed',
  };
}

export const openaiBatchSchema = z.object({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.string(),
  model: z.string(),
  errors: z
    .object({
      object: z.literal('list'),
      data: z.array(
        z.object({ code: z.string(), line: z.int(), message: z.string(), param: z.string().nullable() }),
      ),
    })
    .nullable(),
  input_file_id: z.string(),
  completion_window: z.literal('24h'),
  status: z.enum(['validating', 'failed', 'in_progress', 'completed', 'expired', 'cancelling', 'cancelled']),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  created_at: z.int(),
  in_progress_at: z.int().nullable(),
  expires_at: z.int().nullable(),
  completed_at: z.int().nullable(),
  failed_at: z.int().nullable(),
  expired_at: z.int().nullable(),
  cancelling_at: z.int().nullable(),
  cancelled_at: z.int().nullable(),
  request_counts: z.object({ total: z.int(), completed: z.int(), failed: z.int() }),
  metadata: z.record(z.string(), z.string()),
});

const ends = {
  completed: 'completed',
  canceled: 'cancelled',
  expired: 'expired',
  invalid: 'failed',
  error: 'failed',
} as const;
const courses = { validating: 'validating', in_progress: 'in_progress', canceling: 'cancelling' } as const;

export function toOpenaiBatch(found: RunningBatch): z.output<typeof openaiBatchSchema> {
  const view = toBatchView(found);
  const status = statusOf(view);
  const at = (moment: string | null): number | null => (moment === null ? null : seconds(moment));
  const endedAs = (end: string): number | null => (status === end ? at(view.ended_at) : null);
  const lost = view.counts.failed + view.counts.canceled + view.counts.expired;
  const hasFiles = view.status === 'ended' && status !== 'failed';
  return {
    id: view.id,
    object: 'batch',
    endpoint: Object.entries(openaiEndpoints).find(([kind]) => kind === view.kind)?.[1] ?? '',
    model: view.kind,
    errors: toErrors(view),
    input_file_id: view.input_file_id ?? '',
    completion_window: '24h',
    status,
    output_file_id: hasFiles && view.counts.succeeded > 0 ? formatOutputId('output', found.batch.id) : null,
    error_file_id: hasFiles && lost > 0 ? formatOutputId('errors', found.batch.id) : null,
    created_at: seconds(view.created_at),
    in_progress_at: at(view.in_progress_at),
    expires_at: at(view.deadline_at),
    completed_at: endedAs('completed'),
    failed_at: endedAs('failed'),
    expired_at: endedAs('expired'),
    cancelling_at: at(view.cancel_requested_at),
    cancelled_at: endedAs('cancelled'),
    request_counts: {
      total: view.counts.total,
      completed: view.counts.succeeded,
      failed: view.counts.failed,
    },
    metadata: view.metadata,
  };
}

function statusOf({ status, end_reason: reason }: BatchView): z.output<typeof openaiBatchSchema>['status'] {
  return status === 'ended' ? ends[reason ?? 'error'] : courses[status];
}

function toErrors({ errors, error }: BatchView): z.output<typeof openaiBatchSchema>['errors'] {
  if (error === null) return null;
  const data = errors.map(({ code, line, detail, pointer }) => ({
    code,
    line,
    message: detail,
    param: pointer,
  }));
  const only = { code: error.code, line: 0, message: error.detail, param: null };
  return { object: 'list', data: data.length > 0 ? data : [only] };
}

const embeddingOutput = z.object({ embedding: z.array(z.number()), tokens: z.int() });

/** A result as a line of an output file. */
export function toOutputLine(row: ResultRow, kind: string): string {
  const { status, error } = outcomeOf(row);
  const id = `batch_req_${row.job_id ?? 'none'}_${row.item_index}`;
  const response =
    status === 'succeeded' && row.output !== null
      ? { status_code: 200, request_id: id, body: toBody(kind, id, JSON.parse(row.output)) }
      : null;
  const code =
    status === 'expired' ? 'batch_expired' : status === 'canceled' ? 'batch_cancelled' : error?.code;
  const failure =
    response === null
      ? { code: code ?? 'failed', message: error?.detail ?? 'The request did not run' }
      : null;
  return `${JSON.stringify({ id, custom_id: row.custom_id, response, error: failure })}\n`;
}

/** What the endpoint of the kind answers; where OpenAI has no field for ours, ours stand as they are. */
function toBody(kind: string, id: string, output: unknown): Readonly<Record<string, unknown>> {
  if (kind === 'emotion') return { id, model: kind, results: [output] };
  if (kind === 'reasoning') {
    const content = [{ type: 'output_text', text: JSON.stringify(output), annotations: [] }];
    const message = { type: 'message', id, status: 'completed', role: 'assistant', content };
    return { id, object: 'response', status: 'completed', model: kind, output: [message] };
  }
  const { embedding, tokens } = embeddingOutput.parse(output);
  return {
    object: 'list',
    model: kind,
    data: [{ object: 'embedding', index: 0, embedding }],
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}
