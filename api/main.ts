// The API process: takes requests, and stops without dropping one.

import { createServer } from 'node:http';
import { createPool } from '../db/client.ts';
import { createGraphStore } from '../db/graph-store.ts';
import { createRegistry } from '../models/registry.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { stopOnSignal } from '../shared/process.ts';
import { createDispatchQueue } from '../shared/queues.ts';
import { createAdmission } from './admission.ts';
import { createApp } from './app.ts';
import { createKeys } from './authenticate.ts';
import { createEnqueuer } from './enqueue.ts';
import { createForecast } from './forecast.ts';
import { createIntake } from './intake.ts';
import { createJobLoader } from './job-loader.ts';
import { createKeyUse } from './key-use.ts';
import { createQuota } from './quota.ts';
import { createJobWatcher } from './wait.ts';
import { warmUp } from './warm-up.ts';
import { createWebhooks } from './webhooks.ts';

const config = readConfig();
const log = createLog('api', config.LOG_LEVEL);
const url = config.DATABASE_URL;
const patience = { statementTimeoutMs: config.INTAKE_TIMEOUT_MS, connectTimeoutMs: config.INTAKE_TIMEOUT_MS };
const readers = createPool(url, { role: 'reader', max: config.DATABASE_POOL_MAX, ...patience });
const lookups = createPool(url, { role: 'reader', byId: true, max: config.DATABASE_POOL_MAX, ...patience });
const recorders = createPool(url, {
  role: 'intake',
  max: config.INTAKE_GROUPS_IN_FLIGHT_MAX + 1,
  lockTimeoutMs: 500,
  ...patience,
});
const system = createPool(url, { role: 'worker', max: 4, ...patience });
const changers = createPool(url, { role: 'worker', max: config.DATABASE_POOL_MAX, ...patience });

const bulk = createPool(url, { role: 'worker', max: 4, connectTimeoutMs: config.INTAKE_TIMEOUT_MS });
const keyReaders = createPool(url, { role: 'intake', max: 2, ...patience });

void warmUp({ readers, lookups, recorders, changers }).catch((error: unknown) =>
  log.warn({ err: error }, 'the first connections failed'),
);
const registry = createRegistry(config.MODELS_DIR);
const queue = createDispatchQueue(config, (error) => log.debug({ err: error }, 'queue connection'));
const enqueuer = createEnqueuer({ config, log, database: system, queue });
const intake = createIntake({ config, log, pool: recorders, enqueuer });
const keyUse = createKeyUse(keyReaders, log);
const quota = createQuota(config, log);
const forecast = createForecast({ config, log, database: system });
const admission = createAdmission({ config, log, database: system, forecast });
const watcher = createJobWatcher(url, log);
const graph = createGraphStore(config, readers);
const stopping = new AbortController();
const app = createApp({
  config,
  log,
  registry,
  system,
  readers,
  lookups,
  changers,
  bulk,
  keys: createKeys(keyReaders),
  keyUse,
  quota,
  admission,
  forecast,
  graph,
  queue,
  intake,
  loader: createJobLoader(lookups),
  webhooks: createWebhooks(config, changers),
  watcher,
  stopping: stopping.signal,
});

// Node's own defaults leave a slow client five minutes to send a request. How long a body may take depends on the route
// (body-time.ts).
const server = createServer(
  {
    headersTimeout: 10_000,
    requestTimeout: 0,
    keepAliveTimeout: 75_000,
    connectionsCheckingInterval: 2000,
  },
  app,
);
server.maxConnections = config.CONNECTIONS_MAX;
server.on('error', (error) => {
  log.fatal({ err: error }, `cannot listen on ${config.HOST}:${config.PORT}`);
  process.exit(1);
});
server.listen(config.PORT, config.HOST, () => {
  log.info(
    { address: server.address(), models: registry.models.map(({ kind, version }) => `${kind}@${version}`) },
    'ready',
  );
});

stopOnSignal(log, config.DRAIN_MS, () => {
  stopping.abort();
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeIdleConnections();
  return [
    ['server', () => closed],
    ['intake', intake.drain],
    ['enqueuer', enqueuer.close],
    ['watcher', watcher.close],
    ['queue', queue.close],
    ['admission', admission.close],
    ['forecast', forecast.close],
    ['quota', async () => quota.close()],
    ['key use', keyUse.close],
    ['graph', graph.close],
    [
      'database',
      () =>
        Promise.all(
          [readers, lookups, recorders, changers, bulk, system, keyReaders].map((pool) => pool.end()),
        ),
    ],
  ];
});
