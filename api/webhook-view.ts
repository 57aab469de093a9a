// What a client sees of webhooks. The views list each field by name, so that nothing reaches the wire by accident: a
// secret in particular is in no view but the answer to its making.

import { z } from 'zod';
import type { DeliveryAttemptRow, DeliveryRow } from '../db/deliveries.ts';
import type { EndpointRow } from '../db/webhook-endpoints.ts';
import { formatBatchId } from '../shared/batch.ts';
import { formatJobId } from '../shared/job.ts';
import { attemptOutcomes, deliveryIds, deliveryStatuses, endpointIds } from '../shared/webhook.ts';

const moment = z.iso.datetime();

export const endpointViewSchema = z.object({
  id: z.string().describe('whep_ and a UUIDv7'),
  object: z.literal('webhook_endpoint'),
  url: z.string(),
  events: z.array(z.string()),
  include_result: z.boolean(),
  description: z.string().nullable(),
  status: z.enum(['enabled', 'disabled']),
  status_reason: z
    .string()
    .nullable()
    .describe('`disabled_by_client`, `gone` (it answered 410) or `failing` (nothing but failure for 5 days)'),
  failing_since: moment.nullable().describe('The first failure since the last success'),
  created_at: moment,
});

export const newEndpointViewSchema = endpointViewSchema.extend({
  secret: z.string().describe('`whsec_...`: what signs its messages. It is shown this once'),
});

export const endpointListSchema = z.object({
  object: z.literal('list'),
  data: z.array(endpointViewSchema).describe('Oldest first'),
});

export const secretViewSchema = z.object({
  object: z.literal('webhook_secret'),
  secret: z.string().describe('`whsec_...`'),
  created_at: moment,
  previous_expires_at: moment
    .nullable()
    .describe('Until then the secret before it signs along, and messages have two signatures'),
});

export const recoveryViewSchema = z.object({
  object: z.literal('recovery'),
  endpoint_id: z.string(),
  since: moment,
  until: moment,
  dry_run: z.boolean(),
  deliveries: z.int().describe('How many were sent again, or would be'),
  has_more: z.boolean().describe('There may be more than one call sends again: call once more'),
});

export const deliveryViewSchema = z.object({
  id: z.string().describe('dlv_ and a UUIDv7: the `webhook-id` of all its attempts'),
  object: z.literal('delivery'),
  endpoint_id: z.string().nullable(),
  url: z.string().nullable().describe("The job's or batch's own webhook, where there is no endpoint"),
  type: z.string(),
  sequence: z.int(),
  job_id: z.string().nullable(),
  batch_id: z.string().nullable(),
  status: z.enum(deliveryStatuses),
  status_reason: z
    .string()
    .nullable()
    .describe(
      'Of one that failed: `exhausted`, `gone`, `endpoint_disabled`, `endpoint_deleted` or `gave_up` (5 days under way)',
    ),
  attempt_count: z.int(),
  next_attempt_at: moment.nullable(),
  occurred_at: moment,
  created_at: moment,
  ended_at: moment.nullable(),
});

export const deliveryDetailSchema = deliveryViewSchema.extend({
  attempts: z.array(
    z.object({
      number: z.int(),
      at: moment,
      outcome: z.string().describe(
        Object.entries(attemptOutcomes)
          .map(([name, meaning]) => `\`${name}\`: ${meaning}`)
          .join('; '),
      ),
      status_code: z.int().nullable(),
      latency_ms: z.int(),
      detail: z.string().nullable(),
      response_body: z
        .string()
        .nullable()
        .describe('The first kilobyte of the answer, if it was text; erased with the job or batch'),
    }),
  ),
});

export const deliveryPageSchema = z.object({
  object: z.literal('list'),
  data: z.array(deliveryViewSchema).describe('Newest first'),
  has_more: z.boolean(),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
});

export function toEndpointView(row: EndpointRow): z.output<typeof endpointViewSchema> {
  return {
    id: endpointIds.format(row.id),
    object: 'webhook_endpoint',
    url: row.url,
    events: row.events,
    include_result: row.includeResult,
    description: row.description,
    status: z.enum(['enabled', 'disabled']).parse(row.status),
    status_reason: row.statusReason,
    failing_since: toMoment(row.failingSince),
    created_at: row.createdAt.toISOString(),
  };
}

export function toDeliveryView(row: DeliveryRow): z.output<typeof deliveryViewSchema> {
  return {
    id: deliveryIds.format(row.id),
    object: 'delivery',
    endpoint_id: row.endpointId === null ? null : endpointIds.format(row.endpointId),
    url: row.url,
    type: row.type,
    sequence: row.sequence,
    job_id: ['job', 'profile'].includes(row.subjectType) ? formatJobId(row.subjectId) : null,
    batch_id: row.subjectType === 'batch' ? formatBatchId(row.subjectId) : null,
    status: z.enum(deliveryStatuses).parse(row.status),
    status_reason: row.statusReason,
    attempt_count: row.attempt,
    next_attempt_at: toMoment(row.nextAttemptAt),
    occurred_at: row.at.toISOString(),
    created_at: row.createdAt.toISOString(),
    ended_at: toMoment(row.endedAt),
  };
}

export function toDeliveryDetail(
  row: DeliveryRow,
  attempts: readonly DeliveryAttemptRow[],
): z.output<typeof deliveryDetailSchema> {
  return {
    ...toDeliveryView(row),
    attempts: attempts.map((attempt) => ({
      number: attempt.number,
      at: attempt.at.toISOString(),
      outcome: attempt.outcome,
      status_code: attempt.statusCode,
      latency_ms: attempt.latencyMs,
      detail: attempt.detail,
      response_body: attempt.body,
    })),
  };
}

function toMoment(date: Date | null): string | null {
  return date === null ? null : date.toISOString();
}
