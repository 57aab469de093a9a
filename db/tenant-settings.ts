// What a tenant has asked for.

import { z } from 'zod';
import type { Tx } from './client.ts';

/** Whether the tenant wants unusual values of a person's history flagged. False for a tenant that is not there. */
export async function wantsAnomalyFlags(tx: Tx, tenantId: string): Promise<boolean> {
  const { rows } = await tx.query({
    name: 'wants_anomaly_flags',
    text: 'SELECT anomaly_flags FROM tenants WHERE id = $1',
    values: [tenantId],
  });
  return z.array(z.object({ anomaly_flags: z.boolean() })).parse(rows)[0]?.anomaly_flags ?? false;
}

/** Needs the owner's rights. @returns false if there is no tenant of that name. */
export async function setAnomalyFlags(tx: Tx, name: string, wanted: boolean): Promise<boolean> {
  const { rowCount } = await tx.query('UPDATE tenants SET anomaly_flags = $2 WHERE name = $1', [
    name,
    wanted,
  ]);
  return rowCount === 1;
}
