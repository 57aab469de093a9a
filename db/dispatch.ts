// What the dispatcher asks of the ledger: who waits, what is in the window, and what was lost, late or too old.
// Each function is one statement, but for pruning. The ones that sweep are bounded by `limit` and are called again while
// they fill it.

import { z } from 'zod';
import type { WindowUse } from '../shared/window.ts';
import { inSweep, type Pool, type Tx } from './client.ts';
import { eraseFacts } from './facts.ts';
import { jobsChannel, progressChannel } from './jobs.ts';

/** Jobs that wait in the ledger. */
export const waitingJobs = `FROM jobs WHERE status = 'queued' AND dispatch_id IS NULL ORDER BY class, tenant_id`;

/** Scheduled jobs whose time has come. */
export const dueJobs = `FROM jobs WHERE status = 'scheduled' AND not_before <= now() ORDER BY not_before`;

/** Jobs that passed their deadline before a worker took them. */
export const lateJobs = `FROM jobs WHERE deadline_at <= now() AND status IN ('scheduled', 'queued') ORDER BY deadline_at`;

/**
 * The (class, tenant) pairs with jobs that wait, as the common table `pairs` of a WITH RECURSIVE: found by skipping from
 * one pair to the next in the index, however long the backlog.
 */
export const waitingPairsSql = `pairs AS (
  (SELECT class, tenant_id ${waitingJobs} LIMIT 1)
  UNION ALL
  SELECT next.class, next.tenant_id FROM pairs p, LATERAL (
    SELECT class, tenant_id FROM jobs WHERE status = 'queued' AND dispatch_id IS NULL
      AND (class, tenant_id) > (p.class, p.tenant_id) ORDER BY class, tenant_id LIMIT 1) next
)`;

const windowRows = z.array(
  z.object({ tenant_id: z.string(), class: z.number(), items: z.number(), waiting: z.boolean() }),
);

const listWindowSql = `
WITH RECURSIVE ${waitingPairsSql}, used AS (
  SELECT tenant_id, class, sum(item_count)::integer AS items FROM jobs
  WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling') GROUP BY tenant_id, class
)
SELECT coalesce(u.tenant_id, p.tenant_id) AS tenant_id, coalesce(u.class, p.class) AS class,
  coalesce(u.items, 0) AS items, p.tenant_id IS NOT NULL AS waiting
FROM used u FULL JOIN pairs p ON p.tenant_id = u.tenant_id AND p.class = u.class
ORDER BY 2, 1`;

/** All tenants and classes with work in the window or waiting for it. */
export async function listWindow(tx: Tx): Promise<WindowUse[]> {
  const { rows } = await tx.query({ name: 'list_window', text: listWindowSql });
  return windowRows.parse(rows).map(({ tenant_id: tenantId, ...row }) => ({ ...row, tenantId }));
}

/** A waiting job as the dispatcher sizes it. */
export interface WaitingJob {
  readonly id: string;
  readonly kind: string;
  readonly modelVersion: string;
  readonly items: number;
  readonly characters: number;
  /** Since it was queued. */
  readonly ageMs: number;
}

const waitingRows = z.array(
  z.object({
    id: z.string(),
    kind: z.string(),
    model_version: z.string(),
    item_count: z.number(),
    character_count: z.number(),
    age_ms: z.number(),
  }),
);

/** The oldest waiting jobs of a tenant and class, locked: another dispatcher passes them over. */
export async function lockWaiting(
  tx: Tx,
  args: { readonly tenantId: string; readonly class: number; readonly limit: number },
): Promise<WaitingJob[]> {
  const { rows } = await tx.query({
    name: 'lock_waiting',
    text: `SELECT id, kind, model_version, item_count, character_count,
        (extract(epoch FROM now() - queued_at) * 1000)::float8 AS age_ms FROM jobs
      WHERE class = $1 AND tenant_id = $2 AND status = 'queued' AND dispatch_id IS NULL
      ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED`,
    values: [args.class, args.tenantId, args.limit],
  });
  return waitingRows.parse(rows).map((row) => ({
    id: row.id,
    kind: row.kind,
    modelVersion: row.model_version,
    items: row.item_count,
    characters: Math.max(1, row.character_count),
    ageMs: row.age_ms,
  }));
}

