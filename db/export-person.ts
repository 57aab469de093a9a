// Everything that is stored about a person, read piece by piece for their export: each piece is one short read that is
// bounded in rows, so a slow client holds neither a connection nor a snapshot.

import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Reader } from './client.ts';
import { edgeRow, type GraphEdge, type GraphNode } from './graph.ts';
import type { JobEventRow } from './job-events.ts';
import { type JobRow, listJobs, type ResultRow } from './jobs.ts';
import * as schema from './schema.ts';
import type { PersonName, ProfileRow } from './users.ts';

/** What one read takes at most. A job has up to 100 texts of 10,000 characters. */
const pieceMax = { jobs: 50, texts: 200, edges: 500, nodes: 500, profiles: 10 } as const;

type FactRow = typeof schema.facts.$inferSelect;

/** A job with all that hangs on it. */
export interface StoredJob {
  readonly job: JobRow;
  readonly texts: readonly (string | null)[];
  readonly results: readonly ResultRow[];
  readonly events: readonly JobEventRow[];
  readonly facts: readonly FactRow[];
  /** Of a job of a batch: the lines that its texts were. */
  readonly lines: readonly LineRow[];
}

const lineRow = z.object({
  jobId: z.string(),
  index: z.number(),
  itemIndex: z.number(),
  customId: z.string().nullable(),
  metadata: z.record(z.string(), z.string()).nullable(),
});
type LineRow = Readonly<z.output<typeof lineRow>>;

const lineRows = z.array(lineRow);

/** When the person was first seen; undefined if they never were. */
export async function getFirstSeen(
  reader: Reader,
  { tenantId, userId }: PersonName,
): Promise<Date | undefined> {
  const { people } = schema;
  const [found] = await reader
    .select({ createdAt: people.createdAt })
    .from(people)
    .where(and(eq(people.tenantId, tenantId), eq(people.userId, userId)));
  return found?.createdAt;
}

/** The person's next jobs behind `after`, oldest first; none at the end. */
export async function listStoredJobs(
  reader: Reader,
  { tenantId, userId }: PersonName,
  after: string | undefined,
): Promise<StoredJob[]> {
  const { jobs, items, jobEvents, facts } = schema;
  const found = await reader
    .select({ id: jobs.id, items: jobs.itemCount })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, tenantId),
        eq(jobs.userId, userId),
        after === undefined ? undefined : gt(jobs.id, after),
      ),
    )
    .orderBy(asc(jobs.id))
    .limit(pieceMax.jobs);
  const ids = takeTexts(found);
  if (ids.length === 0) return [];
  const known = await listJobs(reader, tenantId, ids);
  const texts = await reader
    .select()
    .from(items)
    .where(and(eq(items.tenantId, tenantId), inArray(items.jobId, ids)))
    .orderBy(asc(items.jobId), asc(items.index));
  const events = await reader
    .select()
    .from(jobEvents)
    .where(and(eq(jobEvents.tenantId, tenantId), inArray(jobEvents.jobId, ids)))
    .orderBy(asc(jobEvents.jobId), asc(jobEvents.sequence));
  const stated = await reader
    .select()
    .from(facts)
    .where(and(eq(facts.tenantId, tenantId), inArray(facts.jobId, ids)))
    .orderBy(asc(facts.jobId), asc(facts.itemIndex), asc(facts.ordinal));
  const lines = await listLines(reader, tenantId, ids);
  return ids.flatMap((id) => {
    const one = known.get(id);
    if (one === undefined) return [];
    const ofJob = <Row extends { readonly jobId: string }>(rows: readonly Row[]) =>
      rows.filter((row) => row.jobId === id);
    return [
      {
        ...one,
        texts: ofJob(texts).map(({ text }) => text),
        events: ofJob(events),
        facts: ofJob(stated),
        lines: ofJob(lines),
      },
    ];
  });
}

/** What a batch keeps of the lines of these jobs, in the order of their texts. */
async function listLines(reader: Reader, tenantId: string, jobIds: readonly string[]): Promise<LineRow[]> {
  const wanted = sql.join(
    jobIds.map((id) => sql`${id}::uuid`),
    sql`, `,
  );
  const { rows } = await reader.execute(sql`SELECT part_id AS "jobId", index, item_index AS "itemIndex",
      custom_id AS "customId", metadata FROM batch_lines
    WHERE tenant_id = ${tenantId}::uuid AND part_id IN (${wanted}) ORDER BY part_id, item_index`);
  return lineRows.parse(rows);
}

/** The first of these jobs with `pieceMax.texts` texts between them, one at least. */
function takeTexts(found: readonly { readonly id: string; readonly items: number }[]): string[] {
  let room: number = pieceMax.texts;
  return found
    .filter(({ items }, index) => {
      room -= items;
      return room >= 0 || index === 0;
    })
    .map(({ id }) => id);
}

/** The person's next profiles behind version `after`; none at the end. */
export function listProfiles(
  reader: Reader,
  { tenantId, userId }: PersonName,
  after: number | undefined,
): Promise<ProfileRow[]> {
  const { profiles } = schema;
  return reader
    .select()
    .from(profiles)
    .where(
      and(eq(profiles.tenantId, tenantId), eq(profiles.userId, userId), gt(profiles.version, after ?? 0)),
    )
    .orderBy(asc(profiles.version))
    .limit(pieceMax.profiles);
}

const nodeRows = z.array(z.object({ key: z.string(), type: z.string(), name: z.string() }));

/** The next nodes of the person's graph behind the key `after`; none at the end. */
export async function listNodes(
  reader: Reader,
  { tenantId, userId }: PersonName,
  after: string | undefined,
): Promise<GraphNode[]> {
  const { rows } = await reader.execute(sql`SELECT key, type, name FROM graph_nodes
    WHERE tenant_id = ${tenantId}::uuid AND user_id = ${userId} AND key > ${after ?? ''} ORDER BY key LIMIT ${pieceMax.nodes}`);
  return nodeRows.parse(rows);
}

const edgeRows = z.array(edgeRow);

/** The next edges of the person's graph behind `after`; none at the end. */
export async function listEdges(
  reader: Reader,
  { tenantId, userId }: PersonName,
  after: GraphEdge | undefined,
): Promise<GraphEdge[]> {
  const place = sql`(${after?.type ?? ''}, ${after?.source ?? ''}, ${after?.target ?? ''})`;
  const { rows } = await reader.execute(sql`SELECT source, target, type, relation, evidence_count,
      strength_ppm, analyses, floor(extract(epoch FROM first_at) * 1000)::float8 AS first_ms,
      floor(extract(epoch FROM last_at) * 1000)::float8 AS last_ms FROM graph_edges
    WHERE tenant_id = ${tenantId}::uuid AND user_id = ${userId} AND evidence_count > 0 AND (type, source, target) > ${place}
    ORDER BY type, source, target LIMIT ${pieceMax.edges}`);
  return edgeRows.parse(rows);
}
