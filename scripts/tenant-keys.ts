// What an operator does with keys, in the ledger of the configured server: `npm run keys` and `soma keys` are two doors
// to it.

import { z } from 'zod';
import { createPool, inTransaction, type Pool } from '../db/client.ts';
import { ensureTenant, insertKey, type ListedKey, listKeys, revokeKey } from '../db/keys.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { tiers } from '../shared/tenant.ts';
import { readOperatorConfig } from './operator-config.ts';

const wantedSchema = z.object({
  tenant: z
    .string({ error: 'name the tenant with --tenant' })
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/i, 'a tenant is named by letters, digits, - and _'),
  scopes: z
    .string({ error: `name what the key may do with --scopes, from ${scopes.join(', ')}` })
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(scopes)).min(1)),
  tier: z.enum(tiers).optional(),
  expires: z.iso
    .datetime({ offset: true, error: '--expires is a time such as 2027-01-01T00:00:00Z' })
    .transform((text) => new Date(text))
    .refine((moment) => moment > new Date(), { error: '--expires has passed' })
    .optional(),
});

/** @returns the new key, whose text is nowhere kept. @throws Error naming what is wrong with `wanted` */
export async function makeTenantKey(wanted: {
  readonly tenant?: string | undefined;
  readonly scopes?: string | undefined;
  readonly tier?: string | undefined;
  readonly expires?: string | undefined;
}): Promise<{ readonly id: string; readonly text: string; readonly tenant: string }> {
  const read = wantedSchema.safeParse(wanted);
  if (!read.success) throw new Error(z.prettifyError(read.error));
  const { tenant, tier, scopes: allowed, expires } = read.data;
  const key = createApiKey();
  await onLedger((pool) =>
    inTransaction(pool, async (tx) => {
      const tenantId = await ensureTenant(tx, tenant, tier);
      await insertKey(tx, { id: key.id, tenantId, hash: key.hash, scopes: allowed, expiresAt: expires });
    }),
  );
  return { id: key.id, text: key.text, tenant };
}

/** The keys of one tenant, or of all. */
export function listTenantKeys(tenant: string | undefined): Promise<readonly ListedKey[]> {
  return onLedger((pool) => listKeys(pool, tenant));
}

/** @returns the id of the key. @throws Error if there is none that could be revoked */
export async function revokeTenantKey(id: string): Promise<string> {
  // Who pastes the whole key means its id.
  const keyId = /^soma_live_([0-9A-Za-z]+)_/.exec(id)?.[1] ?? id;
  if (await onLedger((pool) => revokeKey(pool, keyId))) return keyId;
  throw new Error('there is no such key, or it was revoked before');
}

/** A key on one line. */
export function describeKey(key: ListedKey, now = new Date()): string {
  const { id, tenant, tier, scopes: allowed, createdAt, lastUsedAt } = key;
  const used = lastUsedAt === null ? 'never used' : `used ${lastUsedAt.toISOString()}`;
  return [id, tenant, tier, allowed.join(','), createdAt.toISOString(), used, stateOf(key, now)].join('\t');
}

function stateOf({ revokedAt, expiresAt }: ListedKey, now: Date): string {
  if (revokedAt !== null) return `revoked ${revokedAt.toISOString()}`;
  if (expiresAt === null) return 'valid';
  return `${expiresAt > now ? 'valid until' : 'expired'} ${expiresAt.toISOString()}`;
}

async function onLedger<T>(work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool(readOperatorConfig().DATABASE_URL, { role: 'owner', max: 1 });
  return work(pool).finally(() => pool.end());
}
