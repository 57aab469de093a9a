// The child process in which the models run. It may block, crash or grow as it likes: the parent, which renews the
// locks, only waits for messages, and replaces it when it dies.

import { z } from 'zod';
import type { LoadedAnalyzer, PreparedItem, Row } from './analyzer.ts';
import {
  type ChildMessage,
  droppedResult,
  type InferenceItem,
  type InferenceResult,
  type PredictMessage,
} from './inference-protocol.ts';
import { planMicroBatches } from './micro-batch.ts';
import { createRegistry } from './registry.ts';
import { openArtifact, verifyArtifact } from './repository.ts';
import { loadSession, type ModelSession } from './session.ts';

const setupSchema = z.object({
  modelsDir: z.string(),
  models: z.array(z.object({ kind: z.string(), version: z.string() })),
  threads: z.number(),
  faultInjection: z.boolean(),
});

const predictSchema = z.object({
  type: z.literal('predict'),
  id: z.number(),
  kind: z.string(),
  version: z.string(),
  items: z.array(z.object({ text: z.string(), options: z.record(z.string(), z.unknown()) })),
  microBatchItemsMax: z.number(),
});

const messageSchema = z.discriminatedUnion('type', [
  predictSchema,
  z.object({ type: z.literal('drop'), id: z.number(), indices: z.array(z.number()) }),
]);

/** The pool that runs, and those of its items that are to be let go of before the next micro-batch. */
const current = { id: -1, dropped: new Set<number>() };

interface LoadedModel {
  readonly analyzer: LoadedAnalyzer;
  readonly session: ModelSession;
  readonly loadMs: number;
}

type Setup = z.infer<typeof setupSchema>;

/** A sequence of a pool: the item it belongs to and its place there. */
interface Sequence {
  readonly item: number;
  readonly place: number;
  readonly ids: readonly number[];
}

await main(setupSchema.parse(JSON.parse(process.argv[2] ?? 'null')));

async function main(setup: Setup): Promise<void> {
  process.on('disconnect', () => process.exit(0));
  // A signal to the whole process group must not kill the model while the worker drains; the worker ends us.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => undefined);
  const registry = createRegistry(setup.modelsDir);
  const models = new Map<string, LoadedModel>();
  const ready = [];
  for (const { kind, version } of setup.models) {
    const analyzer = registry.analyzers.find((candidate) => candidate.kind === kind);
    if (analyzer === undefined) throw new Error(`no kind ${kind}`);
    const started = performance.now();
    const artifact = openArtifact(setup.modelsDir, kind, version);
    verifyArtifact(artifact);
    const session = await loadSession(artifact.modelPath, setup.threads);
    const model = { analyzer: analyzer.load(artifact), session, loadMs: performance.now() - started };
    await warm(model);
    models.set(`${kind}@${version}`, model);
    ready.push({ kind, version, provider: session.provider, loadMs: model.loadMs });
  }
  let queue = Promise.resolve();
  process.on('message', (received) => {
    const message = messageSchema.parse(received);
    if (message.type === 'drop') {
      if (message.id === current.id) for (const index of message.indices) current.dropped.add(index);
      return;
    }
    queue = queue.then(() => predict(models, message, setup.faultInjection));
  });
  send({ type: 'ready', models: ready });
}

/** One run before the first job, since the first run of a graph costs several times the others. */
async function warm({ analyzer, session }: LoadedModel): Promise<void> {
  const { sequences } = analyzer.prepare('This first sentence only warms the model.', {});
  await session.run(sequences, analyzer.outputs);
}

