// Jobs and their results, as the tenant that owns them reads them.

import { and, asc, eq, sql } from 'drizzle-orm';
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

/** What came of one text: an output, or an error; the other one is null. */
export interface ResultRow {
  readonly itemIndex: number;
  readonly output: unknown;
  readonly error: unknown;
}

/** A job with the results of its items, in input order; none while it is not terminal. */
export interface JobWithResults {
  readonly job: JobRow;
  readonly results: readonly ResultRow[];
}

/** Those of the jobs that the tenant has, by id, in one statement. */
export async function listJobs(
  reader: Reader,
  tenantId: string,
  ids: readonly string[],
): Promise<Map<string, JobWithResults>> {
  const found = await statementsOf(reader).jobs.execute({ tenantId, ids });
  return new Map(found.map(({ job, results }) => [job.id, { job, results: (results ?? []).map(toResult) }]));
}

type ResultColumns = readonly [itemIndex: number, output: unknown, error: unknown];
type ResultsColumn = readonly ResultColumns[] | null;

function toResult([itemIndex, output, error]: ResultColumns): ResultRow {
  return { itemIndex, output, error };
}

/** The statements that every look at a job runs: built once per connection here, and planned once there. */
function prepareStatements(reader: Reader) {
  const { jobs, analyses } = schema;
  const tenantId = sql.placeholder('tenantId');
  // Only of a job that can have results are any looked for.
  const results = sql<ResultsColumn>`CASE WHEN ${jobs.status} IN ('succeeded', 'failed') THEN (
    SELECT json_agg(json_build_array(a.item_index, a.output, a.error) ORDER BY a.item_index)
      FROM ${analyses} a WHERE a.tenant_id = ${jobs.tenantId} AND a.job_id = ${jobs.id}) END`;
  return {
    jobs: reader
      .select({ job: jobs, results })
      .from(jobs)
      // One parameter for all ids, so that Postgres plans it once too.
      .where(and(eq(jobs.tenantId, tenantId), sql`${jobs.id} = ANY(${sql.placeholder('ids')}::uuid[])`))
      .prepare('list_jobs'),
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
