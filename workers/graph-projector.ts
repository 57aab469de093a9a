// What the graph process does at each tick: copies to Neo4j what changed. A Neo4j that is away costs lag and one line in
// the log; the ledger keeps what waits.

import type { Pool } from '../db/client.ts';
import { isNeo4jAway, migrateNeo4j, type Neo4j } from '../db/graph-neo4j.ts';
import { asProjector, measureProjection, projectEdges, resetProjection } from '../db/projection.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';

export interface GraphProjector {
  readonly project: (signal: AbortSignal) => Promise<void>;
  readonly measure: () => Promise<void>;
  /** False while Neo4j does not answer. */
  readonly isConnected: () => boolean;
}

export function createGraphProjector(options: {
  readonly database: Pool;
  readonly neo4j: Neo4j;
  readonly log: Logger;
}): GraphProjector {
  const { database, neo4j, log } = options;
  let isPrepared = false;
  let isConnected = true;

  const prepare = async (): Promise<void> => {
    if (isPrepared) return;
    await migrateNeo4j(neo4j, async () => {
      const edges = await resetProjection(database);
      log.info({ edges }, 'this Neo4j is new: the whole graph is copied');
    });
    isPrepared = true;
  };
  return {
    project: async (signal) => {
      try {
        await asProjector(database, async (client) => {
          await prepare();
          metrics.graphProjected.inc(await projectEdges(client, neo4j, signal));
        });
        if (!isConnected) log.info('Neo4j is back');
        isConnected = true;
      } catch (error) {
        // It may come back as another, empty one.
        isPrepared = false;
        if (!isNeo4jAway(error)) throw error;
        if (isConnected) log.warn({ err: error }, 'Neo4j is away: the graph is copied when it is back');
        isConnected = false;
      }
    },
    measure: async () => {
      const { pending, lagSeconds } = await measureProjection(database);
      metrics.graphPending.set(pending);
      metrics.graphLag.set(lagSeconds);
    },
    isConnected: () => isConnected,
  };
}
