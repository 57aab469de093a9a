// The questions that a person's graph answers, whichever store answers them: Postgres, where the graph is kept, or
// Neo4j, its copy. Both answer with the same rows in the same order; one suite of tests holds them to it.

import { z } from 'zod';
import { factTypes, readKey } from '../shared/fact.ts';

/** Whose graph, and how far to look. Every question carries all of it; what is left out has a default. */
export interface GraphQuery {
  readonly tenantId: string;
  readonly userId: string;
  /** Hops, 1 to 5. */
  readonly depth?: number | undefined;
  /** Most rows of the answer, 1 to 1,000. */
  readonly limit?: number | undefined;
  /** Weaker edges are not there for the question, 0 to 1; default 0. */
  readonly minStrength?: number | undefined;
  /** Longest time in the store, in milliseconds, 1 to 30,000; default 2,000. */
  readonly timeoutMs?: number | undefined;
}

/** `key` is `<type>:<name>`. */
export interface GraphNode {
  readonly key: string;
  readonly type: string;
  readonly name: string;
}

/** A relation with all its evidence. */
export interface GraphEdge {
  readonly source: string;
  readonly target: string;
  readonly type: (typeof factTypes)[number];
  readonly relation: string | null;
  /** Mean over the evidence, 0 to 1. */
  readonly strength: number;
  readonly evidenceCount: number;
  /** The newest sources, 20 at most, as `<job>:<item>`. */
  readonly analyses: readonly string[];
  readonly firstAt: Date;
  readonly lastAt: Date;
}

export interface Subgraph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
  /** True if `limit` left edges out. */
  readonly truncated: boolean;
}

export interface GraphPath {
  /** Keys from the first node to the last. */
  readonly nodes: readonly string[];
  readonly edges: readonly GraphEdge[];
  /** Product of the edges' strengths. */
  readonly strength: number;
}

export interface Neighbour {
  readonly node: GraphNode;
  /** `out`: the edge goes to the neighbour. */
  readonly direction: 'out' | 'in';
  readonly edge: GraphEdge;
}

export interface GraphStats {
  readonly nodes: number;
  readonly edges: number;
  readonly nodesByType: Readonly<Record<string, number>>;
  readonly edgesByType: Readonly<Record<string, number>>;
  /** Concepts with the most edges, of any type and direction. */
  readonly topConcepts: readonly { readonly node: GraphNode; readonly degree: number }[];
}

/**
 * One list of questions for both stores. Keys and names are compared as they are written, lower case.
 * All reject with RangeError when a bound is out of range, and with the store's error when it is away or too slow.
 * A user or node that does not exist has an empty answer.
 */
export interface GraphStore {
  readonly name: 'postgres' | 'neo4j';
  /**
   * What surrounds `from`, nearest first, `depth` hops (default 2) along edges of any type and either direction; never
   * through the person, who touches everything. Without `from` the whole graph, what has the most evidence first.
   */
  readonly subgraph: (query: GraphQuery & { readonly from?: string | undefined }) => Promise<Subgraph>;
  /** The strongest ways from cause to effect along `causes` edges, without a node twice, of `depth` hops (default 5) at most. */
  readonly strongestPaths: (query: GraphQuery & PathEnds) => Promise<readonly GraphPath[]>;
  /** The strongest of the ways with the fewest hops. */
  readonly shortestPath: (query: GraphQuery & PathEnds) => Promise<GraphPath | undefined>;
  /** What is joined to `node`, strongest first. */
  readonly neighbours: (query: GraphQuery & { readonly node: string }) => Promise<readonly Neighbour[]>;
  /** Nodes whose name contains `text`, in any case; those that begin with it first. */
  readonly search: (query: GraphQuery & { readonly text: string }) => Promise<readonly GraphNode[]>;
  readonly stats: (query: GraphQuery) => Promise<GraphStats>;
}

export interface PathEnds {
  readonly from: string;
  readonly to: string;
}

/** A query with every bound in place. */
export interface BoundedQuery {
  readonly tenantId: string;
  readonly userId: string;
  readonly depth: number;
  readonly limit: number;
  readonly minStrength: number;
  readonly timeoutMs: number;
}

export const graphBounds = { depthMax: 5, limitMax: 1000, timeoutMsMax: 30_000, textMax: 1000 } as const;

