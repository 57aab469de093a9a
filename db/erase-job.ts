// Erases a job and everything that is known from it, and leaves a receipt. The row lock is held for all of it: a worker
// that has the job finds it gone and can store nothing.

import { v7 } from 'uuid';
import { z } from 'zod';
import { packUuid } from '../shared/job.ts';
import { inTransaction, type Pool, type Tx } from './client.ts';
import { pruneJobsSql } from './dispatch.ts';
import { eraseFacts } from './facts.ts';
import { cancelsChannel, jobsChannel } from './jobs.ts';

export interface Erasure {
  readonly id: string;
  readonly requestedAt: Date;
}

const erasureRow = z
  .object({ id: z.string(), requested_at: z.date() })
  .transform((row): Erasure => ({ id: row.id, requestedAt: row.requested_at }));

/**
 * Erases texts, results, events, facts, what the graph knows from them alone, and profiles that were made of them, in
 * one transaction. @returns the receipt, the same one again for a job that was erased before; undefined if the tenant
 * never had such a job
 */
export function eraseJob(pool: Pool, tenantId: string, id: string): Promise<Erasure | undefined> {
  return inTransaction(pool, async (tx) => {
    const values = [tenantId, id];
    const { rowCount } = await tx.query(
      'SELECT FROM jobs WHERE tenant_id = $1 AND id = $2 FOR UPDATE',
      values,
    );
    if (rowCount === 0) return findErasure(tx, tenantId, id);
    await tx.query('INSERT INTO erasures (tenant_id, id, job_id) VALUES ($1, $2, $3)', [tenantId, v7(), id]);
    await eraseFacts(tx, { tenantId, jobIds: [id] });
    await tx.query(eraseDerivedSql, values);
    await tx.query(pruneJobsSql, [[tenantId], [id]]);
    await tx.query('SELECT pg_notify($1, $3), pg_notify($2, $3)', [
      jobsChannel,
      cancelsChannel,
      packUuid(id),
    ]);
    return findErasure(tx, tenantId, id);
  });
}

async function findErasure(tx: Tx, tenantId: string, id: string): Promise<Erasure | undefined> {
  const { rows } = await tx.query(
    'SELECT id, requested_at FROM erasures WHERE tenant_id = $1 AND job_id = $2',
    [tenantId, id],
  );
  return z.array(erasureRow).parse(rows)[0];
}

// Profiles that were made since the job ended hold what it stated; another profile job makes them anew. The
// idempotency key stays, so that a repeated submit does not bring the text back, but not the hash of the body. It is
// found by the time of the job, for which there is an index; ten minutes are more than clocks differ.
const eraseDerivedSql = `
WITH job AS MATERIALIZED (
  SELECT tenant_id, id, user_id, created_at, ended_at FROM jobs WHERE tenant_id = $1 AND id = $2
), profiled AS (
  DELETE FROM profiles p USING job j WHERE p.tenant_id = j.tenant_id AND p.user_id = j.user_id
    AND (p.job_id = j.id OR p.created_at >= j.ended_at) RETURNING p.tenant_id, p.job_id
), shown AS (
  DELETE FROM analyses a USING profiled p WHERE a.tenant_id = p.tenant_id AND a.job_id = p.job_id
)
UPDATE idempotency_keys k SET fingerprint = '' FROM job j WHERE k.tenant_id = j.tenant_id AND k.job_id = j.id
  AND k.created_at BETWEEN j.created_at - interval '10 minutes' AND j.created_at + interval '10 minutes'`;
