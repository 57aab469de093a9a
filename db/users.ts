// What is stored about a person: their analyses, newest first, and the versions of their profile.

import { and, desc, eq, gte, lte, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Reader, Tx } from './client.ts';
import * as schema from './schema.ts';

export type AnalysisRow = typeof schema.analyses.$inferSelect;

/** Where a page of history begins: after this analysis. */
export interface HistoryPlace {
  readonly jobId: string;
  readonly itemIndex: number;
}

/**
 * A person's analyses of a kind, newest first; those that failed are left out.
 * @param range.from,range.to bounds of the time at which the text was submitted, inclusive
 */
export async function listHistory(
  reader: Reader,
  person: { readonly tenantId: string; readonly userId: string },
  range: {
    readonly kind: string;
    readonly from?: Date | undefined;
    readonly to?: Date | undefined;
    readonly after?: HistoryPlace | undefined;
    readonly limit: number;
  },
): Promise<AnalysisRow[]> {
  const { analyses } = schema;
  const { from, to, after } = range;
  return reader
    .select()
    .from(analyses)
    .where(
      and(
        eq(analyses.tenantId, person.tenantId),
        eq(analyses.userId, person.userId),
        eq(analyses.kind, range.kind),
        sql`${analyses.output} IS NOT NULL`,
        from && gte(analyses.jobId, uuidFloor(from)),
        to && lte(analyses.jobId, uuidFloor(new Date(to.getTime() + 1))),
        after &&
          sql`(${analyses.jobId}, ${analyses.itemIndex}) < (${after.jobId}::uuid, ${after.itemIndex}::integer)`,
      ),
    )
    .orderBy(desc(analyses.jobId), desc(analyses.itemIndex))
    .limit(range.limit);
}

/** The smallest UUIDv7 of a millisecond: a job's id is ordered by its time, so a time is a place among ids. */
export function uuidFloor(moment: Date): string {
  const hex = Math.max(0, moment.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-0000-0000-000000000000`;
}

/** A person of a tenant. */
export interface PersonName {
  readonly tenantId: string;
  readonly userId: string;
}

export type ProfileRow = typeof schema.profiles.$inferSelect;

/** The newest profile, or the one of `version`; undefined if there is none. */
export async function getProfile(
  reader: Reader,
  person: { readonly tenantId: string; readonly userId: string },
  version?: number,
): Promise<ProfileRow | undefined> {
  const { profiles } = schema;
  const rows = await reader
    .select()
    .from(profiles)
    .where(
      and(
        eq(profiles.tenantId, person.tenantId),
        eq(profiles.userId, person.userId),
        version === undefined ? undefined : eq(profiles.version, version),
      ),
    )
    .orderBy(desc(profiles.version))
    .limit(1);
  return rows[0];
}

/**
 * Keeps others from storing or erasing profiles of the person until the transaction ends. There need be no row of the
 * person to lock.
 */
export async function lockProfiles(tx: Tx, { tenantId, userId }: PersonName): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 20261125))`, [
    tenantId,
    userId,
  ]);
}

const versionRows = z.array(z.object({ version: z.number() }));

/**
 * Stores a profile as the person's next version. Call in the transaction that completes its job: the person's profiles
 * are locked until its end, so that two made at once do not take the same number.
 */
export async function insertProfile(
  tx: Tx,
  profile: {
    readonly tenantId: string;
    readonly userId: string;
    readonly jobId: string;
    readonly profile: unknown;
  },
): Promise<number> {
  await lockProfiles(tx, profile);
  const { rows } = await tx.query(
    `INSERT INTO profiles (tenant_id, user_id, version, job_id, profile, created_at)
     SELECT $1::uuid, $2, coalesce(max(version), 0) + 1, $3::uuid, $4::jsonb || jsonb_build_object('version', coalesce(max(version), 0) + 1), now()
     FROM profiles WHERE tenant_id = $1::uuid AND user_id = $2 RETURNING version`,
    [profile.tenantId, profile.userId, profile.jobId, JSON.stringify(profile.profile)],
  );
  return versionRows.parse(rows)[0]?.version ?? 1;
}
