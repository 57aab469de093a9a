// Tenants and their API keys: one look-up for the API, and what scripts/keys.ts does for the operator.

import { v7 } from 'uuid';
import { z } from 'zod';
import { type Scope, scopes } from '../shared/api-key.ts';
import { type Tier, tiers } from '../shared/tenant.ts';
import type { Tx } from './client.ts';

/** A key that is not revoked, with what it allows. */
export interface StoredKey {
  readonly tenantId: string;
  readonly tier: Tier;
  readonly hash: Buffer;
  readonly scopes: readonly Scope[];
}

const keyRows = z.array(
  z.object({
    tenantId: z.string(),
    tier: z.enum(tiers),
    hash: z.instanceof(Buffer),
    scopes: z.array(z.enum(scopes)),
  }),
);

/** The key of that id, or undefined if there is none, it was revoked or has expired. */
export async function getKey(tx: Tx, id: string): Promise<StoredKey | undefined> {
  const { rows } = await tx.query({
    name: 'get_key',
    text: `SELECT k.tenant_id AS "tenantId", t.tier, k.hash, k.scopes FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
      WHERE k.id = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())`,
    values: [id],
  });
  return keyRows.parse(rows)[0];
}

const tenantRows = z.tuple([z.object({ id: z.string() })]);

/**
 * Makes the tenant of that name, or gives the one that is there the tier, if one is named. Needs the owner's rights.
 * @returns its id
 */
export async function ensureTenant(tx: Tx, name: string, tier: Tier | undefined): Promise<string> {
  const { rows } = await tx.query(
    `INSERT INTO tenants AS t (id, name, tier) VALUES ($1, $2, coalesce($3, 'free'))
      ON CONFLICT (name) DO UPDATE SET tier = coalesce($3, t.tier) RETURNING id`,
    [v7(), name, tier ?? null],
  );
  return tenantRows.parse(rows)[0].id;
}

/** Stores a key. Needs the owner's rights. */
export async function insertKey(
  tx: Tx,
  key: {
    readonly id: string;
    readonly tenantId: string;
    readonly hash: Buffer;
    readonly scopes: readonly Scope[];
    /** From then on it is refused; for ever good if left out. */
    readonly expiresAt?: Date | undefined;
  },
): Promise<void> {
  await tx.query(
    'INSERT INTO api_keys (id, tenant_id, hash, scopes, expires_at) VALUES ($1, $2, $3, $4, $5)',
    [key.id, key.tenantId, key.hash, key.scopes, key.expiresAt ?? null],
  );
}

const listedKey = z.object({
  id: z.string(),
  tenant: z.string(),
  tier: z.enum(tiers),
  scopes: z.array(z.string()),
  createdAt: z.date(),
  revokedAt: z.date().nullable(),
  expiresAt: z.date().nullable(),
  /** To within a minute or two; null if never, or not yet written. */
  lastUsedAt: z.date().nullable(),
});

/** A key as an operator sees it. */
export type ListedKey = z.output<typeof listedKey>;

const listedRows = z.array(listedKey);

/** The keys of one tenant, or of all, oldest first. Needs the owner's rights. */
export async function listKeys(tx: Tx, tenant: string | undefined): Promise<ListedKey[]> {
  const { rows } = await tx.query(
    `SELECT k.id, t.name AS tenant, t.tier, k.scopes, k.created_at AS "createdAt", k.revoked_at AS "revokedAt", k.expires_at AS "expiresAt",
        k.last_used_at AS "lastUsedAt"
      FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
      WHERE $1::text IS NULL OR t.name = $1 ORDER BY t.name, k.created_at, k.id`,
    [tenant ?? null],
  );
  return listedRows.parse(rows);
}

/** Writes when keys were used last, for those of which what is known is older than a minute. */
export async function markKeysUsed(tx: Tx, used: ReadonlyMap<string, Date>): Promise<void> {
  await tx.query({
    name: 'mark_keys_used',
    text: `WITH due AS (
        SELECT k.id, x.at FROM api_keys k JOIN unnest($1::text[], $2::timestamptz[]) AS x(id, at) ON x.id = k.id
        WHERE k.last_used_at IS NULL OR k.last_used_at < x.at - interval '1 minute'
        ORDER BY k.id FOR UPDATE OF k SKIP LOCKED)
      UPDATE api_keys k SET last_used_at = due.at FROM due WHERE k.id = due.id`,
    values: [[...used.keys()], [...used.values()]],
  });
}

/** @returns false if there is no such key, or it was revoked before. Needs the owner's rights. */
export async function revokeKey(tx: Tx, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    'UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL',
    [id],
  );
  return rowCount === 1;
}
