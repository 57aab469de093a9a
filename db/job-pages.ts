// Jobs page by page, newest first, by what clients filter for. A page begins behind an id, which is a place in time,
// so a page far back costs what the first one costs, and what is submitted meanwhile moves none.

import { and, asc, desc, eq, gt, gte, lt, sql } from 'drizzle-orm';
import type { Reader } from './client.ts';
import type { JobRow } from './jobs.ts';
import * as schema from './schema.ts';
import { uuidFloor } from './users.ts';

export interface JobFilter {
  readonly status?: string | undefined;
  readonly kind?: string | undefined;
  readonly userId?: string | undefined;
  readonly customId?: string | undefined;
  readonly tag?: string | undefined;
  /** Inclusive, as the ids' milliseconds say. */
  readonly createdAfter?: Date | undefined;
  /** Exclusive. */
  readonly createdBefore?: Date | undefined;
}

export interface JobPlace {
  /** Older than this job. */
  readonly after?: string | undefined;
  /** Newer than this job; of those, the ones next to it. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** A page of the tenant's jobs, newest first, without results; `hasMore` in the direction that was asked for. */
export async function listJobPage(
  reader: Reader,
  tenantId: string,
  filter: JobFilter,
  place: JobPlace,
): Promise<{ jobs: JobRow[]; hasMore: boolean }> {
  const backwards = place.before !== undefined;
  const rows = await pageQuery(reader, tenantId, filter, place);
  const jobs = rows.slice(0, place.limit);
  return { jobs: backwards ? jobs.toReversed() : jobs, hasMore: rows.length > place.limit };
}

/** The statement of a page, which asks for one job more than the page has. */
export function pageQuery(reader: Reader, tenantId: string, filter: JobFilter, place: JobPlace) {
  const { jobs } = schema;
  const { status, kind, userId, customId, tag, createdAfter, createdBefore } = filter;
  return reader
    .select()
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        status === undefined ? undefined : eq(jobs.status, status),
        kind === undefined ? undefined : eq(jobs.kind, kind),
        userId === undefined ? undefined : eq(jobs.userId, userId),
        customId === undefined ? undefined : eq(jobs.customId, customId),
        tag === undefined ? undefined : sql`${jobs.tags} @> ARRAY[${tag}]::text[] AND ${jobs.tags} <> '{}'`,
        createdAfter && gte(jobs.id, uuidFloor(createdAfter)),
        createdBefore && lt(jobs.id, uuidFloor(createdBefore)),
        place.after === undefined ? undefined : lt(jobs.id, place.after),
        place.before === undefined ? undefined : gt(jobs.id, place.before),
      ),
    )
    .orderBy(place.before === undefined ? desc(jobs.id) : asc(jobs.id))
    .limit(place.limit + 1);
}
