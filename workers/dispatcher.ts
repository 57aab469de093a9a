// The dispatcher process: moves work from the ledger into the bounded window in Redis, fairly; finds what was lost
// on the way; and ends what is late or too old. Several may run: every step locks what it moves.

import { createPool } from '../db/client.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { serveMetrics } from '../shared/metrics.ts';
import { startTicker, stopOnSignal } from '../shared/process.ts';
import { createDispatchQueue } from '../shared/queues.ts';
import { createBatchTicks } from './batch-ticks.ts';
import { createDispatcherTicks } from './dispatcher-ticks.ts';
import { startHeartbeat } from './heartbeat.ts';

const config = readConfig();
const log = createLog('dispatcher', config.LOG_LEVEL);
const database = createPool(config.DATABASE_URL, { role: 'worker', max: 8 });
const owner = createPool(config.DATABASE_URL, { role: 'owner', max: 1 });
const queue = createDispatchQueue(config, (error) => log.debug({ err: error }, 'queue connection'));

const ticks = createDispatcherTicks({ config, log, database, owner, queue });
const batchTicks = createBatchTicks({ config, log, database });
const tickers = [
  startTicker('top_up', config.DISPATCH_TICK_MS, log, ticks.topUp),
  startTicker('queue_due', 200, log, ticks.queueDue),
  startTicker('expire', 250, log, ticks.expire),
  startTicker('reconcile', config.RECONCILE_MS, log, ticks.reconcile),
  startTicker('rescue', 1000, log, ticks.rescue),
  startTicker('count_batches', config.BATCH_TICK_MS, log, batchTicks.count),
  startTicker('sweep_batches', config.BATCH_TICK_MS, log, batchTicks.sweep),
  startTicker('read_files', config.BATCH_TICK_MS, log, batchTicks.readFiles),
  startTicker('measure_batches', 2000, log, batchTicks.measure),
  startTicker('tidy_batches', 5000, log, batchTicks.tidy),
  startTicker('measure', 2000, log, ticks.measure),
  startTicker('erase', 1000, log, ticks.erase),
  startTicker('prune', 30_000, log, ticks.prune),
  startTicker('partitions', 3_600_000, log, ticks.partitions),
];
const heartbeat = startHeartbeat({ pool: database, log, type: 'dispatcher', info: () => ({}) });
const probes = { alive: () => true, ready: () => queue.isReady() };
const server = await serveMetrics({ host: config.HOST, port: config.METRICS_PORT, probes });

stopOnSignal(log, config.DRAIN_MS, () => [
  ['ticks', () => Promise.all(tickers.map((ticker) => ticker.close()))],
  ['heartbeat', heartbeat.close],
  ['queue', queue.close],
  ['metrics', async () => server.close()],
  ['database', () => Promise.all([database.end(), owner.end()])],
]);
log.info('ready');