/** Writes which dispatch each job goes with. Call in the transaction of `lockWaiting`, then commit, then tell Redis. */
export async function markDispatched(
  tx: Tx,
  tenantId: string,
  marks: readonly { readonly id: string; readonly dispatchId: string }[],
): Promise<void> {
  await tx.query({
    name: 'mark_dispatched',
    text: `UPDATE jobs j SET dispatch_id = x."dispatchId", dispatched_at = now()
      FROM json_to_recordset($2) AS x(id uuid, "dispatchId" uuid) WHERE j.tenant_id = $1 AND j.id = x.id AND j.id = ANY($3::uuid[])`,
    values: [tenantId, JSON.stringify(marks), marks.map(({ id }) => id)],
  });
}

const dispatchRows = z.array(z.object({ dispatch_id: z.string() }));

/** Dispatches older than `ageMs` of which some job still waits to be taken. */
export async function listOldDispatches(tx: Tx, ageMs: number, limit: number): Promise<string[]> {
  const { rows } = await tx.query({
    name: 'list_old_dispatches',
    text: `SELECT DISTINCT dispatch_id FROM jobs
      WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling') AND status = 'queued'
        AND dispatched_at < now() - make_interval(secs => $1::float8 / 1000) LIMIT $2`,
    values: [ageMs, limit],
  });
  return dispatchRows.parse(rows).map((row) => row.dispatch_id);
}

/** Lets the jobs of lost dispatches wait again; a job that was taken meanwhile is left alone. @returns how many. */
export async function undispatch(tx: Tx, dispatchIds: readonly string[]): Promise<number> {
  const { rowCount } = await tx.query({
    name: 'undispatch',
    text: `WITH lost AS MATERIALIZED (
        SELECT tenant_id, id FROM jobs WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling')
          AND status = 'queued' AND dispatch_id = ANY($1::uuid[]) ORDER BY id FOR UPDATE)
      UPDATE jobs j SET dispatch_id = NULL, dispatched_at = NULL
      FROM lost l WHERE j.tenant_id = l.tenant_id AND j.id = l.id`,
    values: [dispatchIds],
  });
  return rowCount ?? 0;
}

const abandonedRows = z.array(z.object({ tenantId: z.string(), id: z.string(), attempt: z.number() }));

/** Jobs whose worker stopped renewing its lease `graceMs` ago, as `retryJobs` takes them. */
export async function listAbandoned(
  tx: Tx,
  graceMs: number,
  limit: number,
): Promise<{ tenantId: string; id: string; attempt: number }[]> {
  const { rows } = await tx.query({
    name: 'list_abandoned',
    text: `SELECT tenant_id AS "tenantId", id, attempt FROM jobs
      WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling')
        AND lease_until < now() - make_interval(secs => $1::float8 / 1000) AND status <> 'queued' LIMIT $2`,
    values: [graceMs, limit],
  });
  return abandonedRows.parse(rows);
}

/** Queues scheduled jobs whose time has come. @returns how many. */
export async function queueDue(tx: Tx, limit: number): Promise<number> {
  const { rowCount } = await tx.query({
    name: 'queue_due',
    text: `WITH due AS MATERIALIZED (
        SELECT tenant_id, id ${dueJobs} LIMIT $1 FOR UPDATE SKIP LOCKED),
      moved AS (
        UPDATE jobs j SET status = 'queued', queued_at = coalesce(j.queued_at, now()), event_sequence = j.event_sequence + 1
        FROM due d WHERE j.tenant_id = d.tenant_id AND j.id = d.id RETURNING j.tenant_id, j.id, j.event_sequence),
      told AS (
        INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
        SELECT tenant_id, id, event_sequence, 'job.queued', now() FROM moved RETURNING job_id)
      SELECT pg_notify('${progressChannel}',
        translate(rtrim(encode(uuid_send(job_id), 'base64'), '='), '+/', '-_')) FROM told`,
    values: [limit],
  });
  return rowCount ?? 0;
}

const expiredRows = z.array(z.object({ job_id: z.string() }));

