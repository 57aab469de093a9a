// What the intake writes: jobs with their items, first events and idempotency keys, a group in one statement.

import { z } from 'zod';
import type { Tx } from './client.ts';
import { run } from './run.ts';

/** A job as the intake records it, with the items' texts. */
export interface NewJob {
  readonly tenantId: string;
  readonly id: string;
  readonly kind: string;
  readonly modelVersion: string;
  readonly modelDigest: string;
  readonly class: number;
  readonly status: 'scheduled' | 'queued';
  readonly userId: string | null;
  readonly customId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  readonly storeInput: boolean;
  readonly texts: readonly string[];
  readonly characterCount: number;
  readonly dispatchId: string | null;
  readonly notBefore: string | null;
  readonly deadlineAt: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** The job that this one repeats. */
  readonly retryOf?: string;
  /** Where the job's own events go, signed with the tenant's default secret. */
  readonly webhook?: WebhookRequest | undefined;
  /** The batch that it is a part of. */
  readonly batchId?: string;
  readonly idempotency: { readonly route: string; readonly key: string; readonly fingerprint: string } | null;
}

export interface WebhookRequest {
  readonly url: string;
  readonly events: readonly string[];
  readonly includeResult: boolean;
}

const insertJobsSql = `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1) AS x(
    "tenantId" uuid, id uuid, kind text, "modelVersion" text, "modelDigest" text, class smallint, status text,
    "userId" text, "customId" text, metadata jsonb, tags json, options jsonb, "storeInput" boolean, texts json,
    "characterCount" integer, "dispatchId" uuid, "notBefore" timestamptz, "deadlineAt" timestamptz,
    "createdAt" timestamptz, "expiresAt" timestamptz, "retryOf" uuid, "batchId" uuid, idempotency json, webhook json)
), won AS (
  INSERT INTO idempotency_keys AS k (tenant_id, route, key, fingerprint, job_id)
  SELECT "tenantId", idempotency->>'route', idempotency->>'key', decode(idempotency->>'fingerprint', 'hex'), id
  FROM input WHERE idempotency IS NOT NULL AND json_typeof(idempotency) = 'object'
  ORDER BY 1, 2, 3
  ON CONFLICT (tenant_id, route, key) DO UPDATE
    SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, created_at = now()
    WHERE k.created_at < now() - interval '24 hours'
  RETURNING job_id
), accepted AS MATERIALIZED (
  SELECT input.* FROM input
  WHERE idempotency IS NULL OR json_typeof(idempotency) = 'null' OR id IN (SELECT job_id FROM won)
), recorded AS (
  INSERT INTO jobs (tenant_id, id, kind, model_version, model_digest, class, status, user_id, custom_id, metadata,
    tags, options, store_input, item_count, character_count, dispatch_id, dispatched_at, not_before, deadline_at,
    event_sequence, created_at, queued_at, expires_at, retry_of, batch_id)
  SELECT "tenantId", id, kind, "modelVersion", "modelDigest", class, status, "userId", "customId", metadata,
    ARRAY(SELECT json_array_elements_text(tags)), options, "storeInput", greatest(1, json_array_length(texts)), "characterCount",
    "dispatchId", CASE WHEN "dispatchId" IS NOT NULL THEN now() END, "notBefore", "deadlineAt",
    1, "createdAt", CASE WHEN status = 'queued' THEN "createdAt" END, "expiresAt", "retryOf", "batchId"
  FROM accepted
), known AS (
  INSERT INTO people (tenant_id, user_id)
  SELECT DISTINCT "tenantId", "userId" FROM accepted WHERE "userId" IS NOT NULL ORDER BY 1, 2
  ON CONFLICT DO NOTHING
), texts AS (
  INSERT INTO items (tenant_id, job_id, index, text)
  SELECT "tenantId", id, item.position - 1, item.text
  FROM accepted, json_array_elements_text(texts) WITH ORDINALITY AS item(text, position)
), webhooks AS (
  INSERT INTO webhook_requests (tenant_id, subject_id, url, events, include_result)
  SELECT "tenantId", id, webhook->>'url', ARRAY(SELECT json_array_elements_text(webhook->'events')),
    (webhook->>'includeResult')::boolean
  FROM accepted WHERE webhook IS NOT NULL
), events AS (
  INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
  SELECT "tenantId", id, 1, 'job.' || status, "createdAt" FROM accepted
)
SELECT id FROM accepted`;

const acceptedRows = z.array(z.object({ id: z.string() }));

/**
 * Records jobs with their items, first event and idempotency keys: all of them, or none if it throws.
 * A key may stand only once in `newJobs`; the caller keeps the order of keys out of deadlocks by sending one group.
 * @returns the ids recorded; a job is absent if its idempotency key already belongs to another.
 */
export async function insertJobs(tx: Tx, newJobs: readonly NewJob[]): Promise<Set<string>> {
  const result = await run(tx, 'insert_jobs', insertJobsSql, [JSON.stringify(newJobs)]);
  return new Set(acceptedRows.parse(result).map((row) => row.id));
}

const keyRows = z.array(
  z.object({
    tenant_id: z.string(),
    route: z.string(),
    key: z.string(),
    fingerprint: z.string(),
    job_id: z.string(),
  }),
);

/** Which job each idempotency key belongs to, with the fingerprint (hex) of the body it came with. */
export async function listIdempotencyKeys(
  tx: Tx,
  keys: readonly { readonly tenantId: string; readonly route: string; readonly key: string }[],
): Promise<{ tenantId: string; route: string; key: string; fingerprint: string; jobId: string }[]> {
  const rows = await run(
    tx,
    'list_idempotency_keys',
    `SELECT tenant_id, route, key, encode(fingerprint, 'hex') AS fingerprint, job_id FROM idempotency_keys
     WHERE (tenant_id, route, key) IN
       (SELECT "tenantId", route, key FROM json_to_recordset($1) AS x("tenantId" uuid, route text, key text))`,
    [JSON.stringify(keys)],
  );
  return keyRows.parse(rows).map((row) => ({ ...row, tenantId: row.tenant_id, jobId: row.job_id }));
}
