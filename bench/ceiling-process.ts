// One process of the model ceiling: prepares its texts, then runs the bare model over them as often as it is told.
// No queue, no tokenizing, no result: what is left is what the model itself costs.

import { z } from 'zod';
import { planMicroBatches } from '../models/micro-batch.ts';
import { createRegistry } from '../models/registry.ts';
import { openArtifact } from '../models/repository.ts';
import { loadSession } from '../models/session.ts';

const setupSchema = z.object({
  kind: z.string(),
  modelsDir: z.string(),
  threads: z.number(),
  microBatchItems: z.number(),
  modelPath: z.string().optional(),
});
const messageSchema = z.union([z.object({ texts: z.array(z.string()) }), z.literal('run')]);

const setup = setupSchema.parse(JSON.parse(process.argv[2] ?? 'null'));
const registry = createRegistry(setup.modelsDir);
const version = registry.resolve(setup.kind)?.version ?? '';
const artifact = openArtifact(setup.modelsDir, setup.kind, version);
const analyzer = registry.analyzers.find(({ kind }) => kind === setup.kind)?.load(artifact);
if (analyzer === undefined) throw new Error(`no kind ${setup.kind}`);
const { outputs, prepare } = analyzer;
const session = await loadSession(setup.modelPath ?? artifact.modelPath, setup.threads);
let batches: (readonly number[])[][] = [];

process.on('disconnect', () => process.exit(0));
process.on('message', (received) => {
  const message = messageSchema.parse(received);
  if (message === 'run') void run();
  else plan(message.texts);
});

function plan(texts: readonly string[]): void {
  const sequences = texts.flatMap((text) => prepare(text, {}).sequences);
  const cut = planMicroBatches(
    sequences.map(({ length }) => length),
    { itemsMax: setup.microBatchItems },
  );
  batches = cut.map((indices) => indices.flatMap((index) => [sequences[index] ?? []]));
  process.send?.({ wallMs: 0, cpuMs: 0 });
}

async function run(): Promise<void> {
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  for (const batch of batches) await session.run(batch, outputs);
  const { user, system } = process.cpuUsage(cpu);
  process.send?.({ wallMs: performance.now() - startedMs, cpuMs: (user + system) / 1000 });
}
