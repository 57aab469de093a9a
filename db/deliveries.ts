// Deliveries as the tenant that owns them sees them, with their log, and what sends them again.

import { and, asc, desc, eq, lt } from 'drizzle-orm';
import { z } from 'zod';
import { deliveriesChannel } from '../shared/webhook.ts';
import type { Reader, Tx } from './client.ts';
import * as schema from './schema.ts';
import type { EndpointName } from './webhook-endpoints.ts';

export type DeliveryRow = typeof schema.deliveries.$inferSelect;
export type DeliveryAttemptRow = typeof schema.deliveryAttempts.$inferSelect;

/** A page of a tenant's deliveries, newest first, and one more to tell whether there are more. */
export async function listDeliveries(
  reader: Reader,
  tenantId: string,
  filter: {
    readonly endpointId?: string | undefined;
    readonly jobId?: string | undefined;
    readonly batchId?: string | undefined;
    readonly status?: string | undefined;
    readonly after?: string | undefined;
    readonly limit: number;
  },
): Promise<{ deliveries: DeliveryRow[]; hasMore: boolean }> {
  const { deliveries } = schema;
  const { endpointId, jobId, batchId, status, after, limit } = filter;
  const rows = await reader
    .select()
    .from(deliveries)
    .where(
      and(
        eq(deliveries.tenantId, tenantId),
        endpointId === undefined ? undefined : eq(deliveries.endpointId, endpointId),
        jobId === undefined ? undefined : eq(deliveries.subjectId, jobId),
        batchId === undefined ? undefined : eq(deliveries.subjectId, batchId),
        status === undefined ? undefined : eq(deliveries.status, status),
        after === undefined ? undefined : lt(deliveries.id, after),
      ),
    )
    .orderBy(desc(deliveries.id))
    .limit(limit + 1);
  return { deliveries: rows.slice(0, limit), hasMore: rows.length > limit };
}

/** A delivery with its attempts, oldest first; undefined if the tenant has none of that id. */
export async function getDelivery(
  reader: Reader,
  tenantId: string,
  id: string,
): Promise<{ delivery: DeliveryRow; attempts: DeliveryAttemptRow[] } | undefined> {
  const { deliveries, deliveryAttempts } = schema;
  const [delivery] = await reader
    .select()
    .from(deliveries)
    .where(and(eq(deliveries.tenantId, tenantId), eq(deliveries.id, id)));
  if (delivery === undefined) return undefined;
  const attempts = await reader
    .select()
    .from(deliveryAttempts)
    .where(and(eq(deliveryAttempts.tenantId, tenantId), eq(deliveryAttempts.deliveryId, id)))
    .orderBy(asc(deliveryAttempts.number));
  return { delivery, attempts };
}

/** The webhook that a job was submitted with. */
export async function getWebhookRequest(
  reader: Reader,
  tenantId: string,
  jobId: string,
): Promise<{ url: string; events: readonly string[]; includeResult: boolean } | undefined> {
  const { webhookRequests } = schema;
  const [found] = await reader
    .select()
    .from(webhookRequests)
    .where(and(eq(webhookRequests.tenantId, tenantId), eq(webhookRequests.subjectId, jobId)));
  return found;
}

const replayed = `status = 'pending', status_reason = NULL, ended_at = NULL, tries = 0, since = now(), next_attempt_at = now()`;

const replayRows = z.array(
  z.object({ status: z.string(), endpoint: z.string().nullable(), moved: z.boolean() }),
);

/**
 * Sends a delivery that ended again, under its id and with a schedule of its own.
 * @returns what stood in the way: `pending` if it is under way, `disabled` if its endpoint is off; undefined if the
 * tenant has none of that id
 */
