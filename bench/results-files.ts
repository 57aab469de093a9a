// The result files as the report and the index read them: what all have in common, and the stages and points that
// become charts.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';

export const resultsFolder = join(packageRoot, 'bench/results');

const percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number(), max: z.number() });
const curve = z.array(z.number().nullable());

const stageSchema = z.object({
  name: z.string(),
  users: z.number(),
  offeredPerSecond: z.number(),
  sent: z.number(),
  errors: z.number(),
  reasons: z.record(z.string(), z.number()),
  acceptMs: percentiles,
  resultMs: percentiles,
  readMs: percentiles,
  lagMs: percentiles,
  scenarios: z.record(z.string(), percentiles.extend({ count: z.number(), errors: z.number() })),
  split: z.record(z.string(), z.object({ mean: z.number(), p95: z.number() })),
  course: z.object({
    second: z.array(z.number()),
    due: z.array(z.number()),
    errors: z.array(z.number()),
    resultP50: curve,
    resultP95: curve,
    acceptP95: curve,
  }),
  cores: z.record(z.string(), z.number()),
  machine: z.object({ busy: z.number(), others: z.number(), stolen: z.number() }),
  loopGapMs: z.record(z.string(), z.number()),
  drainSeconds: z.number(),
});
export type StoredStage = z.output<typeof stageSchema>;

const pointSchema = z.object({
  workers: z.number(),
  ratePerSecond: z.number(),
  resultMs: percentiles,
  met: z.boolean(),
  cpuHoursPerMillion: z.number(),
});
export type StoredPoint = z.output<typeof pointSchema>;

const figureSchema = z.object({
  name: z.string(),
  value: z.union([z.number(), z.string(), z.boolean()]).nullable(),
  bound: z.union([z.number(), z.string(), z.boolean()]).optional(),
  aim: z.number().optional(),
  holds: z.string().default(''),
  met: z.boolean(),
  aim_met: z.boolean().optional(),
});

const fileSchema = z.object({
  part: z.string(),
  started_at: z.string(),
  commit: z.string(),
  dirty: z.boolean(),
  machine: z.object({
    cpu: z.string(),
    int8: z.string().optional(),
    cores: z.number(),
    memoryGb: z.number(),
    kernel: z.string(),
    node: z.string(),
  }),
  load_before: z.number(),
  load_after: z.number().optional(),
  model: z.object({ kind: z.string(), version: z.string(), digest: z.string() }).optional(),
  settings: z.record(z.string(), z.unknown()).optional(),
  seed: z.number().optional(),
  figures: z.array(figureSchema),
  rounds: z.unknown().optional(),
});

export interface StoredResult extends z.output<typeof fileSchema> {
  readonly stages: readonly StoredStage[];
  readonly points: readonly StoredPoint[];
}

/** Every result file that is there, by the name of its part. @throws Error naming a file that is none. */
export function readResults(): readonly StoredResult[] {
  const names = readdirSync(resultsFolder).filter((name) => name.endsWith('.json'));
  return names.sort().map((name) => {
    const parsed = fileSchema.safeParse(JSON.parse(readFileSync(join(resultsFolder, name), 'utf8')));
    if (!parsed.success) throw new Error(`bench/results/${name}: ${z.prettifyError(parsed.error)}`);
    const file = parsed.data;
    const stages = z.object({ stages: z.array(stageSchema) }).safeParse(file.rounds);
    const points = z.array(pointSchema).safeParse(file.rounds);
    return { ...file, stages: stages.data?.stages ?? [], points: points.data ?? [] };
  });
}
