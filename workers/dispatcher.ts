// The dispatcher process: moves work from the ledger into the bounded window in Redis, fairly; finds what was lost
// on the way; and ends what is late or too old. Several may run: every step locks what it moves.

import { createPool } from '../db/client.ts';
import { type DispatcherStep, findDueSteps } from '../db/due-work.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { serveMetrics } from '../shared/metrics.ts';
import { startTicker, stopOnSignal, type Ticker } from '../shared/process.ts';
import { createDispatchQueue } from '../shared/queues.ts';
import { createBatchTicks, readerIdleMs } from './batch-ticks.ts';
import { createDispatcherTicks } from './dispatcher-ticks.ts';
import { startHeartbeat } from './heartbeat.ts';

/** How late a step may find what has become due while it slept. */
const lookMs = 200;

/** A step that nothing wakes looks for itself, should the look miss something. */
const asleepMs = 10_000;

const config = readConfig();
const log = createLog('dispatcher', config.LOG_LEVEL);
const database = createPool(config.DATABASE_URL, { role: 'worker', max: 8 });
const owner = createPool(config.DATABASE_URL, { role: 'owner', max: 1 });
const queue = createDispatchQueue(config, (error) => log.debug({ err: error }, 'queue connection'));

const ticks = createDispatcherTicks({ config, log, database, owner, queue });
const batchTicks = createBatchTicks({ config, log, database });
/** A step goes on while it finds something, each at its pace; then it sleeps until the look finds something for it. */
const onDemand: Readonly<Record<DispatcherStep, Ticker>> = {
  topUp: startTicker('top_up', config.DISPATCH_TICK_MS, log, ticks.topUp, asleepMs),
  queueDue: startTicker('queue_due', asleepMs, log, ticks.queueDue),
  expire: startTicker('expire', asleepMs, log, ticks.expire),
  count: startTicker('count_batches', config.BATCH_TICK_MS, log, batchTicks.count, asleepMs),
  sweep: startTicker('sweep_batches', config.BATCH_TICK_MS, log, batchTicks.sweep, asleepMs),
  readFiles: startTicker('read_files', config.BATCH_TICK_MS, log, batchTicks.readFiles, asleepMs),
};
const look = async (): Promise<void> => {
  for (const step of await findDueSteps(database, readerIdleMs)) onDemand[step].wake();
};
const tickers = [
  ...Object.values(onDemand),
  startTicker('look', lookMs, log, look),
  startTicker('reconcile', config.RECONCILE_MS, log, ticks.reconcile),
  startTicker('rescue', 1000, log, ticks.rescue),
  startTicker('erase', 1000, log, ticks.erase),
  startTicker('measure_batches', 2000, log, batchTicks.measure),
  startTicker('tidy_batches', 5000, log, batchTicks.tidy),
  startTicker('measure', 2000, log, ticks.measure),
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
