// What happened to a job, as the ledger counted it: the source of every event stream.

import { and, asc, eq, gt } from 'drizzle-orm';
import type { Reader } from './client.ts';
import * as schema from './schema.ts';

export type JobEventRow = typeof schema.jobEvents.$inferSelect;

/** The events of a job behind `after`, in their order. */
export async function listJobEvents(
  reader: Reader,
  job: { readonly tenantId: string; readonly id: string },
  after: number,
  limit: number,
): Promise<JobEventRow[]> {
  const { jobEvents } = schema;
  return reader
    .select()
    .from(jobEvents)
    .where(
      and(eq(jobEvents.tenantId, job.tenantId), eq(jobEvents.jobId, job.id), gt(jobEvents.sequence, after)),
    )
    .orderBy(asc(jobEvents.sequence))
    .limit(limit);
}
