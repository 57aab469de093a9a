// What the webhooks process asks of the ledger: who has messages due, the messages with their content as it is now,
// and what became of them. Whatever else happens, a message is pending until its end is written here.

import { z } from 'zod';
import { inSweep, inTransaction, type Pool, type Tx } from './client.ts';
import { run } from './run.ts';

/** $1 the moment by which they are due. */
export const dueTargetsSql = `
WITH RECURSIVE targets AS (
  (SELECT target_id FROM deliveries WHERE status = 'pending' ORDER BY target_id LIMIT 1)
  UNION ALL
  SELECT next.target_id FROM targets t, LATERAL (
    SELECT target_id FROM deliveries WHERE status = 'pending' AND target_id > t.target_id
    ORDER BY target_id LIMIT 1) next
)
-- The first of each by the index; an EXISTS would be planned as a join with all that are due.
SELECT t.target_id AS id FROM targets t CROSS JOIN LATERAL (
  SELECT next_attempt_at FROM deliveries d WHERE d.status = 'pending' AND d.target_id = t.target_id
  ORDER BY next_attempt_at LIMIT 1) first
WHERE first.next_attempt_at <= $1`;

const targetRows = z.array(z.object({ id: z.string() }));

/** Targets with messages due: found by skipping from one to the next in the index, however many messages wait. */
export async function listDueTargets(tx: Tx, now: Date): Promise<string[]> {
  const rows = await run(tx, 'list_due_targets', dueTargetsSql, [now]);
  return targetRows.parse(rows).map(({ id }) => id);
}

// The content is read here and nowhere else; of a subject that is gone there is none. Results are read only where they
// are wanted and there are some.
const loadDueSql = `
WITH wanted AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1) AS x("targetId" uuid, room integer, held uuid[])
)
SELECT d.tenant_id AS "tenantId", d.id, d.target_id AS "targetId", d.endpoint_id AS "endpointId",
  coalesce(d.url, w.url) AS url, coalesce(w.status, CASE WHEN d.url IS NULL THEN 'deleted' ELSE 'enabled' END) AS "targetStatus",
  d.subject_type AS "subjectType", d.subject_id AS "subjectId", d.subject_gone AS "subjectGone", d.type, d.sequence,
  d.at, d.data, d.attempt, d.tries, d.since,
  CASE WHEN j.id IS NOT NULL THEN json_build_object('kind', j.kind, 'statusReason', j.status_reason, 'userId', j.user_id,
    'customId', j.custom_id, 'metadata', j.metadata, 'tags', j.tags, 'modelVersion', j.model_version,
    'modelDigest', j.model_digest, 'createdAt', j.created_at, 'startedAt', j.started_at, 'endedAt', j.ended_at,
    'items', j.item_count, 'succeeded', j.succeeded_count, 'failed', j.failed_count, 'error', j.error) END AS job,
  CASE WHEN b.id IS NOT NULL THEN json_build_object('kind', b.kind, 'modelVersion', b.model_version,
    'modelDigest', b.model_digest, 'metadata', b.metadata, 'fileId', b.file_id, 'createdAt', b.created_at,
    'error', b.error) END AS batch,
  CASE WHEN coalesce(d.include_result, w.include_result) AND d.type IN ('job.succeeded', 'job.failed') THEN (
    SELECT json_agg(json_build_object('index', a.item_index, 'output', a.output, 'error', a.error) ORDER BY a.item_index)
    FROM analyses a WHERE a.tenant_id = d.tenant_id AND a.job_id = d.subject_id) END AS results,
  (SELECT json_agg(json_build_object('id', s.id, 'keyId', s.key_id, 'sealed', encode(s.sealed, 'base64'), 'ownerId', s.owner_id)
      ORDER BY s.created_at DESC)
    FROM webhook_secrets s WHERE s.tenant_id = d.tenant_id AND s.owner_id = coalesce(d.endpoint_id, d.tenant_id)
      AND (s.expires_at IS NULL OR s.expires_at > $2)) AS secrets
FROM wanted x CROSS JOIN LATERAL (
  SELECT * FROM deliveries d WHERE d.status = 'pending' AND d.target_id = x."targetId" AND d.next_attempt_at <= $2
    AND d.id <> ALL (x.held) ORDER BY d.next_attempt_at, d.id LIMIT x.room
) d
LEFT JOIN webhook_endpoints w ON w.tenant_id = d.tenant_id AND w.id = d.endpoint_id
LEFT JOIN jobs j ON d.subject_type IN ('job', 'profile') AND j.tenant_id = d.tenant_id AND j.id = d.subject_id
LEFT JOIN batches b ON d.subject_type = 'batch' AND b.tenant_id = d.tenant_id AND b.id = d.subject_id`;

const moment = z.coerce.date();

