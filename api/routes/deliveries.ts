// The delivery log of a tenant's webhooks: a list, one with its attempts, and once more.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { asTenant } from '../../db/client.ts';
import { getDelivery, listDeliveries, replayDelivery } from '../../db/deliveries.ts';
import { parseBatchId } from '../../shared/batch.ts';
import { parseJobId } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import { deliveryIds, endpointIds } from '../../shared/webhook.ts';
import { tenantOf } from '../authenticate.ts';
import type { Context } from '../context.ts';
import { toListPage } from '../list-page.ts';
import { refuseMethod } from '../problem-handler.ts';
import { validate } from '../validate.ts';
import { deliveriesQuerySchema } from '../webhook-request.ts';
import { type deliveryPageSchema, toDeliveryDetail, toDeliveryView } from '../webhook-view.ts';

export function deliveryRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  router
    .route('/v1/deliveries')
    .get((request, response) => list(context, request, response))
    .all(refuseMethod('GET'));
  router
    .route('/v1/deliveries/:id')
    .get((request, response) => show(context, request, response))
    .all(refuseMethod('GET'));
  router
    .route('/v1/deliveries/:id/replay')
    .post((request, response) => replay(context, request, response))
    .all(refuseMethod('POST'));
  return router;
}

async function list({ readers }: Context, request: Request, response: Response): Promise<void> {
  const query = validate(deliveriesQuerySchema, request.query, '?');
  const tenantId = tenantOf(request);
  const filter = {
    endpointId: query.endpoint && endpointIds.parse(query.endpoint),
    jobId: query.job && parseJobId(query.job),
    batchId: query.batch && parseBatchId(query.batch),
    status: query.status,
    after: query.after && deliveryIds.parse(query.after),
    limit: query.limit,
  };
  const { deliveries, hasMore } = await asTenant(readers, tenantId, (reader) =>
    listDeliveries(reader, tenantId, filter),
  );
  const page: z.input<typeof deliveryPageSchema> = toListPage(deliveries.map(toDeliveryView), hasMore);
  response.json(page);
}

async function show(context: Context, request: Request, response: Response): Promise<void> {
  const { delivery, attempts } = await find(context, request);
  response.json(toDeliveryDetail(delivery, attempts));
}

async function replay(context: Context, request: Request, response: Response): Promise<void> {
  const { delivery } = await find(context, request);
  const outcome = await replayDelivery(context.changers, tenantOf(request), delivery.id);
  if (outcome === undefined) throw notFound();
  if (outcome === 'pending')
    throw new ProblemError('delivery_pending', 'Its next attempt is at `next_attempt_at`', {
      headers: { 'Retry-After': '60' },
    });
  if (outcome === 'disabled')
    throw new ProblemError(
      'endpoint_disabled',
      'Enable the endpoint first, with PATCH {"status": "enabled"}',
    );
  const again = await find(context, request);
  response.status(202).json(toDeliveryDetail(again.delivery, again.attempts));
}

async function find({ readers }: Context, request: Request) {
  const id = deliveryIds.parse(z.string().parse(request.params['id']));
  const tenantId = tenantOf(request);
  const found = id && (await asTenant(readers, tenantId, (reader) => getDelivery(reader, tenantId, id)));
  if (found === undefined || found === '') throw notFound();
  return found;
}

function notFound(): ProblemError {
  return new ProblemError('delivery_not_found', 'There is no such delivery, or it was deleted');
}
