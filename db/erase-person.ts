// Erases everything that is stored about a person. The request is a row; from then on each step is one transaction of
// bounded size, taken by the API process that was asked and by any dispatcher after it, until nothing is left. A crash
// between two steps loses nothing: the row is still open.

import { v7 } from 'uuid';
import { z } from 'zod';
import { retryJobs } from './attempts.ts';
import { eraseUserFromBatches } from './batch-control.ts';
import { packUuid } from '../shared/job.ts';
import { inTransaction, type Pool, type Tx } from './client.ts';
import { eraseJobRows } from './erase-job.ts';
import type { ErasureName } from './erasures.ts';
import { eraseUnfounded, rebuildUsers } from './facts.ts';
import { eraseUserFromNextFile } from './files.ts';
import { erasuresChannel } from './jobs.ts';
import { lockProfiles, type PersonName } from './users.ts';

/** What one step takes at most: jobs, edges of the graph, versions of the profile. */
const stepMax = { jobs: 50, edges: 1000, profiles: 100 } as const;

// Workers may still know results of jobs whose rows are long gone, so they hear of it at once, and of each job later.
// The newest job that is there is told by the ids, not by a clock: those of the API's processes differ a little.
const requestSql = `
INSERT INTO erasures AS e (tenant_id, id, user_id, last_job_id)
SELECT $1::uuid, $2, $3::text, greatest(uuid_floor(now()),
  (SELECT id FROM jobs WHERE tenant_id = $1::uuid AND user_id = $3 ORDER BY id DESC LIMIT 1))
ON CONFLICT (tenant_id, user_id) WHERE user_id IS NOT NULL DO UPDATE
  SET requested_at = now(), last_job_id = greatest(e.last_job_id, excluded.last_job_id), last_file_id = NULL,
    files_done = false
RETURNING id, pg_notify('${erasuresChannel}', $4)`;

const receiptRow = z.object({ id: z.string() });

/**
 * Records that everything about the person that is there now is to be erased; what is submitted later stays. While a
 * request is open another one is the same, and reaches further.
 * @returns the id of the receipt
 */
export async function requestErasure(tx: Tx, { tenantId, userId }: PersonName): Promise<string> {
  const { rows } = await tx.query(requestSql, [tenantId, v7(), userId, packUuid(tenantId)]);
  return receiptRow.parse(rows[0]).id;
}

/** `more`: there is a next step; `waiting`: Neo4j has yet to lose its copy; `taken`: another process is at it. */
export type ErasureStep = 'more' | 'waiting' | 'completed' | 'taken';

const openRows = z.array(
  z.object({
    user_id: z.string(),
    last_job_id: z.string(),
    last_file_id: z.string().nullable(),
    files_done: z.boolean(),
  }),
);

/**
 * Does the next step of an open erasure.
 * @param attemptsMax tries of a profile job: one that runs meanwhile is put back, since it may have read what is gone
 */
export function eraseSome(
  pool: Pool,
  { tenantId, id }: ErasureName,
  attemptsMax: number,
): Promise<ErasureStep> {
  return inTransaction(pool, async (tx) => {
    const { rows } = await tx.query(
      `SELECT user_id, last_job_id, last_file_id, files_done FROM erasures WHERE tenant_id = $1 AND id = $2 AND completed_at IS NULL
        FOR UPDATE SKIP LOCKED`,
      [tenantId, id],
    );
    const open = openRows.parse(rows)[0];
    if (open === undefined) return (await isCompleted(tx, tenantId, id)) ? 'completed' : 'taken';
    const person = { tenantId, userId: open.user_id };
    if (!open.files_done) {
      await eraseFromFile(tx, person, id, open.last_file_id);
      return 'more';
    }
    await eraseUserFromBatches(tx, tenantId, open.user_id);
    if (await eraseJobs(tx, person, id, open.last_job_id)) return 'more';
    if ((await eraseUnfounded(tx, person, stepMax.edges)) > 0) return 'more';
    await lockProfiles(tx, person);
    await rebuildUsers(tx, [{ tenant_id: tenantId, user_id: open.user_id }]);
    if (await isInCopy(tx, person)) return 'waiting';
    if (await eraseProfiles(tx, person)) return 'more';
    await restartProfileJobs(tx, person, attemptsMax);
    await tx.query(forgetPersonSql, [tenantId, open.user_id]);
    await tx.query(
      'UPDATE erasures SET completed_at = now(), user_id = NULL, last_job_id = NULL WHERE tenant_id = $1 AND id = $2',
      [tenantId, id],
    );
    return 'completed';
  });
}

async function isCompleted(tx: Tx, tenantId: string, id: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    'SELECT FROM erasures WHERE tenant_id = $1 AND id = $2 AND completed_at IS NULL',
    [tenantId, id],
  );
  return rowCount === 0;
}

