// The graph as it follows from the facts: taking facts out of it again, making it anew, and its checksum. Stored
// results add to it (db/jobs.ts). All three lock an edge's nodes, in the order of the key, before they read what the
// edge stands on; so each sees the other's work whole or not at all.

import { z } from 'zod';
import { inTransaction, type Pool, type Tx } from './client.ts';
import { copiedEdge, copiedNode, createChecksum, type GraphChecksum } from './graph-copy.ts';

/**
 * Deletes what the jobs' analyses stated, and takes it out of the graph: edges are counted anew from the facts that
 * remain, edges and nodes without evidence go. What Neo4j may hold stays as a row without evidence until it is gone
 * there too. Call inside a transaction, on jobs that are terminal.
 * @returns how many facts are gone.
 */
export async function eraseFacts(
  tx: Tx,
  args: { readonly tenantId: string; readonly jobIds: readonly string[] },
): Promise<number> {
  const values = [args.tenantId, args.jobIds];
  const locked = await tx.query({ name: 'erase_lock', text: eraseLockSql, values });
  if (countRows.parse(locked.rows)[0]?.count === 0) return 0;
  await tx.query({ name: 'erase_edges', text: eraseEdgesSql, values });
  await tx.query({ name: 'erase_nodes', text: eraseNodesSql, values });
  const { rowCount } = await tx.query({
    name: 'erase_facts',
    text: 'DELETE FROM facts WHERE tenant_id = $1 AND job_id = ANY($2::uuid[])',
    values,
  });
  return rowCount ?? 0;
}

const countRows = z.array(z.object({ count: z.number() }));

const eraseLockSql = `
WITH ends AS MATERIALIZED (
  SELECT DISTINCT f.user_id, e.key FROM facts f, LATERAL (VALUES (f.source), (f.target)) AS e(key)
  WHERE f.tenant_id = $1 AND f.job_id = ANY($2::uuid[])
), locked AS MATERIALIZED (
  SELECT n.key FROM ends e JOIN graph_nodes n ON n.tenant_id = $1 AND n.user_id = e.user_id AND n.key = e.key
  ORDER BY n.user_id, n.key FOR UPDATE OF n
)
SELECT (SELECT count(*) FROM ends)::integer AS count, (SELECT count(*) FROM locked) AS nodes`;

/** What the facts `f` in hand say of an edge; grouped by it. */
const evidence = `min(f.relation) AS relation, count(f.job_id)::integer AS evidence_count,
  coalesce(sum(f.strength_ppm), 0) AS strength_ppm, min(f.at) AS first_at, max(f.at) AS last_at,
  (array_agg(DISTINCT (f.job_id || ':' || f.item_index) COLLATE "C" ORDER BY (f.job_id || ':' || f.item_index) COLLATE "C" DESC)
    FILTER (WHERE f.job_id IS NOT NULL))[1:20] AS analyses`;

/** What is left of an edge that is gone: a mark for Neo4j. The moments are those to which any evidence adds. */
const emptied = `evidence_count = 0, strength_ppm = 0, relation = NULL, analyses = '{}', first_at = 'infinity',
  last_at = '-infinity', version = g.version + 1, changed_at = now()`;

const eraseEdgesSql = `
WITH touched AS MATERIALIZED (
  SELECT DISTINCT user_id, type, source, target FROM facts WHERE tenant_id = $1 AND job_id = ANY($2::uuid[])
), remaining AS MATERIALIZED (
  SELECT t.user_id, t.type, t.source, t.target, ${evidence}
  FROM touched t LEFT JOIN facts f ON f.tenant_id = $1 AND f.user_id = t.user_id AND f.type = t.type
    AND f.source = t.source AND f.target = t.target AND f.job_id <> ALL ($2::uuid[])
  GROUP BY t.user_id, t.type, t.source, t.target ORDER BY 1, 2, 3, 4
), lessened AS (
  UPDATE graph_edges g SET evidence_count = r.evidence_count, strength_ppm = r.strength_ppm, relation = r.relation,
    analyses = r.analyses, first_at = r.first_at, last_at = r.last_at, version = g.version + 1, changed_at = now()
  FROM remaining r WHERE r.evidence_count > 0
    AND g.tenant_id = $1 AND g.user_id = r.user_id AND g.type = r.type AND g.source = r.source AND g.target = r.target
), emptied AS (
  UPDATE graph_edges g SET ${emptied} FROM remaining r WHERE r.evidence_count = 0 AND g.projected_version <> 0
    AND g.tenant_id = $1 AND g.user_id = r.user_id AND g.type = r.type AND g.source = r.source AND g.target = r.target
)
DELETE FROM graph_edges g USING remaining r WHERE r.evidence_count = 0 AND g.projected_version = 0
  AND g.tenant_id = $1 AND g.user_id = r.user_id AND g.type = r.type AND g.source = r.source AND g.target = r.target`;

