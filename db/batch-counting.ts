// A batch counts its jobs as they end, whoever ended them, a step at a time and under its row lock: the counts are sums
// that are read and never made, and the parts have numbers without a gap.

import { z } from 'zod';
import { batchStatuses } from '../shared/batch.ts';
import { packedBatch } from './batch-intake.ts';
import type { Tx } from './client.ts';
import { jobsChannel, progressChannel } from './jobs.ts';

export interface BatchName {
  readonly tenantId: string;
  readonly id: string;
}

const nameRows = z.array(z.object({ tenantId: z.string(), id: z.string() }));

/** Ended jobs that wait to be counted, as the index `jobs_to_count` has them. */
const toCount = `j.batch_id IS NOT NULL AND NOT j.batch_counted
  AND j.status IN ('succeeded', 'failed', 'canceled', 'expired')`;

/** Those jobs, of any batch. */
export const jobsToCount = `FROM jobs j WHERE ${toCount}`;

/** Batches that have counted their last job. */
export const batchesToEnd = `FROM batches WHERE sealed AND status <> 'ended'
  AND succeeded_count + failed_count + canceled_count + expired_count >= line_count`;

/** Batches with ended jobs to count, and those that have counted their last. */
export async function listCountable(tx: Tx, limit: number): Promise<BatchName[]> {
  const { rows } = await tx.query({
    name: 'list_countable',
    text: `(SELECT DISTINCT j.tenant_id AS "tenantId", j.batch_id AS id ${jobsToCount} LIMIT $1)
      UNION
      (SELECT tenant_id, id ${batchesToEnd} LIMIT $1)`,
    values: [limit],
  });
  return nameRows.parse(rows);
}

const countPartsSql = `
WITH batch AS MATERIALIZED (
  SELECT * FROM batches WHERE tenant_id = $1 AND id = $2 FOR UPDATE SKIP LOCKED
), ended AS MATERIALIZED (
  SELECT j.tenant_id, j.id, j.status, j.item_count, j.succeeded_count, j.failed_count, j.ended_at
  FROM batch b JOIN jobs j ON j.tenant_id = b.tenant_id AND j.batch_id = b.id
  WHERE ${toCount}
  ORDER BY j.ended_at, j.id LIMIT $3 FOR UPDATE OF j SKIP LOCKED
), marked AS (
  UPDATE jobs j SET batch_counted = true FROM ended e WHERE j.tenant_id = e.tenant_id AND j.id = e.id
), parts AS (
  INSERT INTO batch_parts (tenant_id, batch_id, ordinal, part_id)
  SELECT e.tenant_id, b.id, b.part_count + row_number() OVER (ORDER BY e.ended_at, e.id), e.id FROM ended e CROSS JOIN batch b
), sums AS (
  SELECT count(*)::integer AS parts,
    coalesce(sum(CASE WHEN status = 'succeeded' THEN succeeded_count ELSE 0 END), 0)::integer AS succeeded,
    coalesce(sum(CASE status WHEN 'succeeded' THEN failed_count WHEN 'failed' THEN item_count ELSE 0 END), 0)::integer AS failed,
    coalesce(sum(CASE WHEN status = 'canceled' THEN item_count ELSE 0 END), 0)::integer AS canceled,
    coalesce(sum(CASE WHEN status = 'expired' THEN item_count ELSE 0 END), 0)::integer AS expired
  FROM ended
), next AS MATERIALIZED (
  SELECT b.tenant_id, b.id, s.parts, b.succeeded_count + s.succeeded AS succeeded, b.failed_count + s.failed AS failed,
    b.canceled_count + s.canceled AS canceled, b.expired_count + s.expired AS expired,
    b.sealed AND b.status <> 'ended' AND b.line_count <= b.succeeded_count + s.succeeded + b.failed_count + s.failed
      + b.canceled_count + s.canceled + b.expired_count + s.expired AS done,
    b.progress_at IS NULL OR b.progress_at <= now() - interval '500 milliseconds' AS due
  FROM batch b CROSS JOIN sums s
), moved AS (
  UPDATE batches b SET part_count = b.part_count + n.parts, succeeded_count = n.succeeded, failed_count = n.failed,
    canceled_count = n.canceled, expired_count = n.expired,
    status = CASE WHEN n.done THEN 'ended' ELSE b.status END,
    ended_at = CASE WHEN n.done THEN clock_timestamp() ELSE b.ended_at END,
    end_reason = CASE WHEN NOT n.done THEN b.end_reason WHEN b.cancel_requested_at IS NOT NULL THEN 'canceled'
      WHEN b.error IS NOT NULL THEN 'error' WHEN n.expired > 0 THEN 'expired' ELSE 'completed' END,
    progress_at = CASE WHEN n.due THEN now() ELSE b.progress_at END,
    event_sequence = b.event_sequence + CASE WHEN n.done OR (n.due AND b.status <> 'ended') THEN 1 ELSE 0 END
  FROM next n WHERE b.tenant_id = n.tenant_id AND b.id = n.id AND (n.parts > 0 OR n.done)
  RETURNING b.tenant_id, b.id, b.status, b.end_reason, b.event_sequence, b.line_count, n.done, n.due, n.parts,
    n.succeeded, n.failed, n.canceled, n.expired
), told AS (
  INSERT INTO batch_events (tenant_id, batch_id, sequence, type, data, at)
  SELECT tenant_id, id, event_sequence, CASE WHEN done THEN 'batch.ended' ELSE 'batch.progress' END,
    CASE WHEN done THEN jsonb_build_object('end_reason', end_reason) ELSE '{}' END || jsonb_build_object('counts',
      jsonb_build_object('total', line_count, 'succeeded', succeeded, 'failed', failed, 'canceled', canceled, 'expired', expired)),
    clock_timestamp()
  FROM moved WHERE done OR (due AND status <> 'ended')
)
SELECT m.parts, s.succeeded, s.failed, s.canceled, s.expired,
  pg_notify(CASE WHEN m.done THEN '${jobsChannel}' ELSE '${progressChannel}' END, ${packedBatch('m.id')})
FROM moved m CROSS JOIN sums s`;