// Jobs that a batch made of the lines meanwhile are reached as well.
const filesDoneSql = `
UPDATE erasures e SET files_done = true, last_job_id = greatest(e.last_job_id,
  (SELECT id FROM jobs WHERE tenant_id = $1 AND user_id = $3 AND batch_id IS NOT NULL ORDER BY id DESC LIMIT 1))
WHERE tenant_id = $1 AND id = $2`;

/** Takes the person's lines out of the next file, or says that there is none left. */
async function eraseFromFile(
  tx: Tx,
  { tenantId, userId }: PersonName,
  erasureId: string,
  after: string | null,
): Promise<void> {
  const fileId = await eraseUserFromNextFile(tx, { tenantId, userId, after });
  if (fileId === undefined) await tx.query(filesDoneSql, [tenantId, erasureId, userId]);
  else
    await tx.query('UPDATE erasures SET last_file_id = $3 WHERE tenant_id = $1 AND id = $2', [
      tenantId,
      erasureId,
      fileId,
    ]);
}

const jobRows = z.array(z.object({ id: z.string(), texts: z.number() }));

/** Erases the oldest of the person's jobs with what hangs on them. @returns false if there was none. */
async function eraseJobs(
  tx: Tx,
  { tenantId, userId }: PersonName,
  erasureId: string,
  lastJobId: string,
): Promise<boolean> {
  const { rows } = await tx.query(
    `SELECT id, CASE WHEN character_count > 0 THEN item_count ELSE 0 END AS texts FROM jobs
      WHERE tenant_id = $1 AND user_id = $2 AND id <= $3 ORDER BY id LIMIT $4 FOR UPDATE`,
    [tenantId, userId, lastJobId, stepMax.jobs],
  );
  const jobs = jobRows.parse(rows);
  if (jobs.length === 0) return false;
  const ids = jobs.map(({ id }) => id);
  // The graph is put right when all of them are gone: edge by edge and step by step it would be counted too often.
  await tx.query('DELETE FROM facts WHERE tenant_id = $1 AND job_id = ANY($2::uuid[])', [tenantId, ids]);
  await tx.query('DELETE FROM profiles WHERE tenant_id = $1 AND user_id = $2 AND job_id = ANY($3::uuid[])', [
    tenantId,
    userId,
    ids,
  ]);
  await eraseJobRows(tx, tenantId, ids);
  await tx.query(
    `UPDATE erasures SET jobs_erased = jobs_erased + $3, texts_erased = texts_erased + $4
      WHERE tenant_id = $1 AND id = $2`,
    [tenantId, erasureId, jobs.length, jobs.reduce((sum, { texts }) => sum + texts, 0)],
  );
  return true;
}

/** Whether edges wait for Neo4j to lose them. */
async function isInCopy(tx: Tx, { tenantId, userId }: PersonName): Promise<boolean> {
  const { rowCount } = await tx.query(
    'SELECT FROM graph_edges WHERE tenant_id = $1 AND user_id = $2 AND evidence_count = 0 LIMIT 1',
    [tenantId, userId],
  );
  return rowCount !== 0;
}

// Those that are left were made by jobs that stay, or by jobs that are long gone; either way of what is erased.
const eraseProfilesSql = `
WITH oldest AS (
  SELECT version FROM profiles WHERE tenant_id = $1 AND user_id = $2 ORDER BY version LIMIT $3
), gone AS (
  DELETE FROM profiles p USING oldest s WHERE p.tenant_id = $1 AND p.user_id = $2 AND p.version = s.version
  RETURNING p.job_id
), shown AS (
  DELETE FROM analyses a USING gone g WHERE a.tenant_id = $1 AND a.job_id = g.job_id
)
SELECT FROM gone`;

/** @returns whether there may be more. */
async function eraseProfiles(tx: Tx, { tenantId, userId }: PersonName): Promise<boolean> {
  const { rowCount } = await tx.query(eraseProfilesSql, [tenantId, userId, stepMax.profiles]);
  return rowCount === stepMax.profiles;
}

const heldRows = z.array(z.object({ tenantId: z.string(), id: z.string(), attempt: z.number() }));

async function restartProfileJobs(
  tx: Tx,
  { tenantId, userId }: PersonName,
  attemptsMax: number,
): Promise<void> {
  const { rows } = await tx.query(
    `SELECT tenant_id AS "tenantId", id, attempt FROM jobs WHERE tenant_id = $1 AND user_id = $2
      AND kind = 'profile' AND status IN ('processing', 'canceling')`,
    [tenantId, userId],
  );
  const error = { code: 'person_erased', detail: 'What the profile was being made of was erased' };
  const held = heldRows.parse(rows);
  if (held.length > 0) await retryJobs(tx, held, { delayMs: 0, attemptsMax, error });
}

// A submit that is being recorded in this moment may find the person still there; its next one brings the row back.
const forgetPersonSql = `
DELETE FROM people p WHERE p.tenant_id = $1 AND p.user_id = $2
  AND NOT EXISTS (SELECT FROM jobs j WHERE j.tenant_id = p.tenant_id AND j.user_id = p.user_id)`;