async function predict(
  models: Map<string, LoadedModel>,
  message: PredictMessage,
  faults: boolean,
): Promise<void> {
  const model = models.get(`${message.kind}@${message.version}`);
  current.id = message.id;
  current.dropped.clear();
  const started = performance.now();
  const { prepared, results } = prepareAll(model?.analyzer, message.items, faults);
  const sequences = prepared.flatMap((item, index) =>
    (item?.sequences ?? []).map((ids, place): Sequence => ({ item: index, place, ids })),
  );
  const plan = planMicroBatches(
    sequences.map(({ ids }) => ids.length),
    message.microBatchItemsMax,
  );
  const rows = prepared.map((item): (Row | undefined)[] => (item?.sequences ?? []).map(() => undefined));
  const stats = {
    microBatches: 0,
    tokens: 0,
    paddedTokens: 0,
    tokenizeMs: performance.now() - started,
    inferenceMs: 0,
  };
  const batches = plan.map((indices) => indices.flatMap((index) => sequences[index] ?? []));
  const running = (batch: number) => [...new Set((batches[batch] ?? []).map(({ item }) => item))];
  send({
    type: 'progress',
    id: message.id,
    results,
    running: running(0),
    microBatch: { items: 0, paddedTokens: 0 },
    stats,
  });

  for (const [number, planned] of batches.entries()) {
    const letGo = takeDropped(prepared);
    const batch = planned.filter(({ item }) => prepared[item] !== undefined);
    if (batch.length === 0 && letGo.length === 0) continue;
    const before = performance.now();
    if (faults) await injectFault(batch, message.items);
    const finished = batch.length === 0 ? [] : await runBatch(model, batch, prepared, rows);
    for (const { index } of finished) prepared[index] = undefined;
    const longest = Math.max(0, ...batch.map(({ ids }) => ids.length));
    const microBatch = { items: batch.length, paddedTokens: batch.length * longest };
    stats.microBatches += 1;
    stats.tokens += batch.reduce((sum, { ids }) => sum + ids.length, 0);
    stats.paddedTokens += microBatch.paddedTokens;
    stats.inferenceMs += performance.now() - before;
    const next = running(number + 1);
    send({
      type: 'progress',
      id: message.id,
      results: [...letGo, ...finished],
      running: next,
      microBatch,
      stats: { ...stats },
    });
    await new Promise(setImmediate);
  }
}

/** Takes the items to be dropped out of `prepared`, whose finished items are out of it already. */
function takeDropped(prepared: (PreparedItem | undefined)[]): InferenceResult[] {
  const taken = [...current.dropped].filter((index) => prepared[index] !== undefined);
  current.dropped.clear();
  for (const index of taken) prepared[index] = undefined;
  return taken.map(droppedResult);
}

/** Tokenizes; an item that cannot be prepared is a failed result of its own and never the pool's. */
function prepareAll(
  analyzer: LoadedAnalyzer | undefined,
  items: readonly InferenceItem[],
  faults: boolean,
): { prepared: (PreparedItem | undefined)[]; results: InferenceResult[] } {
  const results: InferenceResult[] = [];
  const prepared = items.map(({ text, options }, index) => {
    try {
      if (analyzer === undefined) throw new Error('this worker has not loaded that model');
      if (faults && text.includes('soma:fault:throw')) throw new Error('injected');
      return analyzer.prepare(text, options);
    } catch (error) {
      results.push({ index, error: { code: 'preparation_failed', detail: messageOf(error) } });
      return undefined;
    }
  });
  return { prepared, results };
}

/** Runs one micro-batch and finishes the items whose last sequence it held. */
async function runBatch(
  model: LoadedModel | undefined,
  batch: readonly Sequence[],
  prepared: readonly (PreparedItem | undefined)[],
  rows: readonly (Row | undefined)[][],
): Promise<InferenceResult[]> {
  if (model === undefined) return [];
  const answers = await model.session.run(
    batch.map(({ ids }) => ids),
    model.analyzer.outputs,
  );
  const touched = new Set<number>();
  batch.forEach(({ item, place }, index) => {
    const own = rows[item];
    if (own !== undefined) own[place] = answers[index];
    touched.add(item);
  });
  return [...touched].flatMap((index) => finish(index, prepared[index], rows[index] ?? []));
}

function finish(
  index: number,
  item: PreparedItem | undefined,
  rows: readonly (Row | undefined)[],
): InferenceResult[] {
  const complete = rows.filter((row) => row !== undefined);
  if (item === undefined || complete.length < rows.length) return [];
  try {
    return [{ index, output: item.finish(complete) }];
  } catch (error) {
    return [{ index, error: { code: 'inference_failed', detail: messageOf(error) } }];
  }
}

/** Only with FAULT_INJECTION: a text can crash or hang the process, as a broken model would. */
async function injectFault(batch: readonly Sequence[], items: readonly InferenceItem[]): Promise<void> {
  const texts = batch.map(({ item }) => items[item]?.text ?? '');
  if (texts.some((text) => text.includes('soma:fault:abort'))) process.abort();
  if (texts.some((text) => text.includes('soma:fault:hang')))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (texts.some((text) => text.includes('soma:fault:slow')))
    await new Promise((done) => setTimeout(done, 300));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function send(message: ChildMessage): void {
  process.send?.(message);
}
