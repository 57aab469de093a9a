// The message that a receiver reads, made of what the ledger has at the moment of sending. What is said of an event
// that is over does not change, so every attempt says the same, unless the job was deleted in between.

import { z } from 'zod';
import type { DueDelivery } from '../db/delivery-work.ts';
import { formatBatchId, formatFileId } from '../shared/batch.ts';
import { formatJobId } from '../shared/job.ts';
import {
  type batchDataSchema,
  batchEventSchema,
  type jobDataSchema,
  type profileDataSchema,
  webhookEvents,
  webhookLimits,
  type WebhookMessage,
} from '../shared/webhook.ts';

type JobData = z.input<typeof jobDataSchema>;

const typeSchema = z.enum(webhookEvents);

/** The exact bytes to sign and send. */
export function toBody(delivery: DueDelivery): Buffer {
  const message: WebhookMessage = {
    type: typeSchema.parse(delivery.type),
    timestamp: delivery.at.toISOString(),
    sequence: delivery.sequence,
    data: toData(delivery),
  };
  return Buffer.from(JSON.stringify(message));
}

function toData(delivery: DueDelivery): WebhookMessage['data'] {
  if (delivery.subjectType === 'job') return toJobData(delivery);
  if (delivery.subjectType === 'batch') return toBatchData(delivery);
  if (delivery.subjectType === 'profile') return toProfileData(delivery);
  return delivery.data ?? {};
}

function toJobData(delivery: DueDelivery): JobData {
  const { job } = delivery;
  const id = formatJobId(delivery.subjectId);
  const status = delivery.type === 'job.started' ? 'processing' : delivery.type.slice('job.'.length);
  if (job === null || delivery.subjectGone) return { id, object: 'job', status, deleted: true };
  const ended = status !== 'processing';
  return {
    id,
    object: 'job',
    kind: job.kind,
    status,
    status_reason: ended ? job.statusReason : null,
    user_id: job.userId,
    custom_id: job.customId,
    metadata: job.metadata,
    tags: job.tags,
    model: { name: job.kind, version: job.modelVersion, digest: job.modelDigest },
    created_at: job.createdAt.toISOString(),
    started_at: ended ? (job.startedAt?.toISOString() ?? null) : delivery.at.toISOString(),
    ended_at: ended ? (job.endedAt?.toISOString() ?? null) : null,
    counts: { total: job.items, succeeded: ended ? job.succeeded : 0, failed: ended ? job.failed : 0 },
    error: ended ? job.error : null,
    ...toResult(delivery.results),
    links: { self: `/v1/jobs/${id}`, result: `/v1/jobs/${id}/result` },
  };
}

function toResult(results: DueDelivery['results']): Pick<JobData, 'result' | 'result_omitted'> {
  if (results === null) return {};
  const items = results.map(({ index, output, error }) =>
    error === null
      ? ({ index, status: 'succeeded', output } as const)
      : ({ index, status: 'failed', error } as const),
  );
  const bytes = Buffer.byteLength(JSON.stringify(items));
  return bytes > webhookLimits.resultBytesMax ? { result_omitted: 'too_large' } : { result: { items } };
}

/** What the event said is in the delivery; what is true of the batch all its life is read from it. */
function toBatchData(delivery: DueDelivery): z.input<typeof batchDataSchema> {
  const { batch, subjectGone } = delivery;
  const { status, end_reason: endReason = null, counts } = batchEventSchema.parse(delivery.data);
  const id = formatBatchId(delivery.subjectId);
  if (batch === null || subjectGone) return { id, object: 'batch', status, deleted: true };
  const ended = status === 'ended';
  return {
    id,
    object: 'batch',
    kind: batch.kind,
    status,
    end_reason: endReason,
    model: { name: batch.kind, version: batch.modelVersion, digest: batch.modelDigest },
    metadata: batch.metadata,
    input_file_id: batch.fileId === null ? null : formatFileId(batch.fileId),
    created_at: batch.createdAt.toISOString(),
    ended_at: ended ? delivery.at.toISOString() : null,
    counts,
    error: ended ? batch.error : null,
    links: { self: `/v1/batches/${id}`, results: `/v1/batches/${id}/results` },
  };
}

function toProfileData({
  subjectId,
  subjectGone,
  sequence,
  job,
}: DueDelivery): z.input<typeof profileDataSchema> {
  const named = { object: 'profile', job_id: formatJobId(subjectId), version: sequence } as const;
  if (job === null || job.userId === null || subjectGone) return { ...named, deleted: true };
  const self = `/v1/users/${encodeURIComponent(job.userId)}/profile?version=${sequence}`;
  return { ...named, user_id: job.userId, links: { self } };
}
