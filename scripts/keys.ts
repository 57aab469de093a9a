// `npm run keys -- create|list|revoke`: API keys for tenants. A key is shown once, when it is made; only its hash is kept.

import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createPool, inTransaction, type Pool } from '../db/client.ts';
import { ensureTenant, insertKey, type ListedKey, listKeys, revokeKey } from '../db/keys.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { readConfig } from '../shared/config.ts';
import { tiers } from '../shared/tenant.ts';
import { describeError } from './describe-error.ts';
import { loadEnvFile } from './load-env-file.ts';

const usage = `usage:
  npm run keys -- create --tenant <name> --scopes <scope>[,<scope>...] [--tier ${tiers.join('|')}] [--expires <time>]
  npm run keys -- list [--tenant <name>]
  npm run keys -- revoke <key id>
scopes: ${scopes.join(', ')}`;

const nameSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/i, 'a tenant is named by letters, digits, - and _');
const scopesSchema = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(z.enum(scopes)).min(1));

const momentSchema = z.iso
  .datetime({ offset: true, error: '--expires is a time such as 2027-01-01T00:00:00Z' })
  .transform((text) => new Date(text))
  .refine((moment) => moment > new Date(), { error: '--expires has passed' });

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tenant: { type: 'string' },
      scopes: { type: 'string' },
      tier: { type: 'string' },
      expires: { type: 'string' },
    },
  });
  const [command, id, ...more] = positionals;
  loadEnvFile();
  const pool = createPool(readConfig().DATABASE_URL, { role: 'owner', max: 1 });
  try {
    if (command === 'create' && id === undefined) await create(pool, values);
    else if (command === 'list' && id === undefined) await list(pool, values.tenant);
    else if (command === 'revoke' && id !== undefined && more.length === 0) await revoke(pool, id);
    else throw new Error(usage);
  } finally {
    await pool.end();
  }
}

interface Wanted {
  readonly tenant?: string | undefined;
  readonly scopes?: string | undefined;
  readonly tier?: string | undefined;
  readonly expires?: string | undefined;
}

/** The key alone goes to standard output, so that a script can take it. */
async function create(pool: Pool, wanted: Wanted): Promise<void> {
  const read = z
    .object({
      tenant: nameSchema,
      scopes: scopesSchema,
      tier: z.enum(tiers).optional(),
      expires: momentSchema.optional(),
    })
    .safeParse(wanted);
  if (!read.success) throw new Error(`${z.prettifyError(read.error)}\n${usage}`);
  const key = createApiKey();
  await inTransaction(pool, async (tx) => {
    const tenantId = await ensureTenant(tx, read.data.tenant, read.data.tier);
    await insertKey(tx, {
      id: key.id,
      tenantId,
      hash: key.hash,
      scopes: read.data.scopes,
      expiresAt: read.data.expires,
    });
  });
  console.error(`key ${key.id} of ${read.data.tenant}; it is shown this once:`);
  console.log(key.text);
}

async function list(pool: Pool, tenant: string | undefined): Promise<void> {
  for (const key of await listKeys(pool, tenant)) {
    const state = stateOf(key, new Date());
    console.log(
      [key.id, key.tenant, key.tier, key.scopes.join(','), key.createdAt.toISOString(), state].join('\t'),
    );
  }
}

function stateOf({ revokedAt, expiresAt }: ListedKey, now: Date): string {
  if (revokedAt !== null) return `revoked ${revokedAt.toISOString()}`;
  if (expiresAt === null) return 'valid';
  return `${expiresAt > now ? 'valid until' : 'expired'} ${expiresAt.toISOString()}`;
}

async function revoke(pool: Pool, id: string): Promise<void> {
  // Who pastes the whole key means its id.
  const keyId = /^soma_live_([0-9A-Za-z]+)_/.exec(id)?.[1] ?? id;
  if (!(await revokeKey(pool, keyId))) throw new Error('there is no such key, or it was revoked before');
  console.log(`key ${keyId} is revoked; every API process refuses it within 5 seconds`);
}

main().catch((error: unknown) => {
  console.error(describeError(error));
  process.exitCode = 1;
});