const eraseNodesSql = `
WITH ends AS MATERIALIZED (
  SELECT DISTINCT f.user_id, e.key FROM facts f, LATERAL (VALUES (f.source), (f.target)) AS e(key)
  WHERE f.tenant_id = $1 AND f.job_id = ANY($2::uuid[])
)
DELETE FROM graph_nodes n USING ends e WHERE n.tenant_id = $1 AND n.user_id = e.user_id AND n.key = e.key
  AND ${isLoose('n')}`;

/** True for a node that is no edge's end. */
function isLoose(node: string): string {
  const edge = `FROM graph_edges g WHERE g.tenant_id = ${node}.tenant_id AND g.user_id = ${node}.user_id AND g.evidence_count > 0`;
  return `NOT EXISTS (SELECT ${edge} AND g.source = ${node}.key) AND NOT EXISTS (SELECT ${edge} AND g.target = ${node}.key)`;
}

const rebuildUsersMax = 50;

/**
 * Makes nodes and edges anew from the facts, of one tenant or of all, 50 users a transaction; results may be stored
 * meanwhile. A graph that was right is not touched.
 * @returns users looked at, and how many edges and nodes had to be put right.
 */
export async function rebuildGraph(
  pool: Pool,
  tenantId?: string,
): Promise<{ users: number; edges: number; nodes: number }> {
  const total = { users: 0, edges: 0, nodes: 0 };
  for (let after = ['00000000-0000-0000-0000-000000000000', '']; ; ) {
    const users = await listUsers(pool, after, tenantId);
    if (users.length === 0) return total;
    const put = await inTransaction(pool, (tx) => rebuildUsers(tx, users));
    total.users += users.length;
    total.edges += put.edges;
    total.nodes += put.nodes;
    const last = users.at(-1);
    after = [last?.tenant_id ?? '', last?.user_id ?? ''];
  }
}

const userRow = z.object({ tenant_id: z.string(), user_id: z.string() });
type User = z.infer<typeof userRow>;

const userRows = z.array(userRow);

async function listUsers(tx: Tx, after: readonly string[], tenantId: string | undefined): Promise<User[]> {
  const page = (table: string) => `SELECT DISTINCT tenant_id, user_id FROM ${table}
    WHERE (tenant_id, user_id) > ($1::uuid, $2::text) AND ($3::uuid IS NULL OR tenant_id = $3) ORDER BY 1, 2 LIMIT $4`;
  const { rows } = await tx.query({
    text: `SELECT * FROM (
      (${page('facts')}) UNION (${page('graph_edges')}) UNION (${page('graph_nodes')})) u ORDER BY 1, 2 LIMIT $4`,
    values: [...after, tenantId ?? null, rebuildUsersMax],
  });
  return userRows.parse(rows);
}

/** Makes nodes and edges of these users anew from the facts. @returns how many had to be put right. */
export async function rebuildUsers(
  tx: Tx,
  users: readonly User[],
): Promise<{ edges: number; nodes: number }> {
  const values = [users.map((user) => user.tenant_id), users.map((user) => user.user_id)];
  const step = async (text: string) => (await tx.query({ text, values })).rowCount ?? 0;
  await step(`${whose} SELECT count(*) FROM (SELECT n.key FROM whose w JOIN graph_nodes n USING (tenant_id, user_id)
    ORDER BY n.tenant_id, n.user_id, n.key FOR UPDATE OF n) locked`);
  const edges = (await step(rebuildEdgesSql)) + (await step(emptyEdgesSql)) + (await step(deleteEdgesSql));
  const nodes = (await step(rebuildNodesSql)) + (await step(deleteNodesSql));
  return { edges, nodes };
}

const whose = 'WITH whose AS (SELECT * FROM unnest($1::uuid[], $2::text[]) AS w(tenant_id, user_id))';

const rebuildEdgesSql = `${whose}
INSERT INTO graph_edges AS g (tenant_id, user_id, type, source, target, relation, evidence_count, strength_ppm, first_at,
  last_at, analyses)
SELECT f.tenant_id, f.user_id, f.type, f.source, f.target, ${evidence}
FROM whose w JOIN facts f USING (tenant_id, user_id) GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (tenant_id, user_id, type, source, target) DO UPDATE SET relation = excluded.relation,
  evidence_count = excluded.evidence_count, strength_ppm = excluded.strength_ppm, first_at = excluded.first_at,
  last_at = excluded.last_at, analyses = excluded.analyses, version = g.version + 1, changed_at = now()
WHERE (g.relation, g.evidence_count, g.strength_ppm, g.first_at, g.last_at, g.analyses) IS DISTINCT FROM
  (excluded.relation, excluded.evidence_count, excluded.strength_ppm, excluded.first_at, excluded.last_at, excluded.analyses)`;

const unfounded = `g.tenant_id = w.tenant_id AND g.user_id = w.user_id AND NOT EXISTS (
  SELECT FROM facts f WHERE f.tenant_id = g.tenant_id AND f.user_id = g.user_id AND f.type = g.type
    AND f.source = g.source AND f.target = g.target)`;

const emptyEdgesSql = `${whose}
UPDATE graph_edges g SET ${emptied} FROM whose w WHERE g.projected_version <> 0 AND g.evidence_count > 0 AND ${unfounded}`;

