// The endpoints of a tenant: URLs that hear of events until they are deleted or disabled.

import { and, asc, eq } from 'drizzle-orm';
import { z } from 'zod';
import type { Reader, Tx } from './client.ts';
import * as schema from './schema.ts';

export type EndpointRow = typeof schema.webhookEndpoints.$inferSelect;

export interface EndpointName {
  readonly tenantId: string;
  readonly id: string;
}

export interface EndpointFields {
  readonly url: string;
  readonly events: readonly string[];
  readonly includeResult: boolean;
  readonly description: string | null;
}

/** All endpoints of a tenant, oldest first. */
export async function listEndpoints(reader: Reader, tenantId: string): Promise<EndpointRow[]> {
  const { webhookEndpoints } = schema;
  return reader
    .select()
    .from(webhookEndpoints)
    .where(eq(webhookEndpoints.tenantId, tenantId))
    .orderBy(asc(webhookEndpoints.id));
}

export async function getEndpoint(
  reader: Reader,
  { tenantId, id }: EndpointName,
): Promise<EndpointRow | undefined> {
  const { webhookEndpoints } = schema;
  const [found] = await reader
    .select()
    .from(webhookEndpoints)
    .where(and(eq(webhookEndpoints.tenantId, tenantId), eq(webhookEndpoints.id, id)));
  return found;
}

/** @returns false if the tenant has `most` endpoints already. Call inside a transaction. */
export async function insertEndpoint(
  tx: Tx,
  endpoint: EndpointName & EndpointFields,
  most: number,
): Promise<boolean> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 7318020414))', [endpoint.tenantId]);
  const { rowCount } = await tx.query(
    `INSERT INTO webhook_endpoints (tenant_id, id, url, events, include_result, description)
     SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM webhook_endpoints WHERE tenant_id = $1) < $7`,
    [
      endpoint.tenantId,
      endpoint.id,
      endpoint.url,
      endpoint.events,
      endpoint.includeResult,
      endpoint.description,
      most,
    ],
  );
  return rowCount === 1;
}

/**
 * Changes what is given and leaves the rest. To enable one forgets that it failed.
 * @returns false if there is no such endpoint
 */
export async function updateEndpoint(
  tx: Tx,
  { tenantId, id }: EndpointName,
  changes: {
    readonly [Field in keyof EndpointFields]?: EndpointFields[Field] | undefined;
  } & { readonly status?: 'enabled' | 'disabled' | undefined },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE webhook_endpoints SET url = coalesce($3, url), events = coalesce($4, events),
       include_result = coalesce($5, include_result),
       description = CASE WHEN $6::boolean THEN $7 ELSE description END,
       status = coalesce($8, status),
       status_reason = CASE WHEN $8 = 'enabled' THEN NULL WHEN $8 = 'disabled' THEN 'disabled_by_client' ELSE status_reason END,
       failing_since = CASE WHEN $8 = 'enabled' THEN NULL ELSE failing_since END
     WHERE tenant_id = $1 AND id = $2`,
    [
      tenantId,
      id,
      changes.url,
      changes.events,
      changes.includeResult,
      changes.description !== undefined,
      changes.description,
      changes.status,
    ],
  );
  return rowCount === 1;
}

const deliveryRows = z.array(z.object({ id: z.string() }));

/**
 * Deletes an endpoint with its secrets, its deliveries and their log. Call inside a transaction: the log goes last, so
 * that of an attempt that ends meanwhile nothing is left. @returns false if there is no such endpoint
 */
export async function deleteEndpoint(tx: Tx, { tenantId, id }: EndpointName): Promise<boolean> {
  const values = [tenantId, id];
  await tx.query(
    'SELECT FROM deliveries WHERE tenant_id = $1 AND endpoint_id = $2 ORDER BY id FOR UPDATE',
    values,
  );
  const { rowCount } = await tx.query(
    'DELETE FROM webhook_endpoints WHERE tenant_id = $1 AND id = $2',
    values,
  );
  if (rowCount === 0) return false;
  await tx.query('DELETE FROM webhook_secrets WHERE tenant_id = $1 AND owner_id = $2', values);
  const { rows } = await tx.query(
    'DELETE FROM deliveries WHERE tenant_id = $1 AND endpoint_id = $2 RETURNING id',
    values,
  );
  const deliveryIds = deliveryRows.parse(rows);
  await tx.query('DELETE FROM delivery_attempts WHERE tenant_id = $1 AND delivery_id = ANY($2::uuid[])', [
    tenantId,
    deliveryIds.map((delivery) => delivery.id),
  ]);
  return true;
}
