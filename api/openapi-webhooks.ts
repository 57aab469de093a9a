// The part of the OpenAPI document that is about webhooks: endpoints, secrets, the delivery log, and the messages that
// receivers get.

import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import type { ProblemCode } from '../shared/problem.ts';
import { webhookMessageSchema } from '../shared/webhook.ts';
import type { Answers, Paths } from './openapi-security.ts';
import {
  changeEndpointSchema,
  deliveriesQuerySchema,
  newEndpointSchema,
  recoverSchema,
} from './webhook-request.ts';
import {
  deliveryDetailSchema,
  deliveryPageSchema,
  deliveryViewSchema,
  endpointListSchema,
  endpointViewSchema,
  newEndpointViewSchema,
  recoveryViewSchema,
  secretViewSchema,
} from './webhook-view.ts';

const always: readonly ProblemCode[] = ['internal_error', 'ledger_unavailable'];
const bodyProblems: readonly ProblemCode[] = [
  'malformed_request',
  'malformed_json',
  'invalid_encoding',
  'payload_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'invalid_request',
];
const ofEndpoint: readonly ProblemCode[] = ['webhook_endpoint_not_found', ...always];

const endpointParams = z.object({
  id: z.string().meta({ example: 'whep_01990a6e-7c00-7000-8000-000000000003' }),
});
const deliveryParams = z.object({
  id: z.string().meta({ example: 'dlv_01990a6e-7c00-7000-8000-000000000004' }),
});

const ok = (description: string, schema: z.ZodType) => ({
  description,
  content: { 'application/json': { schema } },
});
const takes = (schema: z.ZodType, example: unknown) => ({
  required: true,
  content: { 'application/json': { schema, example } },
});

const tags = ['Webhooks'];

export function registerWebhooks(registry: Paths, answers: Answers): void {
  registerEndpoints(registry, answers);
  registerActions(registry, answers);
  registerSecret(registry, answers);
  registerDeliveries(registry, answers);
}

function registerEndpoints(registry: Paths, answers: Answers): void {
  registry.registerPath({
    method: 'get',
    path: '/v1/webhook_endpoints',
    operationId: 'listWebhookEndpoints',
    tags,
    summary: 'All endpoints, oldest first',
    responses: { 200: ok('The endpoints', endpointListSchema), ...answers(always) },
  });
  registry.registerPath({
    method: 'post',
    path: '/v1/webhook_endpoints',
    operationId: 'createWebhookEndpoint',
    tags,
    summary: 'Register a URL that hears of events',
    description:
      'The URL must be https, of a public server, on a port that this server allows; it is judged again for every connection. The answer shows the secret that signs the messages (Standard Webhooks), this once.',
    request: {
      body: takes(newEndpointSchema, {
        url: 'https://example.com/hooks/soma',
        events: ['job.*', 'batch.ended'],
      }),
    },
    responses: {
      201: ok('The endpoint, with its secret', newEndpointViewSchema),
      ...answers([...bodyProblems, 'endpoint_limit_reached', 'webhooks_unavailable', ...always]),
    },
  });
  registry.registerPath({
    method: 'get',
    path: '/v1/webhook_endpoints/{id}',
    operationId: 'getWebhookEndpoint',
    tags,
    summary: 'An endpoint',
    request: { params: endpointParams },
    responses: { 200: ok('The endpoint', endpointViewSchema), ...answers(ofEndpoint) },
  });
  registry.registerPath({
    method: 'patch',
    path: '/v1/webhook_endpoints/{id}',
    operationId: 'changeWebhookEndpoint',
    tags,
    summary: 'Change, disable or enable an endpoint',
    description:
      'What is left out stays. While an endpoint is disabled it hears of nothing, and its messages fail when their time comes; `recover` sends them again.',
    request: { params: endpointParams, body: takes(changeEndpointSchema, { status: 'enabled' }) },
    responses: {
      200: ok('The endpoint as it is now', endpointViewSchema),
      ...answers([...bodyProblems, 'webhooks_unavailable', ...ofEndpoint]),
    },
  });
  registry.registerPath({
    method: 'delete',
    path: '/v1/webhook_endpoints/{id}',
    operationId: 'deleteWebhookEndpoint',
    tags,
    summary: 'Delete an endpoint, with its deliveries and their log',
    request: { params: endpointParams },
    responses: { 204: { description: 'It is gone' }, ...answers(ofEndpoint) },
  });
}

