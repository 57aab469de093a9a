// A sender whose clock its owner turns, and what is laid into the ledger for it: endpoints, secrets and messages. The
// live tests of the sender and the bench `webhook-proofs` walk through days of the schedule with it in seconds.

import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { createPool, type Pool } from '../db/client.ts';
import type { Config } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { createLog, type Logger } from '../shared/log.ts';
import type { FindAddresses } from '../shared/public-address.ts';
import { readSecretKeys, type SecretKeys, secretPlace } from '../shared/sealed-secret.ts';
import { toTargetId } from '../shared/webhook.ts';
import { createWebhookSecret } from '../shared/webhook-signature.ts';
import { createWebhookSender, type WebhookSender } from './webhook-sender.ts';

/** A message, and what its attempts came to, in their order. */
export interface DeliveryState {
  readonly status: string;
  readonly statusReason: string | null;
  readonly nextAttemptAt: Date | null;
  readonly outcomes: readonly string[];
  readonly details: readonly (string | null)[];
  readonly latenciesMs: readonly number[];
}

export interface WebhookRig {
  readonly database: Pool;
  readonly log: Logger;
  readonly keys: SecretKeys;
  readonly sender: WebhookSender;
  readonly now: () => Date;
  readonly turnClock: (byMs: number) => void;
  /** Another sender on the same clock, as another process would be. */
  readonly startSender: (keys?: SecretKeys) => Promise<WebhookSender>;
  readonly storeSecret: (ownerId: string) => Promise<string>;
  /** An endpoint at any URL, whatever the API would say of it. */
  readonly makeEndpoint: (url: string) => Promise<{ readonly id: string; readonly secret: string }>;
  /** Messages of the clock's now; to an endpoint, or to the URL of a job. @returns their ids */
  readonly deliver: (
    to: { readonly endpointId: string } | { readonly url: string },
    count?: number,
  ) => Promise<string[]>;
  readonly stateOf: (id: string | undefined) => Promise<DeliveryState>;
  /** Lets the sender do all that is due at the clock's now. */
  readonly run: () => Promise<void>;
  /** Sets the clock to the next attempt of a message and lets it happen. @returns the seconds in between */
  readonly runNext: (id: string | undefined) => Promise<number>;
  readonly close: () => Promise<void>;
}

/** @param options.random,options.find the sender's dice and resolver; 0.5 and the real one if left out */
export async function createWebhookRig(options: {
  readonly config: Config;
  readonly keyText: string;
  readonly random?: () => number;
  readonly find?: FindAddresses;
}): Promise<WebhookRig> {
  const { config, keyText, random = () => 0.5, find } = options;
  const keys = readSecretKeys(keyText);
  if (keys === undefined) throw new Error('no keys');
  const log = createLog('webhooks', 'silent');
  const database = createPool(config.DATABASE_URL, { role: 'worker', max: 3 });
  let nowMs = Date.now() + 1000;
  const now = (): Date => new Date(nowMs);

  const startSender = async (own = keys): Promise<WebhookSender> => {
    const resolver = find === undefined ? {} : { find };
    const started = createWebhookSender({ config, log, database, keys: own, now, random, ...resolver });
    await untilConnected(started);
    return started;
  };

  const sender = await startSender();
  const run = async (): Promise<void> => {
    await sender.tick();
    await sender.settled();
  };
  return {
    database,
    log,
    keys,
    sender,
    now,
    turnClock: (byMs) => {
      nowMs += byMs;
    },
    startSender,
    storeSecret: (ownerId) => insertSecret(database, keys, ownerId),
    makeEndpoint: (url) => insertEndpoint(database, keys, url),
    deliver: (to, count = 1) => insertMessages(database, to, { at: now(), count }),
    stateOf: (id) => readState(database, id),
    run,
    runNext: async (id) => {
      const { nextAttemptAt: next } = await readState(database, id);
      if (next === null) throw new Error('nothing more is to come');
      const waitedMs = next.getTime() - nowMs;
      nowMs = next.getTime();
      await run();
      return waitedMs / 1000;
    },
    close: async () => {
      await sender.close(5000);
      await database.end();
    },
  };
}

async function untilConnected(sender: WebhookSender): Promise<void> {
  for (let tries = 0; !sender.isConnected(); tries++) {
    if (tries > 3000) throw new Error('the sender has no connection for its locks after 30 s');
    await delay(10);
  }
}

/** An endpoint of the default tenant at any URL, whatever the API would say of it. */
export async function insertEndpoint(
  database: Pool,
  keys: SecretKeys,
  url: string,
): Promise<{ readonly id: string; readonly secret: string }> {
  const id = v7();
  await database.query(
    `INSERT INTO webhook_endpoints (tenant_id, id, url, events) VALUES ($1, $2, $3, '{webhook.test}')`,
    [defaultTenantId, id, url],
  );
  return { id, secret: await insertSecret(database, keys, id) };
}

async function insertSecret(database: Pool, keys: SecretKeys, ownerId: string): Promise<string> {
  const secret = createWebhookSecret();
  const place = { tenantId: defaultTenantId, ownerId, id: v7() };
  const { keyId, sealed } = keys.seal(secret, secretPlace(place));
  await database.query(
    'INSERT INTO webhook_secrets (tenant_id, owner_id, id, key_id, sealed) VALUES ($1, $2, $3, $4, $5)',
    [place.tenantId, place.ownerId, place.id, keyId, sealed],
  );
  return secret;
}

/** Messages to an endpoint, or to the URL of a job, that are due from `at` on. @returns their ids */
export async function insertMessages(
  database: Pool,
  to: { readonly endpointId: string } | { readonly url: string },
  { at, count }: { readonly at: Date; readonly count: number },
): Promise<string[]> {
  const endpointId = 'endpointId' in to ? to.endpointId : null;
  const url = 'url' in to ? to.url : null;
  const target = endpointId ?? toTargetId(defaultTenantId, url ?? '');
  const { rows } = await database.query<{ id: string }>(
    `INSERT INTO deliveries (tenant_id, id, target_id, endpoint_id, url, subject_type, subject_id, type, sequence, at, data,
       since, next_attempt_at)
     SELECT $1, uuid_v7(), $2, $3, $4, 'endpoint', $2, 'webhook.test', n, $5, '{}', $5, $5
     FROM generate_series(1, $6) AS n RETURNING id`,
    [defaultTenantId, target, endpointId, url, at, count],
  );
  return rows.map(({ id }) => id);
}

export async function readState(database: Pool, id: string | undefined): Promise<DeliveryState> {
  const log = (column: string) => `ARRAY(SELECT ${column} FROM delivery_attempts a
    WHERE a.tenant_id = d.tenant_id AND a.delivery_id = d.id ORDER BY number)`;
  const { rows } = await database.query<DeliveryState>(
    `SELECT status, status_reason AS "statusReason", next_attempt_at AS "nextAttemptAt", ${log('outcome')} AS outcomes,
       ${log('detail')} AS details, ${log('latency_ms')} AS "latenciesMs" FROM deliveries d WHERE id = $1`,
    [id],
  );
  const [found] = rows;
  if (found === undefined) throw new Error('no such delivery');
  return found;
}
