// What a client may do to a job that is there already. Each takes the job's row lock first, so that it and a worker's
// statements about the same job happen one after the other.

import { z } from 'zod';
import { type JobStatus, jobStatuses } from '../shared/job.ts';
import type { Tx } from './client.ts';
import { cancelsChannel, jobsChannel } from './jobs.ts';
import { run } from './run.ts';

/** The job's id as notifications carry it (`packUuid`). */
const packed = `translate(rtrim(encode(uuid_send(id), 'base64'), '='), '+/', '-_')`;

/**
 * The common tables that cancel the jobs of the locked table `from`, forget texts, write events and wake who waits. A job
 * that no worker holds ends here. One in a worker's hands is marked, and ends with the worker's next statement about it,
 * which keeps no result of it.
 * @param from name of a common table (tenant_id, id, status)
 * @param reason the jobs' `status_reason`
 */
export function cancelSteps(from: string, reason: string): string {
  return `moved AS (
  UPDATE jobs j SET
    status = CASE WHEN f.status = 'processing' THEN 'canceling' ELSE 'canceled' END,
    status_reason = '${reason}', cancel_requested_at = now(), event_sequence = j.event_sequence + 1,
    ended_at = CASE WHEN f.status <> 'processing' THEN clock_timestamp() END,
    dispatch_id = CASE WHEN f.status = 'processing' THEN j.dispatch_id END,
    options = CASE WHEN f.status = 'processing' OR j.store_input THEN j.options ELSE j.options - 'context_messages' END
  FROM ${from} f WHERE f.status IN ('scheduled', 'queued', 'processing') AND j.tenant_id = f.tenant_id AND j.id = f.id
  RETURNING j.tenant_id, j.id, j.status, j.event_sequence, j.store_input
), forgotten AS (
  UPDATE items i SET text = NULL FROM moved m
  WHERE m.status = 'canceled' AND NOT m.store_input AND i.tenant_id = m.tenant_id AND i.job_id = m.id
), told AS (
  INSERT INTO job_events (tenant_id, job_id, sequence, type, at)
  SELECT tenant_id, id, event_sequence, 'job.' || status, clock_timestamp() FROM moved
), woken AS (
  SELECT count(pg_notify('${jobsChannel}', ${packed})) AS jobs,
    count(CASE WHEN status = 'canceling' THEN pg_notify('${cancelsChannel}', ${packed}) END) AS workers FROM moved
)`;
}

const cancelJobSql = `
WITH found AS MATERIALIZED (
  SELECT tenant_id, id, status FROM jobs WHERE tenant_id = $1 AND id = $2 FOR UPDATE
), ${cancelSteps('found', 'canceled_by_client')}
SELECT f.status AS before, coalesce(m.status, f.status) AS after, woken.jobs, woken.workers
FROM found f LEFT JOIN moved m ON true CROSS JOIN woken`;

const canceledRows = z.array(z.object({ before: z.enum(jobStatuses), after: z.enum(jobStatuses) }));

/**
 * Cancels a job: at once if no worker has it, else as soon as its worker is done with it or lets go of it.
 * @returns its state before and after; undefined if the tenant has no such job
 */
export async function cancelJob(
  tx: Tx,
  tenantId: string,
  id: string,
): Promise<{ before: JobStatus; after: JobStatus } | undefined> {
  const rows = await run(tx, 'cancel_job', cancelJobSql, [tenantId, id]);
  return canceledRows.parse(rows)[0];
}