function registerActions(registry: Paths, answers: Answers): void {
  registry.registerPath({
    method: 'post',
    path: '/v1/webhook_endpoints/{id}/rotate_secret',
    operationId: 'rotateWebhookEndpointSecret',
    tags,
    summary: 'Give an endpoint another secret',
    description:
      'For 24 hours messages carry two signatures, of the new and of the old secret, so that receivers can change over at any time in between.',
    request: { params: endpointParams },
    responses: {
      200: ok('The new secret, shown this once', secretViewSchema),
      ...answers(['webhooks_unavailable', ...ofEndpoint]),
    },
  });
  registry.registerPath({
    method: 'post',
    path: '/v1/webhook_endpoints/{id}/test',
    operationId: 'testWebhookEndpoint',
    tags,
    summary: 'Send `webhook.test` to an endpoint, whatever its events',
    request: { params: endpointParams },
    responses: {
      202: ok('The delivery; look at it to see what came of it', deliveryViewSchema),
      ...answers(['endpoint_disabled', ...ofEndpoint]),
    },
  });
  registry.registerPath({
    method: 'post',
    path: '/v1/webhook_endpoints/{id}/recover',
    operationId: 'recoverWebhookEndpoint',
    tags,
    summary: 'Send again what failed in a window of time',
    description:
      'Exactly the deliveries that failed and were made in the window, oldest first, at most 10,000 a call, each under its own `webhook-id`. With `dry_run` they are counted.',
    request: {
      params: endpointParams,
      body: takes(recoverSchema, { since: '2026-11-24T00:00:00Z', dry_run: true }),
    },
    responses: {
      200: ok('What was done', recoveryViewSchema),
      ...answers([...bodyProblems, 'endpoint_disabled', ...ofEndpoint]),
    },
  });
}

function registerSecret(registry: Paths, answers: Answers): void {
  registry.registerPath({
    method: 'get',
    path: '/v1/webhook_secret',
    operationId: 'getWebhookSecret',
    tags,
    summary: "The tenant's default secret",
    description:
      'It signs what goes to the `webhook` of a job or batch, which has no endpoint. It is made when it is first needed or asked for, and shown whenever asked for.',
    responses: { 200: ok('The secret', secretViewSchema), ...answers(['webhooks_unavailable', ...always]) },
  });
  registry.registerPath({
    method: 'post',
    path: '/v1/webhook_secret/rotate',
    operationId: 'rotateWebhookSecret',
    tags,
    summary: 'Give the tenant another default secret',
    description: 'The one before it signs along for 24 hours.',
    responses: {
      200: ok('The new secret', secretViewSchema),
      ...answers(['webhooks_unavailable', ...always]),
    },
  });
}

function registerDeliveries(registry: Paths, answers: Answers): void {
  registry.registerPath({
    method: 'get',
    path: '/v1/deliveries',
    operationId: 'listDeliveries',
    tags,
    summary: 'Messages and how they fare, newest first',
    description:
      'They are kept for 30 days after they ended, and no longer than the job or batch that they are about.',
    request: { query: deliveriesQuerySchema },
    responses: { 200: ok('A page', deliveryPageSchema), ...answers(['invalid_request', ...always]) },
  });
  registry.registerPath({
    method: 'get',
    path: '/v1/deliveries/{id}',
    operationId: 'getDelivery',
    tags,
    summary: 'A message with its attempts',
    request: { params: deliveryParams },
    responses: {
      200: ok('The delivery', deliveryDetailSchema),
      ...answers(['delivery_not_found', ...always]),
    },
  });
  registry.registerPath({
    method: 'post',
    path: '/v1/deliveries/{id}/replay',
    operationId: 'replayDelivery',
    tags,
    summary: 'Send a message that ended once more',
    description:
      'At once and with a schedule of its own, under the same `webhook-id`: a receiver that had it knows it again.',
    request: { params: deliveryParams },
    responses: {
      202: ok('The delivery, under way', deliveryDetailSchema),
      ...answers(['delivery_not_found', 'delivery_pending', 'endpoint_disabled', ...always]),
    },
  });
}

/** What receivers get, as the document's `webhooks`. */
export const webhookMessage: RouteConfig = {
  method: 'post',
  path: 'event',
  tags,
  summary: 'A message to an endpoint, or to the webhook of a job or batch',
  description:
    'Answer 2xx within 15 seconds; 3xx is a failure, 410 disables the endpoint, 429 and 503 with `Retry-After` are heeded. Other answers are tried again after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, each 20 % more or less. A message may come more than once, and late: `webhook-id` tells one that you have, `sequence` one that is out of order. `batch.progress` comes at most once in 10 seconds of a batch, and not at all of one that ends with its first count; a stream of `/v1/batches/{id}/events` has more. Verify the signature with any Standard Webhooks library.',
  request: {
    headers: z.object({
      'webhook-id': z.string().describe('The same on every attempt'),
      'webhook-timestamp': z.string().describe('Of the attempt, in seconds'),
      'webhook-signature': z.string().describe('`v1,<base64>`; two of them while a secret is rotated'),
    }),
    body: {
      required: true,
      content: { 'application/json': { schema: webhookMessageSchema.meta({ id: 'WebhookMessage' }) } },
    },
  },
  responses: { 204: { description: 'Taken' } },
};
