// Endpoints for webhooks, their secrets, a test, and the recovery of what failed; and the tenant's default secret.

import { type Request, type Response, Router } from 'express';
import { v7 } from 'uuid';
import { z } from 'zod';
import { asTenant, inTransaction } from '../../db/client.ts';
import { countFailed, getDelivery, insertTestDelivery, recoverDeliveries } from '../../db/deliveries.ts';
import {
  deleteEndpoint,
  type EndpointName,
  type EndpointRow,
  getEndpoint,
  insertEndpoint,
  listEndpoints,
  updateEndpoint,
} from '../../db/webhook-endpoints.ts';
import { ProblemError } from '../../shared/problem.ts';
import { endpointIds, webhookLimits } from '../../shared/webhook.ts';
import { tenantOf } from '../authenticate.ts';
import type { Context } from '../context.ts';
import { refuseMethod } from '../problem-handler.ts';
import { parseJson, readBody } from '../read-json.ts';
import { validate } from '../validate.ts';
import { changeEndpointSchema, newEndpointSchema, recoverSchema } from '../webhook-request.ts';
import {
  type endpointListSchema,
  type recoveryViewSchema,
  type secretViewSchema,
  toDeliveryView,
  toEndpointView,
} from '../webhook-view.ts';
import type { ShownSecret } from '../webhooks.ts';

export function webhookEndpointRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  const body = readBody(context.config.BODY_BYTES_MAX);
  const path = '/v1/webhook_endpoints';
  router
    .route(path)
    .get((request, response) => list(context, request, response))
    .post(...body, (request, response) => create(context, request, response))
    .all(refuseMethod('GET', 'POST'));
  router
    .route(`${path}/:id`)
    .get((request, response) => show(context, request, response))
    .patch(...body, (request, response) => change(context, request, response))
    .delete((request, response) => remove(context, request, response))
    .all(refuseMethod('GET', 'PATCH', 'DELETE'));
  router
    .route(`${path}/:id/rotate_secret`)
    .post((request, response) => rotate(context, request, response))
    .all(refuseMethod('POST'));
  router
    .route(`${path}/:id/test`)
    .post((request, response) => test(context, request, response))
    .all(refuseMethod('POST'));
  router
    .route(`${path}/:id/recover`)
    .post(...body, (request, response) => recover(context, request, response))
    .all(refuseMethod('POST'));
  router
    .route('/v1/webhook_secret')
    .get(async (request, response) => {
      response.json(toSecretView(await context.webhooks.readDefault(tenantOf(request))));
    })
    .all(refuseMethod('GET'));
  router
    .route('/v1/webhook_secret/rotate')
    .post(async (request, response) => {
      const tenantId = tenantOf(request);
      response.json(toSecretView(await context.webhooks.rotate({ tenantId, ownerId: tenantId })));
    })
    .all(refuseMethod('POST'));
  return router;
}

async function list({ readers }: Context, request: Request, response: Response): Promise<void> {
  const rows = await asTenant(readers, tenantOf(request), (reader) =>
    listEndpoints(reader, tenantOf(request)),
  );
  const answer: z.input<typeof endpointListSchema> = { object: 'list', data: rows.map(toEndpointView) };
  response.json(answer);
}

async function create(context: Context, request: Request, response: Response): Promise<void> {
  const wanted = validate(newEndpointSchema, parseJson(request));
  const name = { tenantId: tenantOf(request), id: v7() };
  await context.webhooks.checkUrl(wanted.url, '/url');
  const { include_result: includeResult, ...fields } = wanted;
  const secret = await inTransaction(context.changers, async (tx) => {
    const made = await insertEndpoint(tx, { ...name, ...fields, includeResult }, webhookLimits.endpointsMax);
    if (!made)
      throw new ProblemError(
        'endpoint_limit_reached',
        `There may be ${webhookLimits.endpointsMax} endpoints`,
      );
    return context.webhooks.makeSecret(tx, { tenantId: name.tenantId, ownerId: name.id });
  });
  response.setHeader('Location', `/v1/webhook_endpoints/${endpointIds.format(name.id)}`);
  response.status(201).json({ ...toEndpointView(await find(context, name)), secret });
}

