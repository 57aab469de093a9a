// The graph's questions answered where the graph is kept: recursive queries over graph_edges, as the reader of one
// tenant. Rows without evidence are edges that are gone and wait for Neo4j to lose them; no question sees them.

import { type SQL, sql } from 'drizzle-orm';
import { z } from 'zod';
import { selfKey } from '../shared/fact.ts';
import { asTenant, type Pool } from './client.ts';
import {
  type BoundedQuery,
  boundQuery,
  edgeRow,
  type GraphPath,
  type GraphStore,
  type PathEnds,
  statsRow,
  toNeighbour,
  toNode,
  toPath,
  toStats,
  toSubgraph,
} from './graph.ts';

type Ask = <Row extends z.ZodType>(row: Row, statement: SQL) => Promise<z.output<Row>[]>;

const keyRow = z.object({ key: z.string() });

/** @param pool of the role `reader`. */
export function createPostgresGraph(pool: Pool): GraphStore {
  return {
    name: 'postgres',
    subgraph: async (given) => {
      const query = boundQuery(given, { depth: 2, limit: 200 }, { from: given.from });
      const statement = given.from === undefined ? wholeSql(query) : ballSql(query, given.from);
      return toSubgraph(await within(pool, query, (ask) => ask(edgeRow, statement)), query.limit);
    },
    strongestPaths: (given) => {
      const query = boundQuery(given, { depth: 5, limit: 10 }, { from: given.from, to: given.to });
      return listPaths(pool, query, given, sql`${query.depth}::integer`);
    },
    shortestPath: async (given) => {
      const ends = { from: given.from, to: given.to };
      const query = boundQuery({ ...given, limit: 1 }, { depth: 5, limit: 1 }, ends);
      const fewest = sql`(SELECT hops FROM reach WHERE key = ${given.from})`;
      return (await listPaths(pool, query, given, fewest))[0];
    },
    neighbours: async (given) => {
      const query = boundQuery(given, { depth: 1, limit: 100 }, { node: given.node });
      const edges = await within(pool, query, (ask) => ask(edgeRow, neighboursSql(query, given.node)));
      return edges.map((edge) => toNeighbour(edge, given.node));
    },
    search: async (given) => {
      const query = boundQuery(given, { depth: 1, limit: 20 }, { text: given.text });
      const found = await within(pool, query, (ask) =>
        ask(keyRow, searchSql(query, given.text.toLowerCase())),
      );
      return found.map(({ key }) => toNode(key));
    },
    stats: async (given) => {
      const query = boundQuery(given, { depth: 1, limit: 10 });
      const [row] = await within(pool, query, (ask) => ask(statsRow, statsSql(query)));
      return toStats(row ?? { nodes: [], edges: [], top: [] });
    },
  };
}

/**
 * Runs the statements of one question on one snapshot and under the question's limit of time. Errors are the database's
 * own: drizzle's repeat the parameters, which are a person's words, and hide the code.
 */
async function within<T>(pool: Pool, query: BoundedQuery, read: (ask: Ask) => Promise<T>): Promise<T> {
  try {
    return await asTenant(pool, query.tenantId, (reader) =>
      reader.transaction(
        async (tx) => {
          await tx.execute(sql`SELECT set_config('statement_timeout', ${String(query.timeoutMs)}, true)`);
          return read(async (row, statement) => z.array(row).parse((await tx.execute(statement)).rows));
        },
        { accessMode: 'read only', isolationLevel: 'repeatable read' },
      ),
    );
  } catch (error) {
    throw error instanceof Error && error.cause instanceof Error ? error.cause : error;
  }
}

const columns = sql.raw(`g.type, g.source, g.target, g.relation, g.evidence_count, g.strength_ppm, g.analyses,
  floor(extract(epoch FROM g.first_at) * 1000)::float8 AS first_ms,
  floor(extract(epoch FROM g.last_at) * 1000)::float8 AS last_ms`);
const strength = sql.raw('(g.strength_ppm::float8 / g.evidence_count / 1e6)');
const strongestFirst = sql`${strength} DESC, g.evidence_count DESC, g.type, g.source, g.target`;

/** The edges of the graph in question that are strong enough. */
function edgesOf(query: BoundedQuery): SQL {
  return sql`g.tenant_id = ${query.tenantId}::uuid AND g.user_id = ${query.userId} AND g.evidence_count > 0
    AND ${strength} >= ${query.minStrength}::float8`;
}

function wholeSql(query: BoundedQuery): SQL {
  return sql`SELECT ${columns} FROM graph_edges g WHERE ${edgesOf(query)}
    ORDER BY g.evidence_count DESC, ${strongestFirst} LIMIT ${query.limit + 1}`;
}

// `ball` holds the nodes that are less than `depth` hops away; UNION drops what was seen at the same distance, so a
// cycle costs one row per hop at most.
function ballSql(query: BoundedQuery, from: string): SQL {
  const passable = sql`(b.hops = 0 OR b.key <> ${selfKey})`;
  return sql`WITH RECURSIVE ball(key, hops) AS (
      SELECT ${from}::text COLLATE "C", 0
    UNION
      SELECT near.key, b.hops + 1 FROM ball b, LATERAL (
        SELECT g.target AS key FROM graph_edges g WHERE ${edgesOf(query)} AND g.source = b.key
        UNION ALL SELECT g.source FROM graph_edges g WHERE ${edgesOf(query)} AND g.target = b.key) near
      WHERE b.hops < ${query.depth - 1}::integer AND ${passable}
    ), nearest AS MATERIALIZED (
      SELECT b.key, min(b.hops) AS hops FROM ball b GROUP BY b.key
    ), found AS (
      SELECT DISTINCT ON (g.type, g.source, g.target) g.*, b.hops FROM nearest b, LATERAL (
        SELECT g.* FROM graph_edges g WHERE ${edgesOf(query)} AND g.source = b.key
        UNION ALL SELECT g.* FROM graph_edges g WHERE ${edgesOf(query)} AND g.target = b.key) g
      WHERE ${passable} ORDER BY g.type, g.source, g.target, b.hops)
    SELECT ${columns} FROM found g ORDER BY g.hops, ${strongestFirst} LIMIT ${query.limit + 1}`;
}

