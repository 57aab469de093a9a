// The child process in which the models run. It may block, crash or grow as it likes: the parent, which renews the
// locks, only waits for messages, and replaces it when it dies.

import { getPriority, setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import type { LoadedAnalyzer, PreparedItem, Row } from './analyzer.ts';
import {
  type ChildMessage,
  droppedResult,
  type InferenceItem,
  type InferenceResult,
  type PredictMessage,
  type ReadyModel,
  type Report,
} from './inference-protocol.ts';
import { planMicroBatches } from './micro-batch.ts';
import { createRunQueue } from './run-queue.ts';
import { createRunCostModel, type RunCostModel } from './run-cost.ts';
import { createRegistry } from './registry.ts';
import { openArtifact, verifyArtifact } from './repository.ts';
import { loadSession, type ModelSession } from './session.ts';

const setupSchema = z.object({
  modelsDir: z.string(),
  models: z.array(z.object({ kind: z.string(), version: z.string() })),
  threads: z.number(),
  device: z.string(),
  deviceFallback: z.enum(['none', 'cpu']),
  faultInjection: z.boolean(),
  nice: z.number(),
  parentPid: z.number(),
});

const predictSchema = z.object({
  type: z.literal('predict'),
  id: z.number(),
  kind: z.string(),
  version: z.string(),
  items: z.array(z.object({ text: z.string(), options: z.record(z.string(), z.unknown()) })),
  urgency: z.number(),
  microBatchItemsMax: z.number(),
  runMsMax: z.number().optional(),
});

const messageSchema = z.discriminatedUnion('type', [
  predictSchema,
  z.object({ type: z.literal('drop'), id: z.number(), indices: z.array(z.number()) }),
]);

interface LoadedModel {
  readonly analyzer: LoadedAnalyzer;
  readonly session: ModelSession;
  readonly digest: string;
  readonly loadMs: number;
  readonly cost: RunCostModel;
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
  if (getPriority() < setup.nice) setPriority(setup.nice);
  process.on('disconnect', () => process.exit(0));
  // A signal to the whole process group must not kill the model while the worker drains; the worker ends us.
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => undefined);
  new Worker(new URL('./watch-parent.js', import.meta.url), { workerData: setup.parentPid }).unref();
  const models = new Map<string, LoadedModel>();
  const ready: ReadyModel[] = [];
  try {
    for (const model of setup.models) {
      const loaded = await loadModel(setup, model);
      models.set(`${model.kind}@${model.version}`, loaded);
      const { digest, loadMs, session } = loaded;
      ready.push({ ...model, provider: session.provider, digest, loadMs });
    }
  } catch (error) {
    send({ type: 'failed', reason: messageOf(error) });
    throw error;
  }
  const runs = createRunQueue();
  /** Of each pool that is not done, the items that are to be let go of before its next micro-batch. */
  const drops = new Map<number, Set<number>>();
  process.on('message', (received) => {
    const message = messageSchema.parse(received);
    if (message.type === 'drop') {
      for (const index of message.indices) drops.get(message.id)?.add(index);
      return;
    }
    const dropped = new Set<number>();
    drops.set(message.id, dropped);
    const steps = predict(models, message, { dropped, faults: setup.faultInjection });
    runs.add({ urgency: message.urgency, steps, ended: () => drops.delete(message.id) });
  });
  send({ type: 'ready', models: ready });
}

/** Loads and warms one model, on the device or, where that is allowed, on the CPU instead; the parent is told which. */
async function loadModel(setup: Setup, { kind, version }: Setup['models'][number]): Promise<LoadedModel> {
  const { modelsDir, threads, device, deviceFallback } = setup;
  const started = performance.now();
  const analyzer = createRegistry(modelsDir).analyzers.find((candidate) => candidate.kind === kind);
  if (analyzer === undefined) throw new Error(`no kind ${kind}`);
  const open = async (on: string) => {
    const artifact = openArtifact(modelsDir, kind, version, on);
    verifyArtifact(artifact);
    return { artifact, session: await loadSession(artifact.modelPath, threads, on) };
  };
  const { artifact, session } = await open(device).catch((error: unknown) => {
    if (device === 'cpu' || deviceFallback === 'none') throw error;
    console.error(`${messageOf(error)}; DEVICE_FALLBACK=cpu, so ${kind} runs on the CPU`);
    return open('cpu');
  });
  const loaded = analyzer.load(artifact);
  await warm(loaded, session);
  const loadMs = performance.now() - started;
  return { analyzer: loaded, session, digest: artifact.sha256, loadMs, cost: createRunCostModel() };
}

