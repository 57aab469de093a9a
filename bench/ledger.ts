// What the benchmarks look up in the ledger itself, behind the system's back: what no route shows, in figures that the
// system did not count for them.

import { v7 } from 'uuid';
import { z } from 'zod';
import { createPool, type Pool } from '../db/client.ts';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { insertJobs, type NewJob } from '../db/submissions.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { readConfig } from '../shared/config.ts';
import type { Tier } from '../shared/tenant.ts';

/** A connection that sees all rows of all tenants. */
export type Ledger = Pool;

export function openLedger(): Ledger {
  return createPool(readConfig().DATABASE_URL, { role: 'owner', max: 2, statementTimeoutMs: 120_000 });
}

/** A tenant and a key of it that may do everything. */
export async function makeTenant(
  ledger: Ledger,
  name: string,
  tier: Tier,
): Promise<{ tenantId: string; authorization: string }> {
  const tenantId = await ensureTenant(ledger, name, tier);
  const key = createApiKey();
  await insertKey(ledger, { id: key.id, tenantId, hash: key.hash, scopes });
  return { tenantId, authorization: `Bearer ${key.text}` };
}

/** @param sql the rest of `SELECT count(*) FROM` */
export async function countRows(ledger: Ledger, sql: string, values: unknown[] = []): Promise<number> {
  const { rows } = await ledger.query(`SELECT count(*)::integer AS count FROM ${sql}`, values);
  return z.tuple([z.object({ count: z.number() })]).parse(rows)[0].count;
}

/** Empties the ledger of jobs and of what follows from them, between two measurements. */
export async function forgetJobs(ledger: Ledger): Promise<void> {
  await ledger.query(
    'TRUNCATE jobs, items, analyses, job_events, idempotency_keys, facts, graph_nodes, graph_edges, people CASCADE',
  );
}

/** Lays jobs of one text each into the ledger, which wait for the dispatcher: more than a tenant's quota lets in. */
export async function insertWaiting(
  ledger: Ledger,
  tenantId: string,
  model: { readonly kind: string; readonly version: string; readonly digest: string },
  texts: readonly string[],
): Promise<void> {
  const now = Date.now();
  const jobs = texts.map(
    (text): NewJob => ({
      tenantId,
      id: v7(),
      kind: model.kind,
      modelVersion: model.version,
      modelDigest: model.digest,
      class: 1,
      status: 'queued',
      userId: null,
      customId: null,
      metadata: {},
      tags: [],
      options: {},
      storeInput: true,
      texts: [text],
      characterCount: text.length,
      dispatchId: null,
      notBefore: null,
      deadlineAt: null,
      createdAt: new Date(now).toISOString(),
      expiresAt: new Date(now + 3_600_000).toISOString(),
      idempotency: null,
    }),
  );
  await insertJobs(ledger, jobs);
}

/** Takes back what a tenant has waiting. */
export async function forgetWaiting(ledger: Ledger, tenantId: string): Promise<void> {
  await ledger.query(`DELETE FROM jobs WHERE tenant_id = $1 AND status = 'queued'`, [tenantId]);
}

const startSchema = z.object({
  pools_ahead: z.number(),
  pools_ahead_everywhere: z.number(),
  items_ahead: z.number(),
  pool_items: z.number(),
  wait_ms: z.number(),
});

/** How a job came to its start; a pool is what one worker claimed by one statement, and so at one moment. */
export type JobStart = Readonly<z.infer<typeof startSchema>>;

/**
 * For each job, what was claimed between its submit and its start: by the worker that took it, and by all; and the items
 * of its own pool. A job's `created_at` is a few milliseconds before its commit, so this may count a pool too many.
 */
export async function listStarts(ledger: Ledger, jobIds: readonly string[]): Promise<readonly JobStart[]> {
  const { rows } = await ledger.query(
    `WITH probe AS (SELECT id, created_at, started_at, worker FROM jobs WHERE id = ANY($1::uuid[])),
     pools AS (
       SELECT p.id, j.worker = p.worker AS same, j.started_at < p.started_at AS ahead, sum(j.item_count) AS items
       FROM probe p JOIN jobs j ON j.started_at > p.created_at AND j.started_at <= p.started_at
       GROUP BY p.id, p.worker, p.started_at, j.worker, j.started_at)
     SELECT count(*) FILTER (WHERE o.ahead AND o.same)::integer AS pools_ahead,
       count(*) FILTER (WHERE o.ahead)::integer AS pools_ahead_everywhere,
       coalesce(sum(o.items) FILTER (WHERE o.ahead AND o.same), 0)::integer AS items_ahead,
       coalesce(sum(o.items) FILTER (WHERE NOT o.ahead AND o.same), 0)::integer AS pool_items,
       extract(epoch FROM p.started_at - p.created_at)::float8 * 1000 AS wait_ms
     FROM probe p LEFT JOIN pools o ON o.id = p.id GROUP BY p.id, p.started_at, p.created_at ORDER BY p.id`,
    [jobIds],
  );
  return z.array(startSchema).parse(rows);
}
