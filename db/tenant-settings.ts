// What a tenant has asked for.

import { z } from 'zod';
import { tierItemsInFlightMax, tiers } from '../shared/tenant.ts';
import type { Tx } from './client.ts';

const flagRows = z.array(z.object({ anomaly_flags: z.boolean() }));

/** Whether the tenant wants unusual values of a person's history flagged. False for a tenant that is not there. */
export async function wantsAnomalyFlags(tx: Tx, tenantId: string): Promise<boolean> {
  const { rows } = await tx.query({
    name: 'wants_anomaly_flags',
    text: 'SELECT anomaly_flags FROM tenants WHERE id = $1',
    values: [tenantId],
  });
  return flagRows.parse(rows)[0]?.anomaly_flags ?? false;
}

/** Needs the owner's rights. @returns false if there is no tenant of that name. */
export async function setAnomalyFlags(tx: Tx, name: string, wanted: boolean): Promise<boolean> {
  const { rowCount } = await tx.query('UPDATE tenants SET anomaly_flags = $2 WHERE name = $1', [
    name,
    wanted,
  ]);
  return rowCount === 1;
}

const limitRows = z.array(z.object({ id: z.string(), tier: z.enum(tiers), own: z.number().nullable() }));

/** Items that each tenant may have in flight: its own limit, or its tier's. */
export async function listItemsInFlightMax(tx: Tx): Promise<Map<string, number>> {
  const { rows } = await tx.query({
    name: 'list_items_in_flight_max',
    text: 'SELECT id, tier, items_in_flight_max AS own FROM tenants',
  });
  return new Map(limitRows.parse(rows).map(({ id, tier, own }) => [id, own ?? tierItemsInFlightMax[tier]]));
}

/** Needs the owner's rights. @param max null for what the tier has @returns false if there is no tenant of that name */
export async function setItemsInFlightMax(tx: Tx, name: string, max: number | null): Promise<boolean> {
  const { rowCount } = await tx.query('UPDATE tenants SET items_in_flight_max = $2 WHERE name = $1', [
    name,
    max,
  ]);
  return rowCount === 1;
}