/**
 * Checks a query and fills in the defaults. `texts` are the keys or names that come with it, by parameter.
 * @throws RangeError naming the parameter and its bounds, never its value.
 */
export function boundQuery(
  query: GraphQuery,
  defaults: { readonly depth: number; readonly limit: number },
  texts: Readonly<Record<string, string | undefined>> = {},
): BoundedQuery {
  const { depth = defaults.depth, limit = defaults.limit, minStrength = 0, timeoutMs = 2000 } = query;
  checkInteger('depth', depth, graphBounds.depthMax);
  checkInteger('limit', limit, graphBounds.limitMax);
  checkInteger('timeout_ms', timeoutMs, graphBounds.timeoutMsMax);
  if (!(minStrength >= 0 && minStrength <= 1)) throw new RangeError('min_strength must be from 0 to 1');
  for (const [name, text] of Object.entries({ ...texts, user_id: query.userId })) {
    if (text === undefined) continue;
    if (
      text.length === 0 ||
      text.length > graphBounds.textMax ||
      text.includes('\0') ||
      !text.isWellFormed()
    ) {
      throw new RangeError(
        `${name} must have 1 to ${graphBounds.textMax} characters of well-formed Unicode other than NUL`,
      );
    }
  }
  return { tenantId: query.tenantId, userId: query.userId, depth, limit, minStrength, timeoutMs };
}

function checkInteger(name: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${name} must be a whole number from 1 to ${max}`);
  }
}

/** An edge as both stores return it; moments are milliseconds since 1970, rounded down. */
export const edgeRow = z
  .object({
    type: z.enum(factTypes),
    source: z.string(),
    target: z.string(),
    relation: z.string().nullable(),
    evidence_count: z.number(),
    strength_ppm: z.coerce.number(),
    analyses: z.array(z.string()),
    first_ms: z.number(),
    last_ms: z.number(),
  })
  .transform(
    (row): GraphEdge => ({
      source: row.source,
      target: row.target,
      type: row.type,
      relation: row.relation,
      strength: row.strength_ppm / row.evidence_count / 1e6,
      evidenceCount: row.evidence_count,
      analyses: row.analyses,
      firstAt: new Date(row.first_ms),
      lastAt: new Date(row.last_ms),
    }),
  );

/** The node that a key names. */
export function toNode(key: string): GraphNode {
  return { key, ...readKey(key) };
}

/** The first `limit` edges with the nodes that they join. */
export function toSubgraph(edges: readonly GraphEdge[], limit: number): Subgraph {
  const kept = edges.slice(0, limit);
  const keys = new Set(kept.flatMap(({ source, target }) => [source, target]));
  return { nodes: Array.from(keys, toNode), edges: kept, truncated: edges.length > limit };
}

/** A path from its edges in order. */
export function toPath(edges: readonly GraphEdge[]): GraphPath {
  const first = edges[0];
  return {
    nodes: first === undefined ? [] : [first.source, ...edges.map(({ target }) => target)],
    edges,
    strength: edges.reduce((product, { strength }) => product * strength, 1),
  };
}

/** An edge seen from one of its ends. */
export function toNeighbour(edge: GraphEdge, node: string): Neighbour {
  return edge.source === node
    ? { node: toNode(edge.target), direction: 'out', edge }
    : { node: toNode(edge.source), direction: 'in', edge };
}

/** Counts of nodes and edges by type, and degrees by key, as both stores return them. */
export const statsRow = z.object({
  nodes: z.array(z.object({ type: z.string(), count: z.number() })),
  edges: z.array(z.object({ type: z.string(), count: z.number() })),
  top: z.array(z.object({ key: z.string(), degree: z.number() })),
});

export function toStats({ nodes, edges, top }: z.infer<typeof statsRow>): GraphStats {
  const sum = (counts: readonly { count: number }[]) => counts.reduce((total, { count }) => total + count, 0);
  const byType = (counts: readonly { type: string; count: number }[]) =>
    Object.fromEntries(counts.map(({ type, count }) => [type, count]));
  return {
    nodes: sum(nodes),
    edges: sum(edges),
    nodesByType: byType(nodes),
    edgesByType: byType(edges),
    topConcepts: top.map(({ key, degree }) => ({ node: toNode(key), degree })),
  };
}
