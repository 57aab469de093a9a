// The sealed secrets that sign webhooks: of an endpoint, or of a tenant (its default, whose owner is the tenant itself).
// What is in them is known to those who have the keys of the configuration, not to the database.

import { z } from 'zod';
import type { Tx } from './client.ts';

const secretRow = z.object({
  tenantId: z.string(),
  ownerId: z.string(),
  id: z.string(),
  keyId: z.string(),
  sealed: z.instanceof(Buffer),
  createdAt: z.date(),
  expiresAt: z.date().nullable(),
});

export type SecretRow = Readonly<z.infer<typeof secretRow>>;
export type NewSecret = Omit<SecretRow, 'createdAt' | 'expiresAt'>;

const secretRows = z.array(secretRow);

/** Whose secret: an endpoint's, or the tenant's own if both ids are the same. */
export interface SecretOwner {
  readonly tenantId: string;
  readonly ownerId: string;
}

const columns = `tenant_id AS "tenantId", owner_id AS "ownerId", id, key_id AS "keyId", sealed,
  created_at AS "createdAt", expires_at AS "expiresAt"`;

/** The secrets that sign at the moment, newest first: one, or two during a rotation. */
export async function listSecrets(tx: Tx, owner: SecretOwner): Promise<SecretRow[]> {
  const { rows } = await tx.query({
    name: 'list_secrets',
    text: `SELECT ${columns} FROM webhook_secrets WHERE tenant_id = $1 AND owner_id = $2
      AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at DESC, id DESC`,
    values: [owner.tenantId, owner.ownerId],
  });
  return secretRows.parse(rows);
}

/** Stores the first secret of an owner; of two at the same moment one. Call inside a transaction, and read which it is. */
export async function insertFirstSecret(tx: Tx, secret: NewSecret): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 7318020414))', [secret.ownerId]);
  await tx.query(
    `INSERT INTO webhook_secrets (tenant_id, owner_id, id, key_id, sealed) SELECT $1, $2, $3, $4, $5
     WHERE NOT EXISTS (SELECT FROM webhook_secrets WHERE tenant_id = $1 AND owner_id = $2)`,
    [secret.tenantId, secret.ownerId, secret.id, secret.keyId, secret.sealed],
  );
}

const endRows = z.array(z.object({ expiresAt: z.date() }));

/**
 * Adds a secret, and lets those before it sign along until `overlapMs` from now, or as long as they would have.
 * Call inside a transaction. @returns when the secret before it ends
 */
export async function rotateSecret(tx: Tx, secret: NewSecret, overlapMs: number): Promise<Date | null> {
  const { rows } = await tx.query(
    `UPDATE webhook_secrets SET expires_at = least(expires_at, now() + make_interval(secs => $3::float8 / 1000))
     WHERE tenant_id = $1 AND owner_id = $2 AND (expires_at IS NULL OR expires_at > now())
     RETURNING expires_at AS "expiresAt"`,
    [secret.tenantId, secret.ownerId, overlapMs],
  );
  await tx.query(
    'DELETE FROM webhook_secrets WHERE tenant_id = $1 AND owner_id = $2 AND expires_at <= now()',
    [secret.tenantId, secret.ownerId],
  );
  await tx.query(
    'INSERT INTO webhook_secrets (tenant_id, owner_id, id, key_id, sealed) VALUES ($1, $2, $3, $4, $5)',
    [secret.tenantId, secret.ownerId, secret.id, secret.keyId, secret.sealed],
  );
  const ends = endRows.parse(rows);
  return ends.map(({ expiresAt }) => expiresAt).sort((a, b) => b.getTime() - a.getTime())[0] ?? null;
}

/** Secrets that another key than `keyId` sealed. */
export async function listSealedOtherwise(tx: Tx, keyId: string, limit: number): Promise<SecretRow[]> {
  const { rows } = await tx.query(`SELECT ${columns} FROM webhook_secrets WHERE key_id <> $1 LIMIT $2`, [
    keyId,
    limit,
  ]);
  return secretRows.parse(rows);
}

/** Stores a secret as another key sealed it, unless it changed since it was read. */
export async function resealSecret(
  tx: Tx,
  before: SecretRow,
  after: { readonly keyId: string; readonly sealed: Buffer },
): Promise<void> {
  await tx.query(
    `UPDATE webhook_secrets SET key_id = $4, sealed = $5
     WHERE tenant_id = $1 AND owner_id = $2 AND id = $3 AND key_id = $6`,
    [before.tenantId, before.ownerId, before.id, after.keyId, after.sealed, before.keyId],
  );
}
