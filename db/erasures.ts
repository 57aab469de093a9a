// Receipts of what was erased, and the open requests to erase a person, which are the same rows.

import { and, eq } from 'drizzle-orm';
import { z } from 'zod';
import type { Reader, Tx } from './client.ts';
import * as schema from './schema.ts';

/** `userId` is there while the erasure of a person is open: what is done no longer says whom it was about. */
export type ErasureRow = typeof schema.erasures.$inferSelect;

/** Which erasure. */
export interface ErasureName {
  readonly tenantId: string;
  readonly id: string;
}

/** How long a receipt is kept after it was completed. */
export const receiptDaysMax = 365;

/** Undefined if the tenant has no such receipt. */
export async function getErasure(
  reader: Reader,
  { tenantId, id }: ErasureName,
): Promise<ErasureRow | undefined> {
  const { erasures } = schema;
  const [found] = await reader
    .select()
    .from(erasures)
    .where(and(eq(erasures.tenantId, tenantId), eq(erasures.id, id)));
  return found;
}

const openRows = z.array(z.object({ tenant_id: z.string(), id: z.string() }));

/** Requests that are not done, the longest waiting first. */
export async function listOpenErasures(tx: Tx, limit: number): Promise<ErasureName[]> {
  const { rows } = await tx.query(
    'SELECT tenant_id, id FROM erasures WHERE completed_at IS NULL ORDER BY requested_at LIMIT $1',
    [limit],
  );
  return openRows.parse(rows).map((row) => ({ tenantId: row.tenant_id, id: row.id }));
}

const backlogRows = z.array(z.object({ open: z.number(), oldestSeconds: z.number() }));

/** How many requests are open, and for how many seconds the first of them has been. For metrics. */
export async function measureErasures(tx: Tx): Promise<{ open: number; oldestSeconds: number }> {
  const { rows } = await tx.query(
    `SELECT count(*)::integer AS open, coalesce(extract(epoch FROM now() - min(requested_at)), 0)::float8 AS "oldestSeconds"
      FROM erasures WHERE completed_at IS NULL`,
  );
  const row = backlogRows.parse(rows)[0];
  return row ?? { open: 0, oldestSeconds: 0 };
}

/** Forgets receipts after `receiptDaysMax`. @returns how many. */
export async function pruneErasures(tx: Tx, limit: number): Promise<number> {
  const { rowCount } = await tx.query(
    `DELETE FROM erasures WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM erasures
      WHERE completed_at < now() - make_interval(days => $1) ORDER BY completed_at LIMIT $2)`,
    [receiptDaysMax, limit],
  );
  return rowCount ?? 0;
}