const countedRow = z.object({
  parts: z.number(),
  succeeded: z.number(),
  failed: z.number(),
  canceled: z.number(),
  expired: z.number(),
});

const countedRows = z.array(countedRow);

/** Jobs that were counted, and their lines by what came of them. */
export type Counted = z.output<typeof countedRow>;

const nothing: Counted = { parts: 0, succeeded: 0, failed: 0, canceled: 0, expired: 0 };

/**
 * Counts ended jobs of a batch, at most `limit`, and ends the batch with its last line: counts, parts, event and
 * wake-up in one statement. Another dispatcher that is at the same batch is left to it.
 * @returns what was counted
 */
export async function countParts(tx: Tx, { tenantId, id }: BatchName, limit: number): Promise<Counted> {
  const { rows } = await tx.query({
    name: 'count_parts',
    text: countPartsSql,
    values: [tenantId, id, limit],
  });
  return countedRows.parse(rows)[0] ?? nothing;
}

const openBatchRow = z.object({ status: z.enum(batchStatuses), open: z.number(), oldestSeconds: z.number() });
const openBatchRows = z.array(openBatchRow);

/** How many batches have not ended, and the age of the oldest, by status; by indexes that hold no others. */
export async function measureBatches(tx: Tx): Promise<z.output<typeof openBatchRow>[]> {
  const { rows } = await tx.query({
    name: 'measure_batches',
    text: `SELECT status, count(*)::integer AS open, extract(epoch FROM now() - min(created_at))::float8 AS "oldestSeconds"
      FROM (SELECT status, created_at FROM batches WHERE NOT sealed AND status <> 'ended'
        UNION ALL SELECT status, created_at FROM batches WHERE sealed AND status <> 'ended') AS unended GROUP BY status`,
  });
  return openBatchRows.parse(rows);
}
