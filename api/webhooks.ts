// What the API does about webhooks beyond rows: judges URLs, makes secrets, and sees to it that a tenant has a default
// secret before a job comes that needs it.

import { v7 } from 'uuid';
import { inTransaction, type Pool, type Tx } from '../db/client.ts';
import {
  insertFirstSecret,
  listSecrets,
  type NewSecret,
  rotateSecret,
  type SecretOwner,
  type SecretRow,
} from '../db/webhook-secrets.ts';
import type { Config } from '../shared/config.ts';
import { ProblemError } from '../shared/problem.ts';
import { judgeHost, judgeUrl, readTargetPolicy, type Refusal } from '../shared/public-address.ts';
import { readSecretKeys, type SecretKeys, secretPlace } from '../shared/sealed-secret.ts';
import { webhookLimits } from '../shared/webhook.ts';
import { createWebhookSecret } from '../shared/webhook-signature.ts';
import { invalidRequest } from './validate.ts';

/** A secret in the clear, and until when the one before it signs along. */
export interface ShownSecret {
  readonly secret: string;
  readonly createdAt: Date;
  readonly previousExpiresAt: Date | null;
}

export interface Webhooks {
  /**
   * Lets a URL pass that messages may go to. A name is judged by the addresses that it has now, and again when
   * messages go there.
   * @param pointer of the URL in the request
   * @throws ProblemError `invalid_request`, `webhooks_unavailable`
   */
  readonly checkUrl: (url: string, pointer: string) => Promise<void>;
  /** `checkUrl` for a job's own webhook; the tenant has a default secret afterwards. */
  readonly admit: (tenantId: string, url: string, pointer: string) => Promise<void>;
  /** The tenant's default secret, made if there is none. */
  readonly readDefault: (tenantId: string) => Promise<ShownSecret>;
  /** A new secret for an owner in the caller's transaction, in the clear. */
  readonly makeSecret: (tx: Tx, owner: SecretOwner) => Promise<string>;
  /** Another secret; the one before it signs along for 24 hours. */
  readonly rotate: (owner: SecretOwner) => Promise<ShownSecret>;
}

/** How long a judged URL, and the knowledge that a tenant has a default secret, are good for. */
const rememberedMsMax = 60_000;
const rememberedMax = 10_000;

export function createWebhooks(config: Config, database: Pool): Webhooks {
  const policy = readTargetPolicy(config);
  const keys = readSecretKeys(config.WEBHOOK_KEYS);
  const judged = createMemory<Refusal | undefined>();
  const supplied = createMemory<true>();

  const judge = async (text: string): Promise<Refusal | undefined> =>
    judgeUrl(text, policy) ?? (await judgeHost(new URL(text), policy));

  const checkUrl = async (url: string, pointer: string): Promise<void> => {
    requireKeys(keys);
    const refusal = await judged(url, () => judge(url));
    if (refusal !== undefined) throw invalidRequest([{ pointer, ...refusal }]);
  };

  const readDefault = async (tenantId: string): Promise<ShownSecret> => {
    const owner = { tenantId, ownerId: tenantId };
    const sealing = requireKeys(keys);
    if ((await listSecrets(database, owner)).length === 0)
      await inTransaction(database, (tx) => insertFirstSecret(tx, seal(sealing, owner).stored));
    return show(sealing, await listSecrets(database, owner));
  };

  return {
    checkUrl,
    admit: async (tenantId, url, pointer) => {
      await checkUrl(url, pointer);
      await supplied(tenantId, async () => {
        await readDefault(tenantId);
        return true;
      });
    },
    readDefault,
    makeSecret: async (tx, owner) => {
      const { secret, stored } = seal(requireKeys(keys), owner);
      await insertFirstSecret(tx, stored);
      return secret;
    },
    rotate: async (owner) => {
      const sealing = requireKeys(keys);
      const { stored } = seal(sealing, owner);
      await inTransaction(database, (tx) => rotateSecret(tx, stored, webhookLimits.secretOverlapMs));
      return show(sealing, await listSecrets(database, owner));
    },
  };
}

function requireKeys(keys: SecretKeys | undefined): SecretKeys {
  if (keys !== undefined) return keys;
  throw new ProblemError(
    'webhooks_unavailable',
    'The operator has to set WEBHOOK_KEYS before there are webhooks',
    {
      headers: { 'Retry-After': '300' },
    },
  );
}

function seal(keys: SecretKeys, owner: SecretOwner): { secret: string; stored: NewSecret } {
  const secret = createWebhookSecret();
  const place = { ...owner, id: v7() };
  return { secret, stored: { ...place, ...keys.seal(secret, secretPlace(place)) } };
}

function show(keys: SecretKeys, [newest, previous]: readonly SecretRow[]): ShownSecret {
  if (newest === undefined) throw new Error('the secret that was just stored is gone');
  return {
    secret: keys.open(newest, secretPlace(newest)),
    createdAt: newest.createdAt,
    previousExpiresAt: previous?.expiresAt ?? null,
  };
}

/** Asks once per key and minute, joins those who ask meanwhile, and forgets what failed. */
function createMemory<T>(): (key: string, ask: () => Promise<T>) => Promise<T> {
  const known = new Map<string, { readonly atMs: number; readonly answer: Promise<T> }>();
  return (key, ask) => {
    const found = known.get(key);
    if (found !== undefined && performance.now() - found.atMs < rememberedMsMax) return found.answer;
    const entry = { atMs: performance.now(), answer: ask() };
    known.delete(key);
    known.set(key, entry);
    const oldest = known.keys().next().value;
    if (known.size > rememberedMax && oldest !== undefined) known.delete(oldest);
    entry.answer.catch(() => known.get(key) === entry && known.delete(key));
    return entry.answer;
  };
}
