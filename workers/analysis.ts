// The analysis process: takes dispatches from Redis, runs them through the models of its inference child, and
// writes the results to the ledger. Start as many as there are cores, each with its own: `analysis.js --cpus 1`.

import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { createPool } from '../db/client.ts';
import { cancelsChannel, erasuresChannel } from '../db/jobs.ts';
import { listenToJobs } from '../db/listen.ts';
import { startInference } from '../models/inference.ts';
import { createRegistry } from '../models/registry.ts';
import { readCpus } from '../shared/allowed-cores.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { metrics, serveMetrics } from '../shared/metrics.ts';
import { startTicker, stopOnSignal } from '../shared/process.ts';
import { analysisQueues, createDispatchQueue, dispatchSchema } from '../shared/queues.ts';
import { type AnalysisEngine, createAnalysisEngine } from './analysis-engine.ts';
import { createCachedInference } from './cached-inference.ts';
import { createCompletionWriter } from './completion-writer.ts';
import { type Consumer, consume } from './consume.ts';
import { startHeartbeat } from './heartbeat.ts';
import { pinProcess } from './pin-process.ts';
import { createResultCache } from './result-cache.ts';

const config = readConfig();
const log = createLog('analysis', config.LOG_LEVEL);
const worker = `${hostname()}:${process.pid}`;
const database = createPool(config.DATABASE_URL, { role: 'worker', max: 4 });

/** How long results that are too old stay in memory at most. */
const cacheSweepMs = 60_000;

// The model process inherits the cores.
const { values: args } = parseArgs({ options: { cpus: { type: 'string' } } });
if (args.cpus !== undefined) pinProcess(readCpus(args.cpus));

const registry = createRegistry(config.MODELS_DIR);
const inference = await startInference({
  modelsDir: config.MODELS_DIR,
  models: registry.analyzers.flatMap(({ kind }) => registry.resolve(kind) ?? []),
  threads: config.ORT_THREADS,
  nice: config.WORKER_NICE,
  device: config.DEVICE,
  deviceFallback: config.DEVICE_FALLBACK,
  faultInjection: config.FAULT_INJECTION,
  microBatchItemsMax:
    config.DEVICE === 'cpu' ? config.MICRO_BATCH_ITEMS_MAX : config.GPU_MICRO_BATCH_ITEMS_MAX,
  timeoutMs: config.INFERENCE_TIMEOUT_MS,
  onRestart: (reason) => {
    metrics.inferenceRestarts.inc({ reason });
    log.error({ reason }, 'the inference process is replaced');
  },
});
for (const { kind, version, provider } of inference.models()) {
  metrics.modelReady.set({ kind, version, provider }, 1);
  metrics.executionProvider.set({ provider }, 1);
}

const cache = createResultCache({
  bytesMax: config.RESULT_CACHE_MB * 2 ** 20,
  ageMsMax: config.RESULT_CACHE_TTL_S * 1000,
});
const writer = createCompletionWriter({
  pool: database,
  log,
  flushMs: config.FLUSH_MS,
  groupMax: config.POOL_ITEMS_MAX,
  attemptsMax: config.ATTEMPTS_MAX,
});
const engine: AnalysisEngine = createAnalysisEngine({
  config,
  log,
  database,
  inference: createCachedInference(inference, cache),
  registry,
  writer,
  worker,
  onRoom: (jobClass, dispatches) => consumers[jobClass]?.setConcurrency(dispatches),
});
const consumers: readonly Consumer[] = analysisQueues.map((queueName) =>
  consume({
    queue: queueName,
    config,
    log,
    read: (data) => dispatchSchema.parse(data),
    process: engine.process,
  }),
);

const queue = createDispatchQueue(config, (error) => log.debug({ err: error }, 'queue connection'));

let stuckSinceMs: number | undefined;
/** True while there is work that this worker could take and does not: BullMQ has fallen silent before. */
async function isStuck(): Promise<boolean> {
  const idle = engine.inHand() === 0 && queue.isReady() && (await queue.waitingCount(analysisQueues)) > 0;
  stuckSinceMs = idle ? (stuckSinceMs ?? performance.now()) : undefined;
  const stuckMs = stuckSinceMs === undefined ? 0 : performance.now() - stuckSinceMs;
  return Math.min(stuckMs, engine.sinceClaimMs()) > config.PROGRESS_MS;
}

// Cancels that are not heard here, the renewal of the leases tells; for erasures the cache is open only while they are.
const cancels = listenToJobs(
  config.DATABASE_URL,
  {
    changed: (ids, channel) => (channel === erasuresChannel ? cache.forget(ids) : engine.drop(ids)),
    reconnected: cache.open,
    failed: (error) => {
      cache.close();
      log.warn({ err: error }, 'the listening connection failed');
    },
  },
  [cancelsChannel, erasuresChannel],
);
const sweeps = startTicker('result-cache', cacheSweepMs, log, async () => cache.sweep());
const leases = startTicker('leases', config.LEASE_MS / 3, log, engine.renew);
const progress = startTicker('progress', 5000, log, async () => {
  if (!(await isStuck())) return;
  log.fatal('work waits and none is taken: leaving, for a fresh process to take over');
  process.exit(1);
});
const heartbeat = startHeartbeat({
  pool: database,
  log,
  type: 'analysis',
  info: () => ({
    worker,
    jobs_in_hand: engine.inHand(),
    item_ms: engine.itemMs(),
    models: inference.models(),
  }),
});
const probes = { alive: () => true, ready: () => consumers.every((consumer) => consumer.isConnected()) };
const server = await serveMetrics({ host: config.HOST, port: config.METRICS_PORT, probes });

stopOnSignal(log, config.DRAIN_MS, () => {
  engine.drain();
  return [
    ['consumers', () => Promise.all(consumers.map((consumer) => consumer.close(config.DRAIN_MS - 2000)))],
    ['progress', progress.close],
    ['leases', leases.close],
    ['sweeps', sweeps.close],
    ['cancels', cancels.close],
    ['heartbeat', heartbeat.close],
    ['queue', queue.close],
    ['inference', inference.close],
    ['metrics', async () => server.close()],
    ['database', () => database.end()],
  ];
});
log.info({ worker, models: inference.models() }, 'ready');