async function show(context: Context, request: Request, response: Response): Promise<void> {
  response.json(toEndpointView(await find(context, readName(request))));
}

async function change(context: Context, request: Request, response: Response): Promise<void> {
  const name = readName(request);
  const { include_result: includeResult, ...changes } = validate(changeEndpointSchema, parseJson(request));
  await find(context, name);
  if (changes.url !== undefined) await context.webhooks.checkUrl(changes.url, '/url');
  const fields = { ...changes, ...(includeResult === undefined ? {} : { includeResult }) };
  if (!(await updateEndpoint(context.changers, name, fields))) throw notFound();
  response.json(toEndpointView(await find(context, name)));
}

async function remove({ changers }: Context, request: Request, response: Response): Promise<void> {
  const name = readName(request);
  if (!(await inTransaction(changers, (tx) => deleteEndpoint(tx, name)))) throw notFound();
  response.status(204).end();
}

async function rotate(context: Context, request: Request, response: Response): Promise<void> {
  const { tenantId, id } = readName(request);
  await find(context, { tenantId, id });
  response.json(toSecretView(await context.webhooks.rotate({ tenantId, ownerId: id })));
}

async function test(context: Context, request: Request, response: Response): Promise<void> {
  const name = readName(request);
  refuseDisabled(await find(context, name));
  const id = await insertTestDelivery(context.changers, name);
  if (id === undefined) throw disabled();
  const found = await asTenant(context.readers, name.tenantId, (reader) =>
    getDelivery(reader, name.tenantId, id),
  );
  if (found === undefined) throw notFound();
  response.status(202).json(toDeliveryView(found.delivery));
}

async function recover(context: Context, request: Request, response: Response): Promise<void> {
  const name = readName(request);
  const wanted = validate(recoverSchema, parseJson(request));
  const endpoint = await find(context, name);
  const since = new Date(wanted.since);
  const until = wanted.until === undefined ? new Date() : new Date(wanted.until);
  const window = { since, until, limit: webhookLimits.recoverMax };
  if (!wanted.dry_run) refuseDisabled(endpoint);
  const deliveries = await (wanted.dry_run ? countFailed : recoverDeliveries)(context.changers, name, window);
  const answer: z.input<typeof recoveryViewSchema> = {
    object: 'recovery',
    endpoint_id: endpointIds.format(name.id),
    since: since.toISOString(),
    until: until.toISOString(),
    dry_run: wanted.dry_run,
    deliveries,
    has_more: deliveries === webhookLimits.recoverMax,
  };
  response.json(answer);
}

function readName(request: Request): EndpointName {
  const id = endpointIds.parse(z.string().parse(request.params['id']));
  if (id === undefined) throw notFound();
  return { tenantId: tenantOf(request), id };
}

async function find({ readers }: Context, name: EndpointName): Promise<EndpointRow> {
  const found = await asTenant(readers, name.tenantId, (reader) => getEndpoint(reader, name));
  if (found === undefined) throw notFound();
  return found;
}

function refuseDisabled({ status }: EndpointRow): void {
  if (status !== 'enabled') throw disabled();
}

function disabled(): ProblemError {
  return new ProblemError('endpoint_disabled', 'Enable the endpoint first, with PATCH {"status": "enabled"}');
}

function notFound(): ProblemError {
  return new ProblemError('webhook_endpoint_not_found', 'There is no such endpoint, or it was deleted');
}

function toSecretView(shown: ShownSecret): z.output<typeof secretViewSchema> {
  return {
    object: 'webhook_secret',
    secret: shown.secret,
    created_at: shown.createdAt.toISOString(),
    previous_expires_at: shown.previousExpiresAt?.toISOString() ?? null,
  };
}
