// Jobs and their results, as the tenant that owns them reads them.

import { and, asc, eq, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Reader } from './client.ts';
import * as schema from './schema.ts';

/** The NOTIFY channel on which the ids of jobs that changed are told, packed and comma-separated. */
export const jobsChannel = 'soma_jobs';

/** The NOTIFY channel for moves that are no end, told in the same way: event streams hear it, waiting clients sleep on. */
export const progressChannel = 'soma_progress';

/** The NOTIFY channel on which workers hear of jobs that were canceled or erased in their hands, told in the same way. */
export const cancelsChannel = 'soma_cancels';

/** The NOTIFY channel on which workers hear of tenants of whom something was erased, packed like ids of jobs. */
export const erasuresChannel = 'soma_erasures';

export type JobRow = typeof schema.jobs.$inferSelect;
export type AnalysisRow = typeof schema.analyses.$inferSelect;

/** A job with the analyses of its items, in input order; none while it is not terminal. */
export interface JobWithAnalyses {
  readonly job: JobRow;
  readonly analyses: readonly AnalysisRow[];
}

/** Those of the jobs that the tenant has, by id. One statement, or two if any of them can have results. */
export async function listJobs(
  reader: Reader,
  tenantId: string,
  ids: readonly string[],
): Promise<Map<string, JobWithAnalyses>> {
  const { jobs, analyses } = statementsOf(reader);
  const found = await jobs.execute({ tenantId, ids });
  const analysed = found.filter(({ status }) => ['succeeded', 'failed'].includes(status)).map(({ id }) => id);
  const results = analysed.length === 0 ? [] : await analyses.execute({ tenantId, ids: analysed });
  const byJob = new Map<string, AnalysisRow[]>(found.map((job) => [job.id, []]));
  for (const row of results) byJob.get(row.jobId)?.push(row);
  return new Map(found.map((job) => [job.id, { job, analyses: byJob.get(job.id) ?? [] }]));
}

/** The statements that every look at a job runs: built once per connection here, and planned once there. */
function prepareStatements(reader: Reader) {
  const { jobs, analyses } = schema;
  const tenantId = sql.placeholder('tenantId');
  // One parameter for all ids, so that Postgres plans it once too.
  const isOneOf = (id: PgColumn) => sql`${id} = ANY(${sql.placeholder('ids')}::uuid[])`;
  return {
    jobs: reader
      .select()
      .from(jobs)
      .where(and(eq(jobs.tenantId, tenantId), isOneOf(jobs.id)))
      .prepare('list_jobs'),
    analyses: reader
      .select()
      .from(analyses)
      .where(and(eq(analyses.tenantId, tenantId), isOneOf(analyses.jobId)))
      .orderBy(asc(analyses.jobId), asc(analyses.itemIndex))
      .prepare('list_analyses'),
    version: reader
      .select({ status: jobs.status, eventSequence: jobs.eventSequence })
      .from(jobs)
      .where(and(eq(jobs.tenantId, tenantId), eq(jobs.id, sql.placeholder('id'))))
      .prepare('get_job_version'),
  };
}

const prepared = new WeakMap<Reader, ReturnType<typeof prepareStatements>>();

function statementsOf(reader: Reader): ReturnType<typeof prepareStatements> {
  const known = prepared.get(reader) ?? prepareStatements(reader);
  prepared.set(reader, known);
  return known;
}

/** What tells two versions of a job apart: every change of it advances the event sequence. */
export type JobVersion = Pick<JobRow, 'status' | 'eventSequence'>;

/** The version of a job, without its results; undefined if the tenant has none of that id. */
export async function getJobVersion(
  reader: Reader,
  tenantId: string,
  id: string,
): Promise<JobVersion | undefined> {
  const [found] = await statementsOf(reader).version.execute({ tenantId, id });
  return found;
}

/** A job with its texts as it was submitted; a text is null once it was erased. Undefined if the tenant has no such job. */
export async function getSubmission(
  reader: Reader,
  tenantId: string,
  id: string,
): Promise<{ job: JobRow; texts: (string | null)[] } | undefined> {
  const { jobs, items } = schema;
  const [job] = await reader
    .select()
    .from(jobs)
    .where(and(eq(jobs.tenantId, tenantId), eq(jobs.id, id)));
  if (job === undefined) return undefined;
  const rows = await reader
    .select({ text: items.text })
    .from(items)
    .where(and(eq(items.tenantId, tenantId), eq(items.jobId, id)))
    .orderBy(asc(items.index));
  return { job, texts: rows.map(({ text }) => text) };
}
