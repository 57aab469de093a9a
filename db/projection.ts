// The copy of the graph in Neo4j: which edges it lacks, how they are written there, and that they are there. Values are
// absolute, so an edge may be written twice; an edge is marked with the version that was read, so one that changed
// meanwhile is copied again. At any time one process writes.

import { sql } from 'drizzle-orm';
import { z } from 'zod';
import type { Pool, Reader, Tx } from './client.ts';
import { copyColumns } from './facts.ts';
import { type CopiedEdge, copiedEdge, copiedNode, createChecksum, type GraphChecksum } from './graph-copy.ts';
import type { Neo4j, RunCypher } from './graph-neo4j.ts';

/** Any constant serves; all projectors of one database must agree on it. */
const projectorLock = 7_318_020_412;

/** Runs `work` as the one projector, which this is while the connection lives. @returns false if another is. */
export async function asProjector(pool: Pool, work: (client: Tx) => Promise<unknown>): Promise<boolean> {
  const client = await pool.connect();
  try {
    const held = await lockProjector(client);
    if (held) {
      await work(client);
      await client.query('SELECT pg_advisory_unlock($1)', [projectorLock]);
    }
    client.release();
    return held;
  } catch (error) {
    // The lock goes with the connection.
    client.release(true);
    throw error;
  }
}

const heldRows = z.array(z.object({ held: z.boolean() }));

async function lockProjector(tx: Tx): Promise<boolean> {
  const { rows } = await tx.query('SELECT pg_try_advisory_lock($1) AS held', [projectorLock]);
  return heldRows.parse(rows)[0]?.held ?? false;
}

const batchEdges = 500;

/**
 * Copies what waits, 500 edges at a time, oldest first. Call as the projector.
 * @returns how many edges were copied.
 */
export async function projectEdges(client: Tx, db: Neo4j, signal?: AbortSignal): Promise<number> {
  let copied = 0;
  while (signal?.aborted !== true) {
    const edges = await claimEdges(client, batchEdges);
    if (edges.length > 0) {
      // A connection that is lost has lost the lock as well; then nothing is committed.
      await copyEdges(db, edges, () => client.query('SELECT 1'));
      await markProjected(client, edges);
      copied += edges.length;
    }
    if (edges.length < batchEdges) break;
  }
  return copied;
}

const pendingEdge = copiedEdge.omit({ first_us: true, last_us: true }).extend({
  first_us: z.coerce.number().nullable(),
  last_us: z.coerce.number().nullable(),
  version: z.string(),
});

/** An edge as it is to be; gone if `evidence_count` is 0. */
type PendingEdge = Readonly<z.infer<typeof pendingEdge>>;

const pendingRows = z.array(pendingEdge);

// An edge is marked before it first leaves, so that erasing it leaves a row by which Neo4j loses it as well.
const claimSql = `
WITH pending AS MATERIALIZED (
  SELECT tenant_id, user_id, type, source, target FROM graph_edges
  WHERE version > projected_version ORDER BY changed_at LIMIT $1
), locked AS MATERIALIZED (
  SELECT g.* FROM pending p JOIN graph_edges g USING (tenant_id, user_id, type, source, target)
  ORDER BY g.tenant_id, g.user_id, g.type, g.source, g.target FOR UPDATE OF g
), claimed AS (
  UPDATE graph_edges g SET projected_version = -1 FROM locked l WHERE l.projected_version = 0
    AND g.tenant_id = l.tenant_id AND g.user_id = l.user_id AND g.type = l.type
    AND g.source = l.source AND g.target = l.target
)
SELECT ${copyColumns}, g.version FROM locked g`;

async function claimEdges(tx: Tx, limit: number): Promise<PendingEdge[]> {
  const { rows } = await tx.query({ name: 'claim_edges', text: claimSql, values: [limit] });
  return pendingRows.parse(rows);
}

