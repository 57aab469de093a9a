// The graph process: keeps the copy of the graph in Neo4j up to date. Without a Neo4j it has nothing to do, says so
// once and waits for its end, so that the list of processes is the same everywhere.

import { createPool } from '../db/client.ts';
import { connectNeo4j } from '../db/graph-neo4j.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { serveMetrics } from '../shared/metrics.ts';
import { startTicker, stopOnSignal } from '../shared/process.ts';
import { createGraphProjector } from './graph-projector.ts';
import { startHeartbeat } from './heartbeat.ts';

const config = readConfig();
const log = createLog('graph', config.LOG_LEVEL);
const database = createPool(config.DATABASE_URL, { role: 'worker', max: 3 });
const { NEO4J_URL: url, NEO4J_USER: user, NEO4J_PASSWORD: password } = config;
const neo4j = url === '' ? undefined : connectNeo4j({ url, user, password });
if (neo4j === undefined) log.info('no NEO4J_URL: Postgres answers for the graph, nothing is copied');

const projector = neo4j && createGraphProjector({ database, neo4j, log });
const tickers =
  projector === undefined
    ? []
    : [
        startTicker('project', config.PROJECT_TICK_MS, log, projector.project),
        startTicker('measure', 2000, log, projector.measure),
      ];
const info = () => ({
  neo4j: projector === undefined ? 'none' : projector.isConnected() ? 'connected' : 'away',
});
const heartbeat = startHeartbeat({ pool: database, log, type: 'graph', info });
const probes = { alive: () => true, ready: () => true };
const server = await serveMetrics({ host: config.HOST, port: config.METRICS_PORT, probes });

stopOnSignal(log, config.DRAIN_MS, () => [
  ['ticks', () => Promise.all(tickers.map((ticker) => ticker.close()))],
  ['heartbeat', heartbeat.close],
  ['neo4j', async () => neo4j?.close()],
  ['metrics', async () => server.close()],
  ['database', () => database.end()],
]);
log.info('ready');