const deleteEdgesSql = `${whose}
DELETE FROM graph_edges g USING whose w WHERE g.projected_version = 0 AND ${unfounded}`;

const rebuildNodesSql = `${whose}
INSERT INTO graph_nodes (tenant_id, user_id, key, type, name)
SELECT DISTINCT g.tenant_id, g.user_id, e.key, split_part(e.key, ':', 1), substr(e.key, strpos(e.key, ':') + 1)
FROM whose w JOIN graph_edges g USING (tenant_id, user_id), LATERAL (VALUES (g.source), (g.target)) AS e(key)
WHERE g.evidence_count > 0 ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING`;

const deleteNodesSql = `${whose}
DELETE FROM graph_nodes n USING whose w WHERE n.tenant_id = w.tenant_id AND n.user_id = w.user_id AND ${isLoose('n')}`;

/**
 * Takes up to `limit` edges that no fact states any more out of a person's graph, with the nodes that only they joined.
 * @returns how many.
 */
export async function eraseUnfounded(
  tx: Tx,
  person: { readonly tenantId: string; readonly userId: string },
  limit: number,
): Promise<number> {
  const values = [[person.tenantId], [person.userId]];
  const { rows } = await tx.query(listUnfoundedSql, [...values, limit]);
  const edges = endsRows.parse(rows);
  if (edges.length === 0) return 0;
  const keys = [...new Set(edges.flatMap(({ source, target }) => [source, target]))];
  await tx.query(
    `SELECT FROM graph_nodes WHERE tenant_id = $1 AND user_id = $2 AND key = ANY($3) ORDER BY key FOR UPDATE`,
    [person.tenantId, person.userId, keys],
  );
  // Stated again by now, an edge stays.
  const theirs = `AND (g.type, g.source, g.target) IN (
    SELECT x.type, x.source, x.target FROM json_to_recordset($3) AS x(type text, source text, target text))`;
  for (const action of [emptyEdgesSql, deleteEdgesSql])
    await tx.query(`${action} ${theirs}`, [...values, JSON.stringify(edges)]);
  await tx.query(`${deleteNodesSql} AND n.key = ANY($3)`, [...values, keys]);
  return edges.length;
}

const endsRows = z.array(z.object({ type: z.string(), source: z.string(), target: z.string() }));

const listUnfoundedSql = `${whose}
SELECT g.type, g.source, g.target FROM whose w JOIN graph_edges g USING (tenant_id, user_id)
WHERE (g.evidence_count > 0 OR g.projected_version = 0) AND ${unfounded} LIMIT $3`;

const pageRows = 5000;

const microseconds = (moment: string) =>
  `CASE WHEN g.evidence_count > 0 THEN (extract(epoch FROM ${moment}) * 1000000)::bigint END`;

/** The columns of `copiedEdge`; the moments of an edge that is gone are null. */
export const copyColumns = `g.tenant_id, g.user_id, g.type, g.source, g.target, g.relation, g.evidence_count,
  g.strength_ppm, g.analyses, ${microseconds('g.first_at')} AS first_us, ${microseconds('g.last_at')} AS last_us`;

const edgeRows = z.array(copiedEdge);

/** The checksum of the graph of one tenant or of all. Call in a transaction of one snapshot if results are being stored. */
export async function checksumGraph(tx: Tx, tenantId?: string): Promise<GraphChecksum> {
  const checksum = createChecksum();
  const tenant = tenantId ?? null;
  let edge = ['00000000-0000-0000-0000-000000000000', '', '', '', ''];
  for (;;) {
    const { rows } = await tx.query({
      text: `SELECT ${copyColumns} FROM graph_edges g WHERE evidence_count > 0 AND ($6::uuid IS NULL OR tenant_id = $6)
        AND (tenant_id, user_id, type, source, target) > ($1::uuid, $2::text, $3::text, $4::text, $5::text)
        ORDER BY tenant_id, user_id, type, source, target LIMIT $7`,
      values: [...edge, tenant, pageRows],
    });
    const page = edgeRows.parse(rows);
    page.forEach(checksum.addEdge);
    const last = page.at(-1);
    if (last === undefined) break;
    edge = [last.tenant_id, last.user_id, last.type, last.source, last.target];
  }
  await addNodes(tx, tenant, checksum.addNode);
  return checksum.result();
}

const nodeRows = z.array(copiedNode);

async function addNodes(
  tx: Tx,
  tenant: string | null,
  add: ReturnType<typeof createChecksum>['addNode'],
): Promise<void> {
  let after = ['00000000-0000-0000-0000-000000000000', '', ''];
  for (;;) {
    const { rows } = await tx.query({
      text: `SELECT tenant_id, user_id, key FROM graph_nodes WHERE ($4::uuid IS NULL OR tenant_id = $4)
        AND (tenant_id, user_id, key) > ($1::uuid, $2::text, $3::text) ORDER BY tenant_id, user_id, key LIMIT $5`,
      values: [...after, tenant, pageRows],
    });
    const page = nodeRows.parse(rows);
    page.forEach(add);
    const last = page.at(-1);
    if (last === undefined) return;
    after = [last.tenant_id, last.user_id, last.key];
  }
}