const dueRow = z.object({
  tenantId: z.string(),
  id: z.string(),
  targetId: z.string(),
  endpointId: z.string().nullable(),
  url: z.string().nullable(),
  targetStatus: z.enum(['enabled', 'disabled', 'deleted']),
  subjectType: z.enum(['job', 'profile', 'batch', 'endpoint']),
  subjectId: z.string(),
  subjectGone: z.boolean(),
  type: z.string(),
  sequence: z.number(),
  at: z.date(),
  data: z.record(z.string(), z.unknown()).nullable(),
  attempt: z.number(),
  tries: z.number(),
  since: z.date(),
  job: z
    .object({
      kind: z.string(),
      statusReason: z.string().nullable(),
      userId: z.string().nullable(),
      customId: z.string().nullable(),
      metadata: z.record(z.string(), z.string()),
      tags: z.array(z.string()),
      modelVersion: z.string(),
      modelDigest: z.string(),
      createdAt: moment,
      startedAt: moment.nullable(),
      endedAt: moment.nullable(),
      items: z.number(),
      succeeded: z.number(),
      failed: z.number(),
      error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    })
    .nullable(),
  batch: z
    .object({
      kind: z.string(),
      modelVersion: z.string(),
      modelDigest: z.string(),
      metadata: z.record(z.string(), z.string()),
      fileId: z.string().nullable(),
      createdAt: moment,
      error: z.object({ code: z.string(), detail: z.string() }).nullable(),
    })
    .nullable(),
  results: z
    .array(
      z.object({
        index: z.number(),
        output: z.unknown(),
        error: z.object({ code: z.string(), detail: z.string() }).nullable(),
      }),
    )
    .nullable(),
  secrets: z
    .array(
      z.object({
        id: z.string(),
        keyId: z.string(),
        ownerId: z.string(),
        sealed: z.string().transform((text) => Buffer.from(text, 'base64')),
      }),
    )
    .nullable(),
});

/** A message whose time has come, with its content, where it goes and what signs it. */
export type DueDelivery = Readonly<z.output<typeof dueRow>>;

const dueRows = z.array(dueRow);

/**
 * The messages that are due longest, up to `room` of each target, without those that are `held`.
 * Call as the one who has locked these targets.
 */
export async function loadDue(
  tx: Tx,
  wanted: readonly { readonly targetId: string; readonly room: number; readonly held: readonly string[] }[],
  now: Date,
): Promise<DueDelivery[]> {
  return dueRows.parse(await run(tx, 'load_due', loadDueSql, [JSON.stringify(wanted), now]));
}

/** What one attempt came to, and what follows for its message. `nextAttemptAt` is null at its end. */
export interface FinishedAttempt {
  readonly tenantId: string;
  readonly id: string;
  readonly endpointId: string | null;
  /** The attempts that the message had before. */
  readonly attempt: number;
  readonly at: Date;
  /** Undefined for a message that ended without an attempt. */
  readonly outcome: string | undefined;
  readonly statusCode: number | null;
  readonly latencyMs: number;
  readonly detail: string | null;
  readonly excerpt: string | null;
  readonly status: 'pending' | 'succeeded' | 'failed';
  readonly statusReason: string | null;
  readonly nextAttemptAt: Date | null;
}

// Messages are locked in id order, and before endpoints, by whoever locks several. One that was erased, or whose end
// another process wrote, is not there to be changed: nothing is logged of it. What came in goes along from step to step:
// joined anew each time, a thousand ends would be compared a million times.
const finishSql = `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1) AS x("tenantId" uuid, id uuid, "endpointId" uuid, attempt integer, at timestamptz,
    outcome text, "statusCode" integer, "latencyMs" integer, detail text, excerpt text, status text, "statusReason" text,
    "nextAttemptAt" timestamptz)
), locked AS MATERIALIZED (
  SELECT d.tenant_id, x.* FROM input x JOIN deliveries d ON d.tenant_id = x."tenantId" AND d.id = x.id
  WHERE d.status = 'pending' AND d.attempt = x.attempt ORDER BY d.id FOR UPDATE OF d
), moved AS (
  UPDATE deliveries d SET status = l.status, status_reason = l."statusReason", next_attempt_at = l."nextAttemptAt",
    attempt = d.attempt + CASE WHEN l.outcome IS NULL THEN 0 ELSE 1 END,
    tries = d.tries + CASE WHEN l.outcome IS NULL THEN 0 ELSE 1 END,
    ended_at = CASE WHEN l.status <> 'pending' THEN now() END
  FROM locked l WHERE d.tenant_id = l.tenant_id AND d.id = l.id
  RETURNING d.tenant_id, d.id, d.endpoint_id, d.subject_gone, l.attempt, l.at, l.outcome, l."statusCode",
    l."latencyMs", l.detail, l.excerpt
), logged AS (
  INSERT INTO delivery_attempts (tenant_id, delivery_id, number, at, outcome, status_code, latency_ms, detail, body)
  SELECT tenant_id, id, attempt + 1, at, outcome, "statusCode", "latencyMs", detail,
    CASE WHEN NOT subject_gone THEN excerpt END
  FROM moved WHERE outcome IS NOT NULL
), health AS MATERIALIZED (
  SELECT tenant_id, endpoint_id, bool_or(outcome = 'succeeded') AS well, min(at) AS at
  FROM moved WHERE endpoint_id IS NOT NULL AND outcome IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2
)
UPDATE webhook_endpoints w SET failing_since = CASE WHEN NOT h.well THEN h.at END
FROM health h WHERE w.tenant_id = h.tenant_id AND w.id = h.endpoint_id AND h.well = (w.failing_since IS NOT NULL)`;

