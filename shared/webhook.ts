// What a webhook is to every process: the events, the patterns that choose among them, when a message is tried again,
// and what a message holds. The API documents and stores by it, the sender sends by it.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { batchEndReasons, batchStatuses } from './batch.ts';

/** Everything that a message can tell of. The last two are about webhooks themselves. */
export const webhookEvents = [
  'job.started',
  'job.succeeded',
  'job.failed',
  'job.canceled',
  'job.expired',
  'batch.progress',
  'batch.ended',
  'profile.updated',
  'endpoint.disabled',
  'webhook.test',
] as const;

/** What may stand in `events`: an event, all of a family, or all. */
export const webhookPatterns = [
  ...webhookEvents,
  'job.*',
  'batch.*',
  'profile.*',
  'endpoint.*',
  '*',
] as const;

/** What a job's own webhook hears of unless it says otherwise: its end. */
export const terminalEvents = ['job.succeeded', 'job.failed', 'job.canceled', 'job.expired'] as const;

/** What a batch's own webhook can hear of. */
export const batchPatterns = ['batch.progress', 'batch.ended', 'batch.*'] as const;

export const deliveryStatuses = ['pending', 'succeeded', 'failed'] as const;

const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;

/**
 * The wait before each attempt, in milliseconds, each to be taken times 0.8 to 1.2: Svix's schedule, which ends after
 * 27.6 hours.
 */
export const scheduleMs: readonly number[] = [
  0,
  5 * secondMs,
  5 * minuteMs,
  30 * minuteMs,
  2 * hourMs,
  5 * hourMs,
  10 * hourMs,
  10 * hourMs,
];

export const webhookLimits = {
  urlCharactersMax: 2048,
  descriptionCharactersMax: 256,
  endpointsMax: 50,
  /** A larger result is left out of a message; `GET /v1/jobs/{id}/result` has it. */
  resultBytesMax: 128 * 1024,
  /** What is read of an answer; the rest is cut off. */
  answerBytesMax: 16 * 1024,
  /** What is kept of an answer. */
  excerptBytesMax: 1024,
  /** A `Retry-After` beyond this counts as this. */
  retryAfterMsMax: 10 * hourMs,
  /** Nothing but failure for so long disables an endpoint, and ends a message that is still under way. */
  failingMsMax: 5 * 24 * hourMs,
  secretOverlapMs: 24 * hourMs,
  /** Deliveries that one `recover` sends again. */
  recoverMax: 10_000,
  deliveryDaysMax: 30,
} as const;

/** The NOTIFY channel on which the ids of targets with new messages are told. */
export const deliveriesChannel = 'soma_deliveries';

const uuidPattern = '[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}';

function prefixed(prefix: string) {
  const pattern = new RegExp(`^${prefix}(${uuidPattern})$`);
  return {
    pattern,
    format: (uuid: string): string => `${prefix}${uuid}`,
    /** The UUID inside, or undefined if `id` is no such id. */
    parse: (id: string): string | undefined => pattern.exec(id)?.[1],
  };
}

export const endpointIds = prefixed('whep_');

/** Also the `webhook-id` of a message: the same on every attempt and every replay. */
export const deliveryIds = prefixed('dlv_');

