// The webhooks process with a ledger of its own and endpoints to send to, for the benches and the fault run: jobs end by
// rows of the ledger, so that nothing but webhooks is measured.

import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { createPool, type Pool } from '../db/client.ts';
import { insertJobs } from '../db/submissions.ts';
import { createLiveSystem, type LiveProcess, type LiveSystem, newJob } from '../scripts/live-system.ts';
import { readSecretKeys, secretPlace } from '../shared/sealed-secret.ts';
import { createWebhookSecret } from '../shared/webhook-signature.ts';

export interface WebhookSystem {
  readonly system: LiveSystem;
  readonly worker: Pool;
  readonly startSender: () => Promise<LiveProcess>;
  /** An endpoint of the tenant for all events of jobs. @returns its id */
  readonly addEndpoint: (tenantId: string, url: string) => Promise<string>;
  /** Records jobs of one text each, without messages. @returns their ids */
  readonly addJobs: (tenantId: string, count: number) => Promise<string[]>;
  /** Writes that the jobs succeeded, as the worker's statement would: the trigger makes the messages. */
  readonly endJobs: (tenantId: string, ids: readonly string[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

export async function createWebhookSystem(settings: Record<string, string> = {}): Promise<WebhookSystem> {
  const keyText = `bench:${randomBytes(32).toString('base64')}`;
  const keys = readSecretKeys(keyText);
  const system = await createLiveSystem({
    WEBHOOK_KEYS: keyText,
    WEBHOOK_ALLOW_LOOPBACK: 'true',
    LOG_LEVEL: 'info',
    ...settings,
  });
  const worker = createPool(system.databaseUrl, { role: 'worker', max: 2 });
  return {
    system,
    worker,
    startSender: () => system.start('webhooks'),
    addEndpoint: async (tenantId, url) => {
      const place = { tenantId, ownerId: v7(), id: v7() };
      const sealed = keys?.seal(createWebhookSecret(), secretPlace(place));
      await worker.query(
        `WITH secret AS (INSERT INTO webhook_secrets (tenant_id, owner_id, id, key_id, sealed) VALUES ($1, $2, $3, $4, $5))
         INSERT INTO webhook_endpoints (tenant_id, id, url, events) VALUES ($1, $2, $6, '{job.*}')`,
        [tenantId, place.ownerId, place.id, sealed?.keyId, sealed?.sealed, url],
      );
      return place.ownerId;
    },
    addJobs: async (tenantId, count) => {
      const jobs = Array.from({ length: count }, () => newJob({ tenantId, texts: ['Good news'] }));
      await insertJobs(worker, jobs);
      return jobs.map(({ id }) => id);
    },
    endJobs: async (tenantId, ids) => {
      await worker.query(
        `INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
         SELECT $1, id, 2, 'job.succeeded', clock_timestamp() FROM unnest($2::uuid[]) AS id`,
        [tenantId, ids],
      );
    },
    close: async () => {
      await worker.end();
      await system.close();
    },
  };
}