export async function replayDelivery(
  tx: Tx,
  tenantId: string,
  id: string,
): Promise<'replayed' | 'pending' | 'disabled' | undefined> {
  const { rows } = await tx.query(
    `WITH found AS MATERIALIZED (
       SELECT d.id, d.status, d.target_id, w.status AS endpoint FROM deliveries d
       LEFT JOIN webhook_endpoints w ON w.tenant_id = d.tenant_id AND w.id = d.endpoint_id
       WHERE d.tenant_id = $1 AND d.id = $2 FOR UPDATE OF d
     ), moved AS (
       UPDATE deliveries d SET ${replayed} FROM found f
       WHERE d.tenant_id = $1 AND d.id = f.id AND f.status <> 'pending' AND f.endpoint IS DISTINCT FROM 'disabled'
       RETURNING d.target_id
     ), told AS (SELECT pg_notify('${deliveriesChannel}', target_id::text) FROM moved)
     SELECT f.status, f.endpoint, EXISTS (SELECT FROM told) AS moved FROM found f`,
    [tenantId, id],
  );
  const found = replayRows.parse(rows)[0];
  if (found === undefined) return undefined;
  if (found.moved) return 'replayed';
  return found.status === 'pending' ? 'pending' : 'disabled';
}

/** The window of a recovery: deliveries made then, the end left out. */
export interface RecoveryWindow {
  readonly since: Date;
  readonly until: Date;
  readonly limit: number;
}

const failedSql = `SELECT id FROM deliveries WHERE tenant_id = $1 AND endpoint_id = $2 AND status = 'failed'
  AND created_at >= $3 AND created_at < $4 ORDER BY id LIMIT $5`;

const countRows = z.tuple([z.object({ count: z.number() })]);

/** How many failed deliveries of the endpoint `recoverDeliveries` would send again. */
export async function countFailed(tx: Tx, endpoint: EndpointName, window: RecoveryWindow): Promise<number> {
  const { rows } = await tx.query(`SELECT count(*)::integer AS count FROM (${failedSql}) AS failed`, [
    endpoint.tenantId,
    endpoint.id,
    window.since,
    window.until,
    window.limit,
  ]);
  return countRows.parse(rows)[0].count;
}

/** Sends the failed deliveries of the window again, oldest first. @returns how many */
export async function recoverDeliveries(
  tx: Tx,
  endpoint: EndpointName,
  window: RecoveryWindow,
): Promise<number> {
  const { rows } = await tx.query(
    `WITH failed AS MATERIALIZED (${failedSql} FOR UPDATE), moved AS (
       UPDATE deliveries d SET ${replayed} FROM failed f WHERE d.tenant_id = $1 AND d.id = f.id RETURNING d.target_id)
     SELECT count(*)::integer AS count,
       (SELECT count(pg_notify('${deliveriesChannel}', $2::uuid::text)) FROM (SELECT FROM moved LIMIT 1) AS any_moved) AS told FROM moved`,
    [endpoint.tenantId, endpoint.id, window.since, window.until, window.limit],
  );
  return countRows.parse(rows)[0].count;
}

const madeRows = z.array(z.object({ id: z.string() }));

/** Makes a `webhook.test` for one endpoint. @returns its id; undefined if there is no such endpoint or it is off */
export async function insertTestDelivery(
  tx: Tx,
  { tenantId, id }: EndpointName,
): Promise<string | undefined> {
  const { rows } = await tx.query(
    `WITH made AS (
       INSERT INTO deliveries (tenant_id, id, target_id, endpoint_id, subject_type, subject_id, type, sequence, at, data,
         next_attempt_at)
       SELECT tenant_id, uuid_v7(), id, id, 'endpoint', id, 'webhook.test', 1, now(),
         jsonb_build_object('id', 'whep_' || id, 'object', 'webhook_endpoint'), now()
       FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2 AND status = 'enabled' RETURNING id, target_id)
     SELECT id, pg_notify('${deliveriesChannel}', target_id::text) FROM made`,
    [tenantId, id],
  );
  return madeRows.parse(rows)[0]?.id;
}
