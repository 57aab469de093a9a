// What the benchmarks look up in the ledger itself, behind the system's back: what no route shows, in figures that the
// system did not count for them.

import { z } from 'zod';
import { createPool, type Pool } from '../db/client.ts';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { readConfig } from '../shared/config.ts';
import type { Tier } from '../shared/tenant.ts';

/** Sees all rows of all tenants. */
export function openLedger(): Pool {
  return createPool(readConfig().DATABASE_URL, { role: 'owner', max: 2, statementTimeoutMs: 120_000 });
}

/** A tenant and a key of it that may do everything. */
export async function makeTenant(
  ledger: Pool,
  name: string,
  tier: Tier,
): Promise<{ tenantId: string; authorization: string }> {
  const tenantId = await ensureTenant(ledger, name, tier);
  const key = createApiKey();
  await insertKey(ledger, { id: key.id, tenantId, hash: key.hash, scopes });
  return { tenantId, authorization: `Bearer ${key.text}` };
}

/** @param sql the rest of `SELECT count(*) FROM` */
export async function countRows(ledger: Pool, sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await ledger.query(`SELECT count(*)::integer AS count FROM ${sql}`, values);
  return z.tuple([z.object({ count: z.number() })]).parse(rows)[0].count;
}

/** How many of all jobs have each status. */
export async function countByStatus(ledger: Pool): Promise<Readonly<Record<string, number>>> {
  const { rows } = await ledger.query(
    'SELECT status, count(*)::integer AS count FROM jobs GROUP BY 1 ORDER BY 1',
  );
  const counts = z.array(z.object({ status: z.string(), count: z.number() })).parse(rows);
  return Object.fromEntries(counts.map(({ status, count }) => [status, count]));
}