const pathRow = z.object({ keys: z.array(z.string()) });

/** `hopsMax` is an expression that may use `reach`, the hops that each node is away from the end. */
async function listPaths(
  pool: Pool,
  query: BoundedQuery,
  { from, to }: PathEnds,
  hopsMax: SQL,
): Promise<readonly GraphPath[]> {
  if (from === to) return [];
  return within(pool, query, async (ask) => {
    const paths = await ask(pathRow, pathsSql(query, { from, to }, hopsMax));
    const steps = paths.flatMap(({ keys }) =>
      keys.slice(1).map((key, index) => [keys[index] ?? '', key] as const),
    );
    if (steps.length === 0) return [];
    const edges = await ask(edgeRow, stepsSql(query, steps));
    const found = new Map(edges.map((edge) => [JSON.stringify([edge.source, edge.target]), edge]));
    return paths.map(({ keys }) =>
      toPath(keys.slice(1).flatMap((key, index) => found.get(JSON.stringify([keys[index], key])) ?? [])),
    );
  });
}

// Backwards first: `reach` is cheap and leaves the walk only nodes from which the end can still be reached in time.
function pathsSql(query: BoundedQuery, { from, to }: PathEnds, hopsMax: SQL): SQL {
  const causes = sql`${edgesOf(query)} AND g.type = 'causes'`;
  return sql`WITH RECURSIVE back(key, hops) AS (
      SELECT ${to}::text COLLATE "C", 0
    UNION
      SELECT g.source, b.hops + 1 FROM back b JOIN graph_edges g ON ${causes} AND g.target = b.key
      WHERE b.hops < ${query.depth}::integer
    ), reach AS MATERIALIZED (
      SELECT key, min(hops) AS hops FROM back GROUP BY key
    ), walk(keys, last, hops, strength) AS (
      SELECT ARRAY[${from}::text COLLATE "C"], ${from}::text COLLATE "C", 0, 1::float8
    UNION ALL
      SELECT w.keys || g.target, g.target, w.hops + 1, w.strength * ${strength}
      FROM walk w JOIN graph_edges g ON ${causes} AND g.source = w.last JOIN reach r ON r.key = g.target
      WHERE w.last <> ${to} AND w.hops + 1 + r.hops <= ${hopsMax} AND g.target <> ALL (w.keys))
    SELECT keys FROM walk WHERE last = ${to} ORDER BY strength DESC, hops, keys LIMIT ${query.limit}`;
}

function stepsSql(query: BoundedQuery, steps: readonly (readonly [string, string])[]): SQL {
  const sources = sql.param(steps.map(([source]) => source));
  const targets = sql.param(steps.map(([, target]) => target));
  return sql`SELECT ${columns} FROM graph_edges g WHERE ${edgesOf(query)} AND g.type = 'causes'
    AND (g.source, g.target) IN (SELECT * FROM unnest(${sources}::text[], ${targets}::text[]))`;
}

function neighboursSql(query: BoundedQuery, node: string): SQL {
  return sql`SELECT ${columns} FROM (
      SELECT g.* FROM graph_edges g WHERE ${edgesOf(query)} AND g.source = ${node} AND g.target <> ${node}
      UNION ALL SELECT g.* FROM graph_edges g WHERE ${edgesOf(query)} AND g.target = ${node} AND g.source <> ${node}) g
    ORDER BY ${strongestFirst} LIMIT ${query.limit}`;
}

function searchSql(query: BoundedQuery, text: string): SQL {
  return sql`SELECT key FROM graph_nodes
    WHERE tenant_id = ${query.tenantId}::uuid AND user_id = ${query.userId} AND strpos(name, ${text}) > 0
    ORDER BY starts_with(name, ${text}) DESC, name, key LIMIT ${query.limit}`;
}

function statsSql(query: BoundedQuery): SQL {
  return sql`WITH strong AS MATERIALIZED (
      SELECT g.type, g.source, g.target FROM graph_edges g WHERE ${edgesOf(query)}
    ), ends AS MATERIALIZED (
      SELECT key, count(*)::integer AS degree FROM strong, LATERAL (VALUES (source), (target)) AS e(key) GROUP BY key
    ), nodes AS (SELECT split_part(key, ':', 1) AS type, count(*)::integer AS count FROM ends GROUP BY 1 ORDER BY 1
    ), edges AS (SELECT type, count(*)::integer AS count FROM strong GROUP BY 1 ORDER BY 1
    ), top AS (
      SELECT key, degree FROM ends WHERE starts_with(key, 'concept:') ORDER BY degree DESC, key LIMIT ${query.limit})
    SELECT coalesce((SELECT json_agg(nodes) FROM nodes), '[]') AS nodes,
      coalesce((SELECT json_agg(edges) FROM edges), '[]') AS edges,
      coalesce((SELECT json_agg(top ORDER BY degree DESC, key) FROM top), '[]') AS top`;
}