const markSql = (action: string) => `
WITH copied AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1)
    AS x(tenant_id uuid, user_id text, type text, source text, target text, version bigint)
) ${action} g.tenant_id = c.tenant_id AND g.user_id = c.user_id AND g.type = c.type
  AND g.source = c.source AND g.target = c.target`;

/** Says that Neo4j has the edges as they were read. The rows of edges that are gone are deleted. */
async function markProjected(tx: Tx, edges: readonly PendingEdge[]): Promise<void> {
  const values = [
    JSON.stringify(
      edges.map(({ tenant_id, user_id, type, source, target, version }) => {
        return { tenant_id, user_id, type, source, target, version };
      }),
    ),
  ];
  await tx.query({
    name: 'mark_projected',
    text: markSql('UPDATE graph_edges g SET projected_version = c.version FROM copied c WHERE'),
    values,
  });
  if (edges.every((edge) => edge.evidence_count > 0)) return;
  await tx.query({
    name: 'delete_projected',
    text: `${markSql('DELETE FROM graph_edges g USING copied c WHERE')} AND g.evidence_count = 0 AND g.version = c.version`,
    values,
  });
}

const lagRows = z.array(z.object({ pending: z.number(), lagSeconds: z.number() }));

/** How far the copy is behind: edges that wait, and for how many seconds the first of them does. */
export async function measureProjection(tx: Tx): Promise<{ pending: number; lagSeconds: number }> {
  const { rows } = await tx.query({
    name: 'measure_projection',
    text: `SELECT count(*)::integer AS pending, coalesce(extract(epoch FROM now() - min(changed_at)), 0)::float8 AS "lagSeconds"
      FROM graph_edges WHERE version > projected_version`,
  });
  const row = lagRows.parse(rows)[0];
  return { pending: row?.pending ?? 0, lagSeconds: Math.max(0, row?.lagSeconds ?? 0) };
}

/** Lets every edge be copied again, e.g. because the Neo4j is new. @returns how many. */
export async function resetProjection(tx: Tx, tenantId?: string): Promise<number> {
  let total = 0;
  for (;;) {
    const { rowCount } = await tx.query({
      text: `UPDATE graph_edges SET projected_version = -1 WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM graph_edges WHERE projected_version > 0 AND ($1::uuid IS NULL OR tenant_id = $1) LIMIT 5000))`,
      values: [tenantId ?? null],
    });
    total += rowCount ?? 0;
    if ((rowCount ?? 0) === 0) return total;
  }
}

const behindRows = z.array(z.object({ behind: z.boolean() }));

/** True if some edge of the tenant has waited longer than `seconds` for its copy. `reader` sees the tenant alone. */
export async function isBehind(reader: Reader, tenantId: string, seconds: number): Promise<boolean> {
  const { rows } =
    await reader.execute(sql`SELECT EXISTS (SELECT FROM graph_edges WHERE version > projected_version
    AND tenant_id = ${tenantId}::uuid AND changed_at < now() - make_interval(secs => ${seconds})) AS behind`);
  return behindRows.parse(rows)[0]?.behind ?? false;
}

const writeTimeoutMs = 15_000;

const row = '{tenant: row.tenant_id, user: row.user_id';
const mergeEnd = (name: string, key: string) => `
MERGE (${name}:GraphNode ${row}, key: ${key}})
  ON CREATE SET ${name}.type = split(${key}, ':')[0], ${name}.name = substring(${key}, size(split(${key}, ':')[0]) + 1)`;
const moment = (microseconds: string) =>
  `datetime({epochSeconds: toInteger(${microseconds}) / 1000000, nanosecond: toInteger(${microseconds}) % 1000000 * 1000})`;

// The type of a relationship cannot be a parameter, so there is one statement for each.
const relationships = { causes: 'CAUSES', mentions: 'MENTIONS', feels: 'FEELS' } as const;

