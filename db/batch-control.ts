// What happens to a whole batch: cancel, erase, and the sweeps by which each of its jobs follows, in steps, so that a
// batch of a hundred thousand jobs holds no lock for long. What is still to be swept is on the batch: a step that was
// lost with its process is taken again.

import { z } from 'zod';
import { type BatchStatus, batchStatuses } from '../shared/batch.ts';
import { packedBatch } from './batch-intake.ts';
import type { BatchName } from './batch-counting.ts';
import type { Pool, Tx } from './client.ts';
import { pruneJobsSql } from './dispatch.ts';
import { eraseJob } from './erase-job.ts';
import { cancelSteps } from './job-control.ts';
import { jobsChannel, progressChannel } from './jobs.ts';

const cancelSql = `
WITH found AS MATERIALIZED (
  SELECT tenant_id, id, status, end_reason FROM batches
  WHERE tenant_id = $1 AND id = $2 AND erase_requested_at IS NULL FOR UPDATE
), moved AS (
  UPDATE batches b SET status = 'canceling', cancel_requested_at = now(), sealed = true, sweep = 'cancel',
    event_sequence = b.event_sequence + 1
  FROM found f WHERE f.status IN ('validating', 'in_progress') AND b.tenant_id = f.tenant_id AND b.id = f.id
  RETURNING b.tenant_id, b.id, b.event_sequence
), told AS (
  INSERT INTO batch_events (tenant_id, batch_id, sequence, type, at)
  SELECT tenant_id, id, event_sequence, 'batch.canceling', now() FROM moved
), woken AS (
  SELECT count(pg_notify('${progressChannel}', ${packedBatch('id')})) FROM moved
)
SELECT status, end_reason AS "endReason", woken.count::integer AS moved FROM found CROSS JOIN woken`;

const beforeRows = z.array(z.object({ status: z.enum(batchStatuses), endReason: z.string().nullable() }));

/** Cancels a batch. @returns its state before; undefined if the tenant has no such batch */
export async function cancelBatch(
  tx: Tx,
  { tenantId, id }: BatchName,
): Promise<{ status: BatchStatus; endReason: string | null } | undefined> {
  const { rows } = await tx.query({ name: 'cancel_batch', text: cancelSql, values: [tenantId, id] });
  return beforeRows.parse(rows)[0];
}

/** From now on nobody finds the batch; a sweep erases it. @returns false if the tenant has no such batch */
export async function requestErasure(tx: Tx, { tenantId, id }: BatchName): Promise<boolean> {
  const { rowCount } = await tx.query(
    `WITH gone AS (
       UPDATE batches SET sealed = true, sweep = 'erase', erase_requested_at = now(), idempotency_key = NULL
       WHERE tenant_id = $1 AND id = $2 AND erase_requested_at IS NULL RETURNING id)
     SELECT pg_notify('${jobsChannel}', ${packedBatch('id')}) FROM gone`,
    [tenantId, id],
  );
  return rowCount === 1;
}

/**
 * What batches know of a person besides their jobs: the default owner of their lines, and hashes of the lines, by which
 * a short text could be guessed. Call in the transaction that erases the person's jobs, which take their lines along;
 * lines in files are taken out by `eraseUserFromNextFile`.
 */
export async function eraseUserFromBatches(tx: Tx, tenantId: string, userId: string): Promise<void> {
  await tx.query(
    `UPDATE batches SET user_id = NULLIF(user_id, $2), line_hash = NULL WHERE tenant_id = $1 AND (user_id = $2 OR id IN
       (SELECT batch_id FROM jobs WHERE tenant_id = $1 AND user_id = $2 AND batch_id IS NOT NULL))`,
    [tenantId, userId],
  );
}

const sweeps = ['release', 'cancel', 'drop', 'erase'] as const;
export type Sweep = (typeof sweeps)[number];

/** Batches whose jobs a sweep is to go through. */
export const batchesToSweep = 'FROM batches WHERE sweep IS NOT NULL';

const sweepRows = z.array(z.object({ tenantId: z.string(), id: z.string(), sweep: z.enum(sweeps) }));

/** Batches of whose jobs something is still to be done. */
export async function listSweeps(tx: Tx, limit: number): Promise<(BatchName & { sweep: Sweep })[]> {
  const { rows } = await tx.query({
    name: 'list_sweeps',
    text: `SELECT tenant_id AS "tenantId", id, sweep ${batchesToSweep} LIMIT $1`,
    values: [limit],
  });
  return sweepRows.parse(rows);
}

const jobPacked = packedBatch('id');

/** The next jobs of a batch behind `$3`, locked. */
const page = `page AS MATERIALIZED (
  SELECT tenant_id, id, status, not_before FROM jobs WHERE tenant_id = $1 AND batch_id = $2 AND id > $3
  ORDER BY id LIMIT $4 FOR UPDATE
)`;

const releaseSql = `
WITH ${page}, moved AS (
  UPDATE jobs j SET status = 'queued', queued_at = now(), event_sequence = j.event_sequence + 1
  FROM page p WHERE p.status = 'scheduled' AND p.not_before IS NULL AND j.tenant_id = p.tenant_id AND j.id = p.id
  RETURNING j.tenant_id, j.id, j.event_sequence
), told AS (
  INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
  SELECT tenant_id, id, event_sequence, 'job.queued', now() FROM moved
), woken AS (
  SELECT count(pg_notify('${progressChannel}', ${jobPacked})) FROM moved
)
SELECT id, woken.count FROM page CROSS JOIN woken ORDER BY id`;

