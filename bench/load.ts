// `npm run bench [-- part...]`: the whole system measured from outside, part by part, into bench/results/.
// Runs under scripts/services.ts, which brings an empty Postgres and Redis.

import { measureBackfill } from './backfill.ts';
import { measureBatch } from './batch.ts';
import { measureIntake } from './intake.ts';
import { measureLatency } from './latency.ts';
import { type BenchOptions, readOptions } from './options.ts';
import { migrate } from './system.ts';
import { measureThroughput } from './throughput.ts';

type Part = readonly [name: string, measure: (options: BenchOptions) => Promise<boolean>];

/** In this order: the intake comes last, since it leaves its jobs queued. */
const parts: readonly Part[] = [
  ['throughput', measureThroughput],
  ['latency', measureLatency],
  ['backfill', measureBackfill],
  ['batch', measureBatch],
  ['intake', measureIntake],
];

async function main(): Promise<void> {
  const { parts: wanted, options } = readOptions(process.argv.slice(2));
  const names = ['all', ...parts.map(([name]) => name)];
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`no part ${unknown}; the parts are ${names.join(', ')}`);
  const all = wanted.length === 0 || wanted.includes('all');
  await migrate();
  for (const [name, measure] of parts) {
    if (!all && !wanted.includes(name)) continue;
    console.log(`== ${name}`);
    await measure(options);
  }
}

main().then(
  // Sockets and ceiling processes that are still closing must not hold up the end.
  () => process.exit(0),
  (error: unknown) => {
    console.error(error instanceof Error ? error.stack : error);
    process.exit(1);
  },
);
