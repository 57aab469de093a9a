// The graph's questions answered by Neo4j, and the only file that speaks to it. Statements are constants: what comes
// from outside is a parameter, but for the depth of a path, which is checked to be a whole number of 1 to 5.

import neo4j, { type Driver, type ManagedTransaction } from 'neo4j-driver';
import { z } from 'zod';
import { selfKey } from '../shared/fact.ts';
import {
  type BoundedQuery,
  boundQuery,
  edgeRow,
  type GraphEdge,
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

export type Parameters = Readonly<Record<string, unknown>>;

/** Runs a statement inside a transaction; rows are read with a schema by the caller. */
export type RunCypher = (statement: string, parameters: Parameters) => Promise<unknown[]>;

/** A Neo4j that may be away; every call has a limit of time and rejects when it is. */
export interface Neo4j {
  /** Numbers arrive as JavaScript numbers and are sent as floats: wrap what must be whole in toInteger(). */
  readonly read: <T>(timeoutMs: number, work: (run: RunCypher) => Promise<T>) => Promise<T>;
  /** `work` may run twice, if the connection is lost; it must write absolute values. */
  readonly write: <T>(timeoutMs: number, work: (run: RunCypher) => Promise<T>) => Promise<T>;
  /** One statement in a transaction that it makes itself: schema, and statements in batches. */
  readonly command: (timeoutMs: number, statement: string, parameters?: Parameters) => Promise<unknown[]>;
  /** Hands over each row as it arrives, however many there are. */
  readonly stream: (
    timeoutMs: number,
    statement: string,
    parameters: Parameters,
    onRow: (row: unknown) => void,
  ) => Promise<void>;
  readonly close: () => Promise<void>;
}

const connectMs = 2000;

/** Connects at the first call, not now. Without a password it offers none. */
export function connectNeo4j(options: {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}): Neo4j {
  const auth = options.password === '' ? undefined : neo4j.auth.basic(options.user, options.password);
  const driver = neo4j.driver(options.url, auth, {
    disableLosslessIntegers: true,
    connectionTimeout: connectMs,
    connectionAcquisitionTimeout: connectMs,
    maxTransactionRetryTime: connectMs,
    maxConnectionPoolSize: 20,
    telemetryDisabled: true,
  });
  return {
    read: (timeoutMs, work) =>
      inSession(driver, (session) => session.executeRead((tx) => work(runner(tx)), { timeout: timeoutMs })),
    write: (timeoutMs, work) =>
      inSession(driver, (session) => session.executeWrite((tx) => work(runner(tx)), { timeout: timeoutMs })),
    command: (timeoutMs, statement, parameters = {}) =>
      inSession(driver, async (session) => {
        const { records } = await session.run(statement, parameters, { timeout: timeoutMs });
        return records.map((record) => record.toObject());
      }),
    stream: (timeoutMs, statement, parameters, onRow) =>
      inSession(driver, async (session) => {
        for await (const record of session.run(statement, parameters, { timeout: timeoutMs })) {
          onRow(record.toObject());
        }
      }),
    close: () => driver.close(),
  };
}

async function inSession<T>(
  driver: Driver,
  use: (session: ReturnType<Driver['session']>) => Promise<T>,
): Promise<T> {
  const session = driver.session();
  try {
    return await use(session);
  } finally {
    await session.close();
  }
}

function runner(tx: ManagedTransaction): RunCypher {
  return async (statement, parameters) => {
    const { records } = await tx.run(statement, parameters);
    return records.map((record) => record.toObject());
  };
}

/** True for an error that says "no Neo4j, or not now" rather than "bad statement". */
export function isNeo4jAway(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  const away = ['ServiceUnavailable', 'SessionExpired', 'ConnectionAcquisitionTimeout'];
  const refused = [
    'Neo.ClientError.Security.Unauthorized',
    'Neo.ClientError.Security.AuthenticationRateLimit',
  ];
  const code = String(error.code);
  return [...away, ...refused].includes(code) || /^Neo\.TransientError\.(Database|General)/.test(code);
}

/** One entry per version; an entry that has shipped is never changed. Each can be run again. */
const migrations: readonly string[] = [
  'CREATE CONSTRAINT graph_node_key IF NOT EXISTS FOR (n:GraphNode) REQUIRE (n.tenant, n.user, n.key) IS UNIQUE',
  'CREATE INDEX graph_node_user IF NOT EXISTS FOR (n:GraphNode) ON (n.tenant, n.user)',
];

const versionRow = z.array(z.object({ version: z.number() }));

/**
 * Brings the schema up to date. @param onNew is called before a Neo4j that had no schema gets its first version: what
 * was said to be there is not.
 */
export async function migrateNeo4j(db: Neo4j, onNew: () => Promise<unknown>): Promise<void> {
  const find = "MATCH (s:GraphSchema {name: 'soma'}) RETURN s.version AS version";
  const version = versionRow.parse(await db.command(10_000, find))[0]?.version ?? 0;
  if (version === migrations.length) return;
  for (const statement of migrations.slice(version)) await db.command(60_000, statement);
  await db.command(60_000, 'CALL db.awaitIndexes(60)');
  if (version === 0) await onNew();
  const mark = "MERGE (s:GraphSchema {name: 'soma'}) SET s.version = toInteger($version)";
  await db.command(10_000, mark, { version: migrations.length });
}

const keyRows = z.array(z.object({ key: z.string() }));
const statsRows = z.array(statsRow);

export function createNeo4jGraph(db: Neo4j): GraphStore {
  return {
    name: 'neo4j',
    subgraph: async (given) => {
      const query = boundQuery(given, { depth: 2, limit: 200 }, { from: given.from });
      const edges = await db.read(query.timeoutMs, (run) =>
        given.from === undefined ? readEdges(run, wholeCypher, query) : readBall(run, query, given.from),
      );
      return toSubgraph(edges, query.limit);
    },
    strongestPaths: (given) => {
      const query = boundQuery(given, { depth: 5, limit: 10 }, { from: given.from, to: given.to });
      return readPaths(db, pathsCypher(query.depth), query, given);
    },
    shortestPath: async (given) => {
      const ends = { from: given.from, to: given.to };
      const query = boundQuery({ ...given, limit: 1 }, { depth: 5, limit: 1 }, ends);
      return (await readPaths(db, shortestCypher(query.depth), query, given))[0];
    },
    neighbours: async (given) => {
      const query = boundQuery(given, { depth: 1, limit: 100 }, { node: given.node });
      const edges = await db.read(query.timeoutMs, (run) =>
        readEdges(run, neighboursCypher, query, { node: given.node }),
      );
      return edges.map((edge) => toNeighbour(edge, given.node));
    },
    search: async (given) => {
      const query = boundQuery(given, { depth: 1, limit: 20 }, { text: given.text });
      const text = given.text.toLowerCase();
      const rows = await db.read(query.timeoutMs, (run) =>
        run(searchCypher, { ...parametersOf(query), text }),
      );
      return keyRows.parse(rows).map(({ key }) => toNode(key));
    },
    stats: async (given) => {
      const query = boundQuery(given, { depth: 1, limit: 10 });
      const rows = await db.read(query.timeoutMs, (run) => run(statsCypher, parametersOf(query)));
      return toStats(statsRows.parse(rows)[0] ?? { nodes: [], edges: [], top: [] });
    },
  };
}

function parametersOf(query: BoundedQuery): Parameters {
  return { tenant: query.tenantId, user: query.userId, limit: query.limit, min: query.minStrength };
}

const node = (name: string, key: string) => `(${name}:GraphNode {tenant: $tenant, user: $user, key: ${key}})`;
const edge = `r {.relation, .evidence_count, .strength_ppm, .analyses, type: toLower(type(r)),
  source: startNode(r).key, target: endNode(r).key, first_ms: r.first_at.epochMillis, last_ms: r.last_at.epochMillis}`;
const strongestFirst =
  'r.strength DESC, r.evidence_count DESC, toLower(type(r)), startNode(r).key, endNode(r).key';

const edgesSchema = z.array(z.object({ edge: edgeRow }));

async function readEdges(
  run: RunCypher,
  statement: string,
  query: BoundedQuery,
  more: Parameters = {},
): Promise<GraphEdge[]> {
  const rows = await run(statement, { ...parametersOf(query), ...more });
  return edgesSchema.parse(rows).map((row) => row.edge);
}

const wholeCypher = `
MATCH (n:GraphNode {tenant: $tenant, user: $user})-[r]->() WHERE r.strength >= $min
RETURN ${edge} AS edge ORDER BY r.evidence_count DESC, ${strongestFirst} LIMIT toInteger($limit) + 1`;

const neighboursCypher = `
MATCH ${node('n', '$node')}-[r]-(other) WHERE r.strength >= $min AND other <> n
RETURN ${edge} AS edge ORDER BY ${strongestFirst} LIMIT toInteger($limit)`;

const aroundCypher = `
UNWIND $keys AS key MATCH ${node('n', 'key')}-[r]-() WHERE r.strength >= $min
WITH DISTINCT r ORDER BY ${strongestFirst} LIMIT toInteger($limit) + 1 RETURN ${edge} AS edge`;

/**
 * One statement per hop: a path of variable length would visit every trail to a node, and a ball has as many of those
 * as it likes, but only so many edges.
 */
async function readBall(run: RunCypher, query: BoundedQuery, from: string): Promise<GraphEdge[]> {
  const edges = new Map<string, GraphEdge>();
  const seen = new Set([from]);
  let keys = [from];
  for (let hops = 0; hops < query.depth && keys.length > 0 && edges.size <= query.limit; hops++) {
    // What is known already may come again, so as many more are asked for.
    const limit = query.limit + edges.size;
    const found = await readEdges(run, aroundCypher, query, { keys, limit });
    for (const one of found) {
      const id = JSON.stringify([one.type, one.source, one.target]);
      if (!edges.has(id)) edges.set(id, one);
    }
    keys = [...new Set(found.flatMap(({ source, target }) => [source, target]))].filter(
      (key) => !seen.has(key) && key !== selfKey,
    );
    for (const key of keys) seen.add(key);
  }
  return [...edges.values()];
}

const pathsSchema = z.array(z.object({ edges: z.array(edgeRow) }));

async function readPaths(
  db: Neo4j,
  statement: string,
  query: BoundedQuery,
  { from, to }: PathEnds,
): Promise<readonly GraphPath[]> {
  if (from === to) return [];
  const rows = await db.read(query.timeoutMs, (run) => run(statement, { ...parametersOf(query), from, to }));
  return pathsSchema.parse(rows).map(({ edges }) => toPath(edges));
}

const bestPaths = `
WITH path, reduce(product = 1.0, r IN relationships(path) | product * r.strength) AS product
ORDER BY product DESC, length(path), [n IN nodes(path) | n.key] LIMIT toInteger($limit)
RETURN [r IN relationships(path) | ${edge}] AS edges`;

function pathsCypher(depth: number): string {
  return `MATCH ${node('a', '$from')}, ${node('b', '$to')}
    MATCH path = (a)-[:CAUSES*1..${depth}]->(b) WHERE all(r IN relationships(path) WHERE r.strength >= $min)
      AND all(n IN nodes(path) WHERE single(m IN nodes(path) WHERE m = n)) ${bestPaths}`;
}

function shortestCypher(depth: number): string {
  return `MATCH ${node('a', '$from')}, ${node('b', '$to')}
    MATCH path = allShortestPaths((a)-[:CAUSES*1..${depth}]->(b))
    WHERE all(r IN relationships(path) WHERE r.strength >= $min) ${bestPaths}`;
}

const searchCypher = `
MATCH (n:GraphNode {tenant: $tenant, user: $user}) WHERE n.name CONTAINS $text
RETURN n.key AS key ORDER BY n.name STARTS WITH $text DESC, n.name, n.key LIMIT toInteger($limit)`;

const statsCypher = `
CALL () {
  MATCH (n:GraphNode {tenant: $tenant, user: $user})-[r]->() WHERE r.strength >= $min
  WITH toLower(type(r)) AS type, count(*) AS count ORDER BY type RETURN collect({type: type, count: count}) AS edges
}
CALL () {
  MATCH (n:GraphNode {tenant: $tenant, user: $user})
  WITH n, COUNT { (n)-[r]->() WHERE r.strength >= $min } + COUNT { (n)<-[r]-() WHERE r.strength >= $min } AS degree
  WHERE degree > 0 ORDER BY degree DESC, n.key
  RETURN collect({key: n.key, type: n.type, degree: degree}) AS ends
}
RETURN edges, [e IN ends WHERE e.type = 'concept' | {key: e.key, degree: e.degree}][0..toInteger($limit)] AS top,
  [type IN ['concept', 'emotion', 'person'] WHERE any(e IN ends WHERE e.type = type) |
    {type: type, count: size([e IN ends WHERE e.type = type])}] AS nodes`;