/** What all messages to one URL of a tenant's jobs have in common: they share the turns and the breaker. */
export function toTargetId(tenantId: string, url: string): string {
  return createHash('md5')
    .update(`${tenantId} ${url}`)
    .digest('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

const moment = z.iso.datetime();
const errorSchema = z.object({ code: z.string(), detail: z.string() });

/** `data` of the events of a job. A job that was deleted meanwhile has nothing but id, status and `deleted`. */
export const jobDataSchema = z.object({
  id: z.string(),
  object: z.literal('job'),
  status: z.string(),
  deleted: z.literal(true).optional(),
  kind: z.string().optional(),
  status_reason: z.string().nullable().optional(),
  user_id: z.string().nullable().optional(),
  custom_id: z.string().nullable().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  tags: z.array(z.string()).optional(),
  model: z.object({ name: z.string(), version: z.string(), digest: z.string() }).optional(),
  created_at: moment.optional(),
  started_at: moment.nullable().optional(),
  ended_at: moment.nullable().optional(),
  counts: z.object({ total: z.int(), succeeded: z.int(), failed: z.int() }).optional(),
  error: errorSchema.nullable().optional(),
  result: z
    .object({
      items: z.array(
        z.object({
          index: z.int(),
          status: z.enum(['succeeded', 'failed']),
          output: z.unknown().optional(),
          error: errorSchema.optional(),
        }),
      ),
    })
    .optional()
    .describe('With `include_result`, if it has at most 128 kB'),
  result_omitted: z.literal('too_large').optional(),
  links: z.object({ self: z.string(), result: z.string() }).optional(),
});

export const profileDataSchema = z.object({
  object: z.literal('profile'),
  job_id: z.string(),
  deleted: z.literal(true).optional(),
  user_id: z.string().optional(),
  version: z.int(),
  links: z.object({ self: z.string() }).optional(),
});

/** What an event says of a batch: how far it is, and at its end why that is the end. */
export const batchEventSchema = z.object({
  status: z.enum(batchStatuses),
  end_reason: z.enum(batchEndReasons).optional(),
  counts: z.object({
    total: z.int(),
    succeeded: z.int(),
    failed: z.int(),
    canceled: z.int(),
    expired: z.int(),
  }),
});

/** `data` of the events of a batch. A batch that was deleted meanwhile has nothing but id, status and `deleted`. */
export const batchDataSchema = z.object({
  id: z.string(),
  object: z.literal('batch'),
  status: batchEventSchema.shape.status,
  deleted: z.literal(true).optional(),
  kind: z.string().optional(),
  end_reason: batchEventSchema.shape.end_reason.unwrap().nullable().optional(),
  model: z.object({ name: z.string(), version: z.string(), digest: z.string() }).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  input_file_id: z.string().nullable().optional(),
  created_at: moment.optional(),
  ended_at: moment.nullable().optional(),
  counts: batchEventSchema.shape.counts.optional().describe('Of lines, at that moment'),
  error: errorSchema.nullable().optional(),
  links: z.object({ self: z.string(), results: z.string() }).optional(),
});

/** A message, as its receiver reads it. */
export const webhookMessageSchema = z.object({
  type: z.enum(webhookEvents),
  timestamp: moment.describe('When it happened'),
  sequence: z
    .int()
    .describe(
      'Counts the events of one job or batch, as its event stream does; of a profile it is the version. A message with a lower one than you have seen for the same `data.id` is late, not new',
    ),
  data: z.union([jobDataSchema, batchDataSchema, profileDataSchema, z.record(z.string(), z.unknown())]),
});

export type WebhookMessage = z.input<typeof webhookMessageSchema>;

/** Why an attempt ended as it did. */
export const attemptOutcomes = {
  succeeded: 'The receiver answered 2xx',
  http_error: 'The receiver answered 4xx or 5xx',
  redirect: 'The receiver answered 3xx; no redirect is followed',
  rate_limited: 'The receiver answered 429',
  gone: 'The receiver answered 410: it wants no more',
  timed_out: 'No whole answer came within the time',
  connect_timed_out: 'No connection, or no TLS, within the time',
  connection_refused: 'Nothing listens there',
  connection_reset: 'The receiver cut the connection',
  unreachable: 'There is no way to that address',
  dns_failed: 'The name has no address',
  address_refused: 'The address is not a public one, or the URL is not allowed',
  tls_failed: 'The certificate or the handshake is not right',
  invalid_answer: 'What came back is not HTTP',
} as const;

export type AttemptOutcome = keyof typeof attemptOutcomes;