/** One run before the first job, since the first run of a graph costs several times the others. */
async function warm(analyzer: LoadedAnalyzer, session: ModelSession): Promise<void> {
  const { sequences } = analyzer.prepare('This first sentence only warms the model.', {});
  await session.run(sequences, analyzer.outputs);
}

/** Takes a pool through its model; each step is a micro-batch at most, so that others can go between two of them. */
async function* predict(
  models: ReadonlyMap<string, LoadedModel>,
  message: PredictMessage,
  { dropped, faults }: { readonly dropped: Set<number>; readonly faults: boolean },
): AsyncGenerator<void, void, void> {
  const model = models.get(`${message.kind}@${message.version}`);
  const cost = model?.cost ?? createRunCostModel();
  const started = performance.now();
  const { prepared, results } = prepareAll(model?.analyzer, message.items, faults);
  const sequences = prepared.flatMap((item, index) =>
    (item?.sequences ?? []).map((ids, place): Sequence => ({ item: index, place, ids })),
  );
  const lengths = sequences.map(({ ids }) => ids.length);
  const runLimits = { itemsMax: message.microBatchItemsMax, msMax: message.runMsMax };
  const plan = planMicroBatches(lengths, runLimits, cost.read());
  const rows = prepared.map((item): (Row | undefined)[] => (item?.sequences ?? []).map(() => undefined));
  const tokenizeMs = performance.now() - started;
  const stats = { microBatches: 0, tokens: 0, paddedTokens: 0, tokenizeMs, inferenceMs: 0 };
  const batches = plan.map((indices) => indices.flatMap((index) => sequences[index] ?? []));
  const reporter = createReporter(message.id, batches, cost);
  reporter.add(0, { results, microBatch: { items: 0, paddedTokens: 0 }, stats: { ...stats } });
  for (const [number, planned] of batches.entries()) {
    const letGo = takeDropped(dropped, prepared);
    const batch = planned.filter(({ item }) => prepared[item] !== undefined);
    const before = performance.now();
    if (faults) await injectFault(batch, message.items);
    const finished = batch.length === 0 ? [] : await runBatch(model, batch, prepared, rows);
    for (const { index } of finished) prepared[index] = undefined;
    const longest = Math.max(0, ...batch.map(({ ids }) => ids.length));
    const microBatch = { items: batch.length, paddedTokens: batch.length * longest };
    const ms = performance.now() - before;
    if (batch.length > 0) cost.observe(microBatch.paddedTokens, ms);
    stats.microBatches += batch.length > 0 ? 1 : 0;
    stats.tokens += batch.reduce((sum, { ids }) => sum + ids.length, 0);
    stats.paddedTokens += microBatch.paddedTokens;
    stats.inferenceMs += ms;
    reporter.add(number + 1, { results: [...letGo, ...finished], microBatch, stats: { ...stats } });
    yield;
  }
}

/** How long results wait in this process for others to be told with them. */
const reportMs = 40;
/** Micro-batches of one message: if the process dies, their items are tried again one by one. */
const reportBatchesMax = 4;

/** Tells the parent what is done in messages of a few micro-batches each: a message costs both sides a wake-up. */
function createReporter(id: number, batches: readonly (readonly Sequence[])[], cost: RunCostModel) {
  let reports: Report[] = [];
  let until = 0;
  let sentAtMs = performance.now();
  return {
    /** @param next the number of the micro-batch that runs after this */
    add: (next: number, report: Report): void => {
      reports.push(report);
      if (next < until && performance.now() - sentAtMs < 2 * reportMs) return;
      until = next;
      const { fixedMs, perTokenMs } = cost.read();
      const upcoming: Sequence[] = [];
      let ms = 0;
      do {
        const batch = batches[until] ?? [];
        upcoming.push(...batch);
        ms += fixedMs + perTokenMs * batch.length * (batch.at(-1)?.ids.length ?? 0);
        until += 1;
      } while (until < batches.length && until < next + reportBatchesMax && ms < reportMs);
      const running = [...new Set(upcoming.map(({ item }) => item))];
      send({ type: 'progress', id, reports, running, cost: { fixedMs, perTokenMs } });
      reports = [];
      sentAtMs = performance.now();
    },
  };
}

/** Takes the items to be dropped out of `prepared`, whose finished items are out of it already. */
function takeDropped(dropped: Set<number>, prepared: (PreparedItem | undefined)[]): InferenceResult[] {
  const taken = [...dropped].filter((index) => prepared[index] !== undefined);
  dropped.clear();
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
    return [{ index, output: JSON.stringify(item.finish(complete)) }];
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

/** Nobody is left to work for when the worker cannot be told: it was killed. */
function send(message: ChildMessage): void {
  process.send?.(message, undefined, undefined, (error) => {
    if (error !== null) process.exit(0);
  });
}
