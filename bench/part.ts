// One part of the benchmark, on servers that are there: `node dist/scripts/services.js node dist/bench/part.js <part>`.
// Exits with 1 when a figure that must be reached was missed.

import { measureBackfill } from './backfill.ts';
import { measureBatchProofs } from './batch-proofs.ts';
import { measureBatch } from './batch.ts';
import { measureCache } from './cache.ts';
import { measureCancel } from './cancel.ts';
import { measureCapacity } from './capacity.ts';
import { measureConnections } from './connections.ts';
import { measureDeadlines } from './deadlines.ts';
import { measureEta } from './eta.ts';
import { measureFairness } from './fairness.ts';
import { measureInt8 } from './int8.ts';
import { measureIntake } from './intake.ts';
import { measureLatency } from './latency.ts';
import { measureLoop } from './loop.ts';
import { measureMix } from './mix.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { measureOverload } from './overload.ts';
import { measurePadding } from './padding.ts';
import { isPartName, type PartName } from './part-names.ts';
import { measurePriority } from './priority.ts';
import { measureQueueCpu } from './queue-cpu.ts';
import { measureScaling } from './scaling.ts';
import { measureShape } from './shapes.ts';
import { migrate } from './system.ts';
import { measureThroughput } from './throughput.ts';
import { measureWaiters } from './waiters.ts';
import { measureWebhookProofs } from './webhook-proofs.ts';
import { measureWebhooks } from './webhooks.ts';

const measures: Readonly<Record<PartName, (options: BenchOptions) => Promise<boolean>>> = {
  throughput: measureThroughput,
  latency: measureLatency,
  fairness: measureFairness,
  waiters: measureWaiters,
  cancel: measureCancel,
  priority: measurePriority,
  deadlines: measureDeadlines,
  overload: measureOverload,
  eta: measureEta,
  'webhook-proofs': measureWebhookProofs,
  webhooks: measureWebhooks,
  backfill: measureBackfill,
  batch: measureBatch,
  'batch-proofs': measureBatchProofs,
  mix: measureMix,
  cache: measureCache,
  connections: measureConnections,
  padding: measurePadding,
  loop: measureLoop,
  scaling: measureScaling,
  'queue-cpu': measureQueueCpu,
  int8: measureInt8,
  capacity: measureCapacity,
  steady: (options) => measureShape('steady', options),
  step: (options) => measureShape('step', options),
  spike: (options) => measureShape('spike', options),
  soak: (options) => measureShape('soak', options),
  peak: (options) => measureShape('peak', options),
  intake: measureIntake,
};

async function main(): Promise<boolean> {
  const { parts, options } = readOptions(process.argv.slice(2));
  const name = parts[0] ?? '';
  if (!isPartName(name)) throw new Error(`no part ${name}`);
  await migrate();
  return measures[name](options);
}

main().then(
  // Sockets and ceiling processes that are still closing must not hold up the end.
  (met) => process.exit(met ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof Error ? error.stack : error);
    process.exit(1);
  },
);
