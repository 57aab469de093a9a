// Every metric of the system, by name, unit and bounded labels, and the port on which each process shows its own.

import { createServer, type Server } from 'node:http';
import { Counter, collectDefaultMetrics, Gauge, Histogram, register } from 'prom-client';

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60];

function counter<Label extends string>(
  name: string,
  help: string,
  labelNames: readonly Label[],
): Counter<Label> {
  return new Counter({ name, help, labelNames: [...labelNames] });
}

function histogram<Label extends string>(
  name: string,
  help: string,
  labelNames: readonly Label[],
  buckets: readonly number[] = seconds,
): Histogram<Label> {
  return new Histogram({ name, help, labelNames: [...labelNames], buckets: [...buckets] });
}

/** Streams live as long as their jobs do. */
const openSeconds = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800, 7200];

export const metrics = {
  httpRequestSeconds: histogram('soma_http_request_duration_seconds', 'From request to answer', [
    'method',
    'route',
    'status',
  ]),
  httpOpenSeconds: histogram(
    'soma_http_open_duration_seconds',
    'Requests that wait for a job, stream or upload, which take as long as that takes',
    ['method', 'route'],
    openSeconds,
  ),
  jobsSubmitted: counter('soma_jobs_submitted_total', 'Jobs committed to the ledger', ['kind', 'class']),
  intakeGroupJobs: histogram(
    'soma_intake_group_jobs',
    'Jobs per commit of the intake',
    [],
    [1, 2, 5, 10, 20, 50, 100, 200],
  ),
  intakeCommitSeconds: histogram('soma_intake_commit_seconds', 'One group commit', []),
  intakePending: new Gauge({ name: 'soma_intake_pending_jobs', help: 'Submits that wait for their commit' }),
  dispatchFailures: counter('soma_dispatch_failures_total', 'Dispatches that Redis did not take', []),
  rateLimited: counter('soma_rate_limited_total', 'Requests beyond what a tier allows', ['allowance']),
  quotaAlone: counter('soma_quota_alone_total', 'Requests counted without Redis', []),
  forecastSeconds: histogram(
    'soma_forecast_seconds',
    'Computing the place and the ETA of a queued job',
    [],
    [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01],
  ),
  waiters: new Gauge({ name: 'soma_waiters', help: 'Clients that wait for a job' }),

  jobsFinished: counter('soma_jobs_finished_total', 'Jobs that reached a terminal state', [
    'kind',
    'outcome',
  ]),
  itemsInferred: counter('soma_items_inferred_total', 'Items that went through a model', ['kind']),
  microBatches: counter('soma_micro_batches_total', 'Runs of a model', ['kind']),
  poolItems: histogram(
    'soma_pool_items',
    'Items per pool',
    ['kind'],
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  ),
  jobsTakenOver: counter(
    'soma_jobs_taken_over_total',
    'Jobs taken though another worker was handed them, which had not claimed them',
    [],
  ),
  poolFlushes: counter('soma_pool_flushes_total', 'Pools by what ended their wait', ['kind', 'reason']),
  tokens: counter('soma_tokens_total', 'Tokens that went through a model, real and padding', [
    'kind',
    'type',
  ]),
  queueWaitSeconds: histogram('soma_queue_wait_seconds', 'From queued to taken by a worker', ['kind']),
  batchWaitSeconds: histogram('soma_batch_wait_seconds', 'From taken to sent to the model', ['kind']),
  inferenceSeconds: histogram('soma_inference_seconds', 'One pool in the model, tokenizing included', [
    'kind',
  ]),
  persistSeconds: histogram('soma_persist_seconds', 'One completing transaction', ['kind']),
  jobSeconds: histogram('soma_job_duration_seconds', 'From submit to terminal', ['kind']),
  cacheHits: counter('soma_cache_hits_total', 'Items whose result was kept from before', ['kind']),
  cacheMisses: counter('soma_cache_misses_total', 'Items that went on to the model', ['kind']),
  cacheCoalesced: counter('soma_cache_coalesced_total', 'Items that waited for an equal one in the model', [
    'kind',
  ]),
  cacheEvictions: counter('soma_cache_evictions_total', 'Results that were pushed out or became too old', [
    'reason',
  ]),
  cacheBytes: new Gauge({ name: 'soma_cache_bytes', help: 'Size of the results that are kept' }),
  cacheEntries: new Gauge({ name: 'soma_cache_entries', help: 'Results that are kept' }),
  inferenceRestarts: counter('soma_inference_restarts_total', 'Model processes that had to be replaced', [
    'reason',
  ]),
  modelReady: new Gauge({
    name: 'soma_model_ready',
    help: '1 while the model is loaded and warm',
    labelNames: ['kind', 'version', 'provider'],
  }),
  executionProvider: new Gauge({
    name: 'soma_execution_provider',
    help: '1 for each place where models of this worker run: cpu, cuda:0',
    labelNames: ['provider'],
  }),

  queueDepth: new Gauge({
    name: 'soma_queue_depth',
    help: 'Jobs that wait, in the ledger or in the window',
    labelNames: ['class', 'where'],
  }),
  queueOldestAge: new Gauge({
    name: 'soma_queue_oldest_age_seconds',
    help: 'Age of the oldest queued job',
    labelNames: ['class'],
  }),
  dispatched: counter('soma_dispatched_jobs_total', 'Jobs handed to Redis', ['by']),
  reconciled: counter('soma_reconcile_requeued_total', 'Jobs whose dispatch was lost and was made again', []),
  rescued: counter('soma_rescued_jobs_total', 'Jobs taken from a worker that stopped renewing its lease', []),
  expired: counter('soma_expired_total', 'Jobs that passed their deadline before they ran', []),
  pruned: counter('soma_pruned_jobs_total', 'Jobs deleted at the end of their retention', []),
  batchesOpen: new Gauge({
    name: 'soma_batches_open',
    help: 'Batches that have not ended',
    labelNames: ['status'],
  }),
  batchesOldestAge: new Gauge({
    name: 'soma_batches_oldest_age_seconds',
    help: 'Age of the oldest batch that has not ended',
  }),
  batchLinesAccepted: counter('soma_batch_lines_accepted_total', 'Lines of batches that were recorded', [
    'kind',
    'valid',
  ]),
  batchLinesEnded: counter('soma_batch_lines_ended_total', 'Lines of batches whose jobs have ended', [
    'outcome',
  ]),
  erasuresOpen: new Gauge({ name: 'soma_erasures_open', help: 'Persons whose erasure is not done' }),
  erasuresOldestAge: new Gauge({
    name: 'soma_erasures_oldest_age_seconds',
    help: 'Age of the oldest erasure that is not done',
  }),
  graphLag: new Gauge({
    name: 'soma_graph_lag_seconds',
    help: 'How long the change of the graph that Neo4j lacks longest has waited',
  }),
  graphPending: new Gauge({ name: 'soma_graph_pending_edges', help: 'Edges that Neo4j lacks' }),
  graphProjected: counter('soma_graph_projected_edges_total', 'Edges copied to Neo4j', []),
  webhookAttempts: counter('soma_webhook_attempts_total', 'Attempts to deliver a message', ['outcome']),
  webhookAttemptSeconds: histogram('soma_webhook_attempt_seconds', 'One attempt, from request to answer', []),
  webhookPending: new Gauge({ name: 'soma_webhook_pending', help: 'Messages under way' }),
  webhookOldestAge: new Gauge({
    name: 'soma_webhook_oldest_age_seconds',
    help: 'How long the message that is due longest has been due',
  }),
  webhookOpenCircuits: new Gauge({
    name: 'soma_webhook_open_circuits',
    help: 'Targets of this process that only fail and are tried now and then',
  }),
  webhookEndpointsDisabled: counter('soma_webhook_endpoints_disabled_total', 'Endpoints disabled by us', [
    'reason',
  ]),
  webhookPruned: counter('soma_webhook_pruned_total', 'Deliveries deleted at the end of their retention', []),
  tickFailures: counter('soma_tick_failures_total', 'Background ticks that threw', ['tick']),
};

collectDefaultMetrics({ eventLoopMonitoringPrecision: 10 });

/** The text that Prometheus scrapes (exposition format 0.0.4), and its content type. */
export async function exposition(): Promise<{ contentType: string; body: string }> {
  return { contentType: register.contentType, body: await register.metrics() };
}

/** What a background process says of itself: 200 while `alive()`, else 503. */
export interface Probes {
  readonly alive: () => boolean;
  readonly ready: () => boolean;
}

/**
 * Serves `/metrics`, `/health/live` and `/health/ready` of a process that has no other port.
 * @param port 0 chooses a free one; the promise resolves to the server once it listens.
 */
export function serveMetrics(options: { host: string; port: number; probes: Probes }): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (ok: boolean) => response.writeHead(ok ? 200 : 503).end(ok ? 'ok\n' : 'no\n');
    if (request.url === '/health/live') return answer(options.probes.alive());
    if (request.url === '/health/ready') return answer(options.probes.ready());
    if (request.url !== '/metrics') return response.writeHead(404).end();
    return exposition().then(
      ({ contentType, body }) => response.writeHead(200, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => resolve(server));
  });
}
