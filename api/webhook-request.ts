// What a client may ask about webhooks, checked to the last field. URLs are judged by `webhooks.ts`.

import { z } from 'zod';
import type { WebhookRequest } from '../db/submissions.ts';
import { batchIdPattern } from '../shared/batch.ts';
import { jobIdPattern } from '../shared/job.ts';
import { boundedText } from '../shared/text-schema.ts';
import {
  batchPatterns,
  deliveryIds,
  deliveryStatuses,
  endpointIds,
  terminalEvents,
  webhookLimits,
  webhookPatterns,
} from '../shared/webhook.ts';
import { queryInteger } from './query-number.ts';

const url = z
  .string()
  .min(1)
  .max(webhookLimits.urlCharactersMax)
  .describe('https only, of a public server')
  .meta({ pattern: '^[hH][tT][tT][pP][sS]://' });

const events = z
  .array(z.enum(webhookPatterns))
  .min(1)
  .max(webhookPatterns.length)
  .describe('Events, or families like `job.*`, or `*`');

const includeResult = z
  .boolean()
  .describe('Puts the result of a job into its message, if it has at most 128 kB');

const description = boundedText(0, webhookLimits.descriptionCharactersMax).nullable();

/** `webhook` of a job. */
export const jobWebhookSchema = z.strictObject({
  url,
  events: events.default([...terminalEvents]),
  include_result: includeResult.default(false),
});

/** `webhook` of a batch. Its results are too many for a message. */
export const batchWebhookSchema = z.strictObject({
  url,
  events: z
    .array(z.enum(batchPatterns))
    .min(1)
    .max(batchPatterns.length)
    .default(['batch.ended'])
    .describe('`batch.progress` comes at most once in 10 seconds'),
});

export function toWebhookRequest(
  webhook: z.output<typeof jobWebhookSchema> | z.output<typeof batchWebhookSchema> | undefined,
): WebhookRequest | undefined {
  if (webhook === undefined) return undefined;
  const includeResult = 'include_result' in webhook && webhook.include_result;
  return { url: webhook.url, events: webhook.events, includeResult };
}

export const newEndpointSchema = z.strictObject({
  url,
  events: events.default(['*']),
  include_result: includeResult.default(false),
  description: description.default(null),
});

export const changeEndpointSchema = z
  .strictObject({
    url: url.optional(),
    events: events.optional(),
    include_result: includeResult.optional(),
    description: description.optional(),
    status: z
      .enum(['enabled', 'disabled'])
      .optional()
      .describe('To enable an endpoint makes it hear of what happens from now on'),
  })
  .refine((changes) => Object.keys(changes).length > 0, { error: 'Changes nothing' })
  .meta({ minProperties: 1 });

const moment = z.iso
  .datetime({ offset: true })
  .refine((value) => Date.parse(value) >= 0 && Date.parse(value) < Date.UTC(10_000, 0), {
    error: 'Is not between the years 1970 and 9999',
  });

export const recoverSchema = z
  .strictObject({
    since: moment.describe('Of the deliveries, when they were made'),
    until: moment.optional().describe('Before then; now if left out'),
    dry_run: z.boolean().default(false).describe('Only counts'),
  })
  .refine(({ since, until }) => until === undefined || Date.parse(since) < Date.parse(until), {
    error: 'Must be after since',
    path: ['until'],
    params: { code: 'out_of_range' },
  });

const idOf = (pattern: RegExp) =>
  z
    .string()
    .refine((id) => pattern.test(id), { error: 'Is no such id', params: { code: 'id' } })
    .meta({ pattern: pattern.source });

export const deliveriesQuerySchema = z.strictObject({
  endpoint: idOf(endpointIds.pattern).optional().describe('Of this endpoint'),
  job: idOf(jobIdPattern).optional().describe('About this job'),
  batch: idOf(batchIdPattern).optional().describe('About this batch itself, not its jobs'),
  status: z.enum(deliveryStatuses).optional(),
  limit: queryInteger(1, 100).default(20),
  after: idOf(deliveryIds.pattern)
    .optional()
    .describe('Older than this one: the `last_id` of the page before'),
});
