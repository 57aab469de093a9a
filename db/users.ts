// What is stored about a person: their analyses, newest first, and the versions of their profile.

import { and, desc, eq, gte, lte, type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Reader, Tx } from './client.ts';
import * as schema from './schema.ts';

export type AnalysisRow = typeof schema.analyses.$inferSelect;

/** A person of a tenant. */
export interface PersonName {
  readonly tenantId: string;
  readonly userId: string;
}

export interface EmotionRow extends Record<string, unknown> {
  readonly jobId: string;
  readonly modelVersion: string;
  readonly valence: number;
  readonly arousal: number;
  readonly intensity: number;
  readonly primary_emotion: string;
}

/** Where a page of history begins: after this analysis. */
export interface HistoryPlace {
  readonly jobId: string;
  readonly itemIndex: number;
}

/** Which analyses of a person are meant; those that failed are none of them. */
export interface HistoryRange {
  /** Bounds of the time at which the text was submitted, inclusive. */
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  readonly after?: HistoryPlace | undefined;
  readonly limit: number;
}

/** A person's analyses of a kind, newest first. */
export async function listHistory(
  reader: Reader,
  person: PersonName,
  range: HistoryRange & { readonly kind: string },
): Promise<AnalysisRow[]> {
  const { analyses } = schema;
  return reader
    .select()
    .from(analyses)
    .where(isWithin(person, range))
    .orderBy(...newestFirst)
    .limit(range.limit);
}

/**
 * What of a person's emotion analyses is counted over time, newest first. Analyses of before migration 0010 have it in
 * their output only.
 */
export async function listEmotions(
  reader: Reader,
  person: PersonName,
  range: HistoryRange,
): Promise<EmotionRow[]> {
  // Not by the builder: mapping a thousand rows took it longer than Postgres needed to find them.
  const { rows } = await reader.execute<EmotionRow>(sql`
    SELECT job_id AS "jobId", model_version AS "modelVersion", emotion.*
    FROM analyses, json_to_record(CASE WHEN analyses.valence IS NULL THEN output END)
        AS stored(valence float8, arousal float8, intensity float8, primary_emotion text),
      LATERAL (SELECT coalesce(analyses.valence, stored.valence) AS valence,
        coalesce(analyses.arousal, stored.arousal) AS arousal,
        coalesce(analyses.intensity, stored.intensity) AS intensity,
        coalesce(analyses.primary_emotion, stored.primary_emotion) AS primary_emotion) AS emotion
    WHERE ${isWithin(person, { ...range, kind: 'emotion' })}
      AND num_nulls(emotion.valence, emotion.arousal, emotion.intensity, emotion.primary_emotion) = 0
    ORDER BY job_id DESC, item_index DESC LIMIT ${range.limit}`);
  return rows;
}

const newestFirst = [desc(schema.analyses.jobId), desc(schema.analyses.itemIndex)];

function isWithin(
  { tenantId, userId }: PersonName,
  range: HistoryRange & { readonly kind: string },
): SQL | undefined {
  const { analyses } = schema;
  const { from, to, after } = range;
  return and(
    eq(analyses.tenantId, tenantId),
    eq(analyses.userId, userId),
    eq(analyses.kind, range.kind),
    sql`${analyses.output} IS NOT NULL`,
    from && gte(analyses.jobId, uuidFloor(from)),
    to && lte(analyses.jobId, uuidFloor(new Date(to.getTime() + 1))),
    after &&
      sql`(${analyses.jobId}, ${analyses.itemIndex}) < (${after.jobId}::uuid, ${after.itemIndex}::integer)`,
  );
}

/** The smallest UUIDv7 of a millisecond: a job's id is ordered by its time, so a time is a place among ids. */
export function uuidFloor(moment: Date): string {
  const hex = Math.max(0, moment.getTime()).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-0000-0000-000000000000`;
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