/** Ends jobs that passed their deadline before a worker took them, and wakes who waits. @returns their ids. */
export async function expireJobs(tx: Tx, limit: number): Promise<string[]> {
  const { rows } = await tx.query({
    name: 'expire_jobs',
    text: `WITH late AS MATERIALIZED (
        SELECT tenant_id, id ${lateJobs} LIMIT $1 FOR UPDATE SKIP LOCKED),
      ended AS (
        UPDATE jobs j SET status = 'expired', status_reason = 'deadline_passed', ended_at = clock_timestamp(),
          dispatch_id = NULL, event_sequence = j.event_sequence + 1,
          options = CASE WHEN j.store_input THEN j.options ELSE j.options - 'context_messages' END
        FROM late l WHERE j.tenant_id = l.tenant_id AND j.id = l.id
        RETURNING j.tenant_id, j.id, j.event_sequence, j.ended_at, j.store_input),
      forgotten AS (
        UPDATE items i SET text = NULL FROM ended e
        WHERE NOT e.store_input AND i.tenant_id = e.tenant_id AND i.job_id = e.id),
      told AS (
        INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
        SELECT tenant_id, id, event_sequence, 'job.expired', ended_at FROM ended RETURNING job_id)
      SELECT job_id, pg_notify('${jobsChannel}',
        translate(rtrim(encode(uuid_send(job_id), 'base64'), '='), '+/', '-_')) FROM told`,
    values: [limit],
  });
  return expiredRows.parse(rows).map((row) => row.job_id);
}

const oldRows = z.array(z.object({ tenant_id: z.string(), id: z.string() }));

/**
 * Deletes terminal jobs at the end of their retention, with all that hangs on them and all that the graph knows from
 * them alone: one transaction. @returns how many.
 */
export function pruneJobs(pool: Pool, limit: number): Promise<number> {
  return inSweep(pool, async (tx) => {
    const { rows } = await tx.query(
      `SELECT tenant_id, id FROM jobs WHERE expires_at <= now()
        AND status IN ('succeeded', 'failed', 'canceled', 'expired') ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED`,
      [limit],
    );
    const old = oldRows.parse(rows);
    if (old.length === 0) return 0;
    for (const tenantId of [...new Set(old.map((job) => job.tenant_id))].sort()) {
      const jobIds = old.filter((job) => job.tenant_id === tenantId).map((job) => job.id);
      await eraseFacts(tx, { tenantId, jobIds });
    }
    await tx.query({
      name: 'prune_jobs',
      text: pruneJobsSql,
      values: [old.map((job) => job.tenant_id), old.map((job) => job.id)],
    });
    return old.length;
  });
}

/** Deletes jobs with all that hangs on them but facts; $1 their tenants, $2 their ids. */
export const pruneJobsSql = `
WITH old AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::uuid[]) AS o(tenant_id, id)),
  texts AS (DELETE FROM items i USING old o WHERE i.tenant_id = o.tenant_id AND i.job_id = o.id),
  results AS (DELETE FROM analyses a USING old o WHERE a.tenant_id = o.tenant_id AND a.job_id = o.id),
  events AS (DELETE FROM job_events e USING old o WHERE e.tenant_id = o.tenant_id AND e.job_id = o.id)
DELETE FROM jobs j USING old o WHERE j.tenant_id = o.tenant_id AND j.id = o.id`;

/** Forgets idempotency keys after their 24 hours. */
export async function pruneIdempotencyKeys(pool: Pool): Promise<void> {
  await inSweep(pool, (tx) =>
    tx.query(`DELETE FROM idempotency_keys WHERE created_at < now() - interval '24 hours'`),
  );
}

/** Makes the partitions of this month and the next: each more costs every statement the opening of one. Needs the owner's rights. */
export async function ensurePartitions(tx: Tx): Promise<void> {
  await tx.query(`SELECT ensure_partitions((now() AT TIME ZONE 'UTC')::date, 2)`);
}

const queueRows = z.array(
  z.object({ class: z.number(), waiting: z.number(), dispatched: z.number(), oldestSeconds: z.number() }),
);

/** Queued jobs by class, split into waiting and dispatched, with the age in seconds of the oldest. For metrics. */
export async function measureQueue(
  tx: Tx,
): Promise<{ class: number; waiting: number; dispatched: number; oldestSeconds: number }[]> {
  const { rows } = await tx.query({
    name: 'measure_queue',
    text: `SELECT class, sum(waiting)::integer AS waiting, sum(dispatched)::integer AS dispatched,
        coalesce(extract(epoch FROM now() - min(oldest)), 0)::float8 AS "oldestSeconds"
      FROM (
        SELECT class, count(*) AS waiting, 0 AS dispatched, NULL::timestamptz AS oldest FROM jobs
          WHERE status = 'queued' AND dispatch_id IS NULL GROUP BY class
        UNION ALL
        SELECT class, 0, count(*), min(queued_at) FROM jobs
          WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling') AND status = 'queued' GROUP BY class
      ) parts GROUP BY class`,
  });
  return queueRows.parse(rows);
}