const cancelJobsSql = `
WITH ${page}, ${cancelSteps('page', 'batch_canceled')}
SELECT id, woken.jobs, woken.workers FROM page CROSS JOIN woken ORDER BY id`;

const idRows = z.array(z.object({ id: z.string() }));

/** Lets the jobs of a batch wait for workers, or cancels them; those behind `after`, at most `limit`. @returns the last of them */
export async function sweepPage(
  tx: Tx,
  { tenantId, id }: BatchName,
  sweep: 'release' | 'cancel',
  after: string,
  limit: number,
): Promise<string | undefined> {
  const { rows } = await tx.query({
    name: `${sweep}_batch_jobs`,
    text: sweep === 'release' ? releaseSql : cancelJobsSql,
    values: [tenantId, id, after, limit],
  });
  return idRows.parse(rows).at(-1)?.id;
}

/** Deletes jobs of a batch: ones that never ran (`drop`), or with all that is known from them (`erase`). @returns how many */
export async function removePage(
  pool: Pool,
  { tenantId, id }: BatchName,
  sweep: 'drop' | 'erase',
  limit: number,
): Promise<number> {
  const { rows } = await pool.query({
    name: 'list_batch_jobs',
    text: 'SELECT id FROM jobs WHERE tenant_id = $1 AND batch_id = $2 ORDER BY id LIMIT $3',
    values: [tenantId, id, limit],
  });
  const ids = idRows.parse(rows).map((row) => row.id);
  if (sweep === 'erase') for (const jobId of ids) await eraseJob(pool, tenantId, jobId);
  else if (ids.length > 0) {
    await pool.query({ name: 'prune_jobs', text: pruneJobsSql, values: [ids.map(() => tenantId), ids] });
  }
  return ids.length;
}

const goneRows = z.array(z.object({ gone: z.boolean() }));

/** Notes that a sweep is through; a batch that is to be forgotten goes with its last job. */
export async function finishSweep(tx: Tx, { tenantId, id }: BatchName, sweep: Sweep): Promise<void> {
  const { rows } = await tx.query(
    `UPDATE batches SET sweep = CASE WHEN erase_requested_at IS NULL THEN NULL ELSE sweep END
     WHERE tenant_id = $1 AND id = $2 AND sweep = $3 RETURNING erase_requested_at IS NOT NULL AS gone`,
    [tenantId, id, sweep],
  );
  const gone = goneRows.parse(rows)[0]?.gone === true;
  if (gone) await deleteBatch(tx, { tenantId, id });
}

/** Deletes a batch whose jobs are gone. */
async function deleteBatch(tx: Tx, { tenantId, id }: BatchName): Promise<void> {
  await tx.query(
    `WITH lines AS (DELETE FROM batch_lines WHERE tenant_id = $1 AND batch_id = $2),
       parts AS (DELETE FROM batch_parts WHERE tenant_id = $1 AND batch_id = $2),
       events AS (DELETE FROM batch_events WHERE tenant_id = $1 AND batch_id = $2)
     DELETE FROM batches WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id],
  );
}

const oldRows = z.array(z.object({ tenantId: z.string(), id: z.string() }));

/** Deletes batches at the end of their retention whose jobs have gone before them. @returns how many */
export async function pruneBatches(tx: Tx, limit: number): Promise<number> {
  const { rows } = await tx.query(
    `SELECT tenant_id AS "tenantId", id FROM batches b WHERE expires_at <= now() AND sealed AND sweep IS NULL
       AND NOT EXISTS (SELECT FROM jobs j WHERE j.tenant_id = b.tenant_id AND j.batch_id = b.id) LIMIT $1`,
    [limit],
  );
  const old = oldRows.parse(rows);
  for (const name of old) await deleteBatch(tx, name);
  return old.length;
}

/** Lets idempotency keys of batches go after their 24 hours. */
export async function pruneBatchKeys(tx: Tx): Promise<void> {
  await tx.query(
    `UPDATE batches SET idempotency_key = NULL
     WHERE idempotency_key IS NOT NULL AND sealed AND created_at < now() - interval '24 hours'`,
  );
}

/**
 * Gives up uploads of which nothing was heard for `ageMs`: with `skip` the batch goes on with the lines that it has, with
 * `reject` nothing of it remains. @returns how many
 */
export async function endAbandonedUploads(tx: Tx, ageMs: number): Promise<number> {
  const old = `NOT sealed AND file_id IS NULL AND touched_at < now() - make_interval(secs => $1::float8 / 1000)`;
  const skipped = await tx.query(
    `UPDATE batches SET sealed = true, error = $2 WHERE ${old} AND on_invalid = 'skip'`,
    [
      ageMs,
      JSON.stringify({
        code: 'upload_incomplete',
        detail: 'The upload broke off and was not taken up again',
      }),
    ],
  );
  const rejected = await tx.query(
    `UPDATE batches SET sealed = true, status = 'ended', end_reason = 'invalid', ended_at = now(), sweep = 'drop',
       erase_requested_at = now(), idempotency_key = NULL WHERE ${old} AND on_invalid = 'reject'`,
    [ageMs],
  );
  return (skipped.rowCount ?? 0) + (rejected.rowCount ?? 0);
}