// Whoever disables an endpoint tells the tenant's others, if they want to know.
const disableSql = `
WITH off AS (
  UPDATE webhook_endpoints w SET status = 'disabled', status_reason = CASE WHEN x.gone THEN 'gone' ELSE 'failing' END
  FROM json_to_recordset($1) AS x("tenantId" uuid, "endpointId" uuid, gone boolean)
  WHERE w.tenant_id = x."tenantId" AND w.id = x."endpointId" AND w.status = 'enabled'
    AND (x.gone OR w.failing_since <= $2)
  RETURNING w.tenant_id, w.id, w.status_reason
)
SELECT tenant_id AS "tenantId", id, status_reason AS reason FROM off`;

const tellSql = `
SELECT insert_deliveries(array_agg(ROW("tenantId", 'endpoint', id, 'endpoint.disabled', 1, now(),
  jsonb_build_object('id', 'whep_' || id, 'object', 'webhook_endpoint', 'status', 'disabled', 'status_reason', reason))::webhook_event))
FROM json_to_recordset($1) AS x("tenantId" uuid, id uuid, reason text)`;

const disabledRow = z.object({ tenantId: z.string(), id: z.string(), reason: z.string() });

/** An endpoint that was disabled, and why: `gone` (410) or `failing` (nothing but failure for too long). */
export type DisabledEndpoint = Readonly<z.infer<typeof disabledRow>>;

const disabledRows = z.array(disabledRow);

/**
 * Writes what became of messages, in one transaction: the ends and next attempts, the log, the health of the endpoints,
 * and which of them are disabled by it: those in `gone`, and those that fail since `failingBefore` or longer.
 */
export async function finishAttempts(
  pool: Pool,
  finished: readonly FinishedAttempt[],
  failingBefore: Date,
): Promise<DisabledEndpoint[]> {
  const suspects = [
    ...new Map(
      finished
        .filter(
          ({ endpointId, outcome }) =>
            endpointId !== null && outcome !== undefined && outcome !== 'succeeded',
        )
        .sort((a, b) => Number(a.outcome === 'gone') - Number(b.outcome === 'gone'))
        .map(({ tenantId, endpointId, outcome }) => [
          endpointId,
          { tenantId, endpointId, gone: outcome === 'gone' },
        ]),
    ).values(),
  ];
  if (suspects.length === 0) {
    await run(pool, 'finish_attempts', finishSql, [JSON.stringify(finished)]);
    return [];
  }
  return inTransaction(pool, async (tx) => {
    await run(tx, 'finish_attempts', finishSql, [JSON.stringify(finished)]);
    const disabled = disabledRows.parse(
      await run(tx, 'disable_endpoints', disableSql, [JSON.stringify(suspects), failingBefore]),
    );
    if (disabled.length > 0) await run(tx, 'tell_disabled', tellSql, [JSON.stringify(disabled)]);
    return disabled;
  });
}

const backlogRows = z.tuple([z.object({ pending: z.number(), oldestSeconds: z.number() })]);

/** How many messages are under way, and how long the one that is due longest has been. For metrics. */
export async function measureDeliveries(tx: Tx): Promise<{ pending: number; oldestSeconds: number }> {
  const rows = await run(
    tx,
    'measure_deliveries',
    `SELECT count(*)::integer AS pending,
       greatest(0, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0))::float8 AS "oldestSeconds"
     FROM deliveries WHERE status = 'pending'`,
    [],
  );
  return backlogRows.parse(rows)[0];
}

/** Deletes messages that ended, and were made before `before`, with their log. @returns how many. */
export async function pruneDeliveries(pool: Pool, before: Date, limit: number): Promise<number> {
  const { rowCount } = await inSweep(pool, (tx) =>
    tx.query(
      `WITH old AS MATERIALIZED (
       SELECT tenant_id, id FROM deliveries WHERE created_at < $1 AND status <> 'pending' LIMIT $2 FOR UPDATE SKIP LOCKED),
     log AS (DELETE FROM delivery_attempts a USING old o WHERE a.tenant_id = o.tenant_id AND a.delivery_id = o.id)
     DELETE FROM deliveries d USING old o WHERE d.tenant_id = o.tenant_id AND d.id = o.id`,
      [before, limit],
    ),
  );
  return rowCount ?? 0;
}