const mergeCypher = (relationship: string) => `
UNWIND $rows AS row ${mergeEnd('a', 'row.source')} ${mergeEnd('b', 'row.target')}
MERGE (a)-[r:${relationship}]->(b)
SET r = ${row}, relation: row.relation, strength: row.strength, analyses: row.analyses,
  evidence_count: toInteger(row.evidence_count), strength_ppm: toInteger(row.strength_ppm),
  first_at: ${moment('row.first_us')}, last_at: ${moment('row.last_us')}}`;

const removeCypher = (relationship: string) => `
UNWIND $rows AS row
MATCH (:GraphNode ${row}, key: row.source})-[r:${relationship}]->(:GraphNode ${row}, key: row.target}) DELETE r`;

const removeLooseCypher = `
UNWIND $rows AS row UNWIND [row.source, row.target] AS key
MATCH (n:GraphNode ${row}, key: key}) WHERE NOT (n)--() WITH DISTINCT n DELETE n`;

/**
 * Writes the edges to Neo4j in one transaction. @param confirm rejects if this process may no longer write; asked last.
 */
async function copyEdges(
  db: Neo4j,
  edges: readonly PendingEdge[],
  confirm: () => Promise<unknown>,
): Promise<void> {
  const rows = edges.map((edge) => ({
    ...edge,
    strength: edge.evidence_count > 0 ? edge.strength_ppm / edge.evidence_count / 1e6 : 0,
  }));
  const gone = rows.filter((edge) => edge.evidence_count === 0);
  await db.write(writeTimeoutMs, async (run) => {
    await runByType(
      run,
      mergeCypher,
      rows.filter((edge) => edge.evidence_count > 0),
    );
    await runByType(run, removeCypher, gone);
    if (gone.length > 0) await run(removeLooseCypher, { rows: gone });
    await confirm();
  });
}

async function runByType(
  run: RunCypher,
  statement: (relationship: string) => string,
  edges: readonly PendingEdge[],
): Promise<void> {
  for (const [type, relationship] of Object.entries(relationships)) {
    const rows = edges.filter((edge) => edge.type === type);
    if (rows.length > 0) await run(statement(relationship), { rows });
  }
}

const longMs = 600_000;

/** Deletes what Neo4j has of one tenant, or all of it, in transactions of 1,000 nodes. */
export async function clearCopy(db: Neo4j, tenantId?: string): Promise<void> {
  const statement = `MATCH (n:GraphNode) WHERE $tenant IS NULL OR n.tenant = $tenant
    CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 1000 ROWS`;
  await db.command(longMs, statement, { tenant: tenantId ?? null });
}

const edgeCypher = `
MATCH (a:GraphNode)-[r]->(b:GraphNode) WHERE $tenant IS NULL OR a.tenant = $tenant
RETURN r.tenant AS tenant_id, r.user AS user_id, toLower(type(r)) AS type, a.key AS source, b.key AS target,
  r.relation AS relation, r.evidence_count AS evidence_count, r.strength_ppm AS strength_ppm, r.analyses AS analyses,
  r.first_at.epochSeconds * 1000000 + r.first_at.microsecond AS first_us,
  r.last_at.epochSeconds * 1000000 + r.last_at.microsecond AS last_us`;

const nodeCypher = `
MATCH (n:GraphNode) WHERE $tenant IS NULL OR n.tenant = $tenant
RETURN n.tenant AS tenant_id, n.user AS user_id, n.key AS key`;

/** The checksum of what Neo4j holds, to be compared with that of `checksumGraph`. */
export async function checksumCopy(db: Neo4j, tenantId?: string): Promise<GraphChecksum> {
  const checksum = createChecksum();
  const tenant = tenantId ?? null;
  const addEdge = (edge: unknown): CopiedEdge => {
    const read = copiedEdge.parse(edge);
    checksum.addEdge(read);
    return read;
  };
  await db.stream(longMs, edgeCypher, { tenant }, addEdge);
  await db.stream(longMs, nodeCypher, { tenant }, (found) => checksum.addNode(copiedNode.parse(found)));
  return checksum.result();
}
