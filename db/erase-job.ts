// Erases a job and everything that is known from it, and leaves a receipt. The row lock is held for all of it: a worker
// that has the job finds it gone and can store nothing.

import { v7 } from 'uuid';
import { z } from 'zod';
import { packUuid } from '../shared/job.ts';
import { inTransaction, type Pool, type Tx } from './client.ts';
import { pruneJobsSql } from './dispatch.ts';
import { eraseFacts } from './facts.ts';
import { cancelsChannel, erasuresChannel, jobsChannel } from './jobs.ts';

/**
 * Erases texts, results, events, facts, what the graph knows from them alone, and profiles that were made of them, in
 * one transaction. @returns the id of the receipt, the same one again for a job that was erased before; undefined if
 * the tenant never had such a job
 */
export function eraseJob(pool: Pool, tenantId: string, id: string): Promise<string | undefined> {
  return inTransaction(pool, async (tx) => {
    const values = [tenantId, id];
    const { rowCount } = await tx.query(
      'SELECT FROM jobs WHERE tenant_id = $1 AND id = $2 FOR UPDATE',
      values,
    );
    if (rowCount === 0) return findReceipt(tx, tenantId, id);
    await tx.query(receiptSql, [tenantId, v7(), id]);
    await eraseFacts(tx, { tenantId, jobIds: [id] });
    await tx.query(eraseProfilesSql, values);
    await eraseJobRows(tx, tenantId, [id]);
    return findReceipt(tx, tenantId, id);
  });
}

const receiptSql = `
INSERT INTO erasures (tenant_id, id, job_id, completed_at, jobs_erased, texts_erased)
VALUES ($1, $2, $3, now(), 1, (SELECT count(*) FROM items WHERE tenant_id = $1 AND job_id = $3))`;

const receiptRows = z.array(z.object({ id: z.string() }));

async function findReceipt(tx: Tx, tenantId: string, jobId: string): Promise<string | undefined> {
  const { rows } = await tx.query('SELECT id FROM erasures WHERE tenant_id = $1 AND job_id = $2', [
    tenantId,
    jobId,
  ]);
  return receiptRows.parse(rows)[0]?.id;
}

// Profiles that were made since the job ended hold what it stated; another profile job makes them anew.
const eraseProfilesSql = `
WITH job AS MATERIALIZED (
  SELECT tenant_id, id, user_id, ended_at FROM jobs WHERE tenant_id = $1 AND id = $2
), profiled AS (
  DELETE FROM profiles p USING job j WHERE p.tenant_id = j.tenant_id AND p.user_id = j.user_id
    AND (p.job_id = j.id OR p.created_at >= j.ended_at) RETURNING p.tenant_id, p.job_id
)
DELETE FROM analyses a USING profiled p WHERE a.tenant_id = p.tenant_id AND a.job_id = p.job_id`;

/**
 * Deletes jobs that the caller holds locked, with all that hangs on them but facts, and tells waiting clients and
 * workers. Their idempotency keys stay, so that a repeated submit does not bring a text back, but not the hashes of the
 * bodies.
 */
export async function eraseJobRows(tx: Tx, tenantId: string, ids: readonly string[]): Promise<void> {
  await tx.query(forgetBodiesSql, [tenantId, ids]);
  await tx.query(pruneJobsSql, [ids.map(() => tenantId), ids]);
  // In this order: a worker lets go of the jobs before it forgets what it knows from them.
  await tx.query('SELECT pg_notify($1, $4), pg_notify($2, $4), pg_notify($3, $5)', [
    jobsChannel,
    cancelsChannel,
    erasuresChannel,
    ids.map(packUuid).join(','),
    packUuid(tenantId),
  ]);
}

// A key is found by the time of its job, for which there is an index; ten minutes are more than clocks differ. Keys are
// kept for a day.
const forgetBodiesSql = `
WITH young AS MATERIALIZED (
  SELECT tenant_id, id, created_at FROM jobs
  WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND created_at > now() - interval '25 hours'
)
UPDATE idempotency_keys k SET fingerprint = '' FROM young j WHERE k.tenant_id = j.tenant_id AND k.job_id = j.id
  AND k.created_at BETWEEN j.created_at - interval '10 minutes' AND j.created_at + interval '10 minutes'`;
