// Which store answers for the graph: the Neo4j that is configured, while it is there and not far behind, else Postgres,
// which is never behind. Either answer is whole; what is lost without Neo4j is only its speed.

import type { Config } from '../shared/config.ts';
import { asTenant, type Pool } from './client.ts';
import type { GraphStore } from './graph.ts';
import { connectNeo4j, createNeo4jGraph, isNeo4jAway } from './graph-neo4j.ts';
import { createPostgresGraph } from './graph-postgres.ts';
import { isBehind } from './projection.ts';

export interface GraphStoreWithClose extends GraphStore {
  /** Which one answered last. */
  readonly answeredBy: () => GraphStore['name'];
  readonly close: () => Promise<void>;
}

/** A Neo4j that was away is asked again after this. */
const retryMs = 5000;
/** How long it is believed that the copy of a tenant's graph is, or is not, behind. */
const freshMs = 5000;
const behindSecondsMax = 30;
const tenantsMax = 10_000;

/** @param pool of the role `reader`. */
export function createGraphStore(
  config: Pick<Config, 'NEO4J_URL' | 'NEO4J_USER' | 'NEO4J_PASSWORD'>,
  pool: Pool,
): GraphStoreWithClose {
  const postgres = createPostgresGraph(pool);
  if (config.NEO4J_URL === '') {
    return { ...postgres, answeredBy: () => 'postgres', close: () => Promise.resolve() };
  }
  const { NEO4J_URL: url, NEO4J_USER: user, NEO4J_PASSWORD: password } = config;
  const db = connectNeo4j({ url, user, password });
  const neo4j = createNeo4jGraph(db);
  const behind = createLagMemory(pool);
  let awayUntil = 0;
  let answered: GraphStore['name'] = 'neo4j';

  const ask = async <T>(tenantId: string, question: (store: GraphStore) => Promise<T>): Promise<T> => {
    if (performance.now() >= awayUntil && !(await behind(tenantId))) {
      try {
        const answer = await question(neo4j);
        answered = 'neo4j';
        return answer;
      } catch (error) {
        if (!isNeo4jAway(error)) throw error;
        awayUntil = performance.now() + retryMs;
      }
    }
    answered = 'postgres';
    return question(postgres);
  };
  return {
    name: 'neo4j',
    subgraph: (query) => ask(query.tenantId, (store) => store.subgraph(query)),
    strongestPaths: (query) => ask(query.tenantId, (store) => store.strongestPaths(query)),
    shortestPath: (query) => ask(query.tenantId, (store) => store.shortestPath(query)),
    neighbours: (query) => ask(query.tenantId, (store) => store.neighbours(query)),
    search: (query) => ask(query.tenantId, (store) => store.search(query)),
    stats: (query) => ask(query.tenantId, (store) => store.stats(query)),
    answeredBy: () => answered,
    close: db.close,
  };
}

/** Whether a tenant's copy is behind, asked of the ledger once in a while. */
function createLagMemory(pool: Pool): (tenantId: string) => Promise<boolean> {
  const known = new Map<string, { at: number; behind: boolean }>();
  return async (tenantId) => {
    const entry = known.get(tenantId);
    if (entry !== undefined && performance.now() - entry.at < freshMs) return entry.behind;
    // Without an answer, Neo4j is the one that is left.
    const behind = await asTenant(pool, tenantId, (reader) =>
      isBehind(reader, tenantId, behindSecondsMax),
    ).catch(() => false);
    if (known.size >= tenantsMax) known.clear();
    known.set(tenantId, { at: performance.now(), behind });
    return behind;
  };
}
