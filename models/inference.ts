// The worker's side of inference: a pool goes in, results come back as they are ready, and whatever happens to the
// process that holds the models costs at most the item that caused it.

import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import {
  type ChildMessage,
  type DropMessage,
  droppedResult,
  type InferenceItem,
  type InferenceResult,
  type InferenceSetup,
  type InferenceStats,
  type MicroBatch,
  type ReadyModel,
} from './inference-protocol.ts';
import type { RunCost } from './micro-batch.ts';
import { createSharedLock } from './shared-lock.ts';

export type { InferenceItem, InferenceResult, InferenceStats, MicroBatch, RunCost };

export interface InferenceOptions extends InferenceSetup {
  readonly microBatchItemsMax: number;
  /** Longest silence of the process while it works, in milliseconds; then it is killed. */
  readonly timeoutMs: number;
  readonly onRestart: (reason: 'crash' | 'timeout') => void;
}

/** A pool of one kind and version. `onResults` is called as micro-batches end, each item exactly once. */
export interface Pool {
  readonly kind: string;
  readonly version: string;
  readonly items: readonly InferenceItem[];
  /** Lower goes first, between two micro-batches of another pool; 0 if absent. */
  readonly urgency?: number;
  /** What a run of several sequences may take, in milliseconds; no limit if absent. */
  readonly runMsMax?: number;
  /**
   * Places of items that nobody wants any more; it may grow while the pool waits or runs. They get the error `dropped`
   * as their result, before the pool begins or a micro-batch later than the next.
   */
  readonly dropped?: ReadonlySet<number>;
  readonly onResults: (
    results: readonly InferenceResult[],
    microBatch: MicroBatch,
    stats: InferenceStats,
  ) => void;
}

export interface Inference {
  /** Resolves once all items of the pool have had their result. Of pools that are equally urgent the first goes first. */
  readonly predict: (pool: Pool) => Promise<InferenceStats>;
  /** Items given to `predict` that have no result yet. */
  readonly pending: () => number;
  /** What a run of a model costs, as its runs taught; undefined before the first. */
  readonly cost: (kind: string, version: string) => RunCost | undefined;
  readonly models: () => readonly ReadyModel[];
  /** Where the model runs, as its process reported it. */
  readonly provider: (kind: string, version: string) => string;
  readonly close: () => Promise<void>;
}

type Report = (results: readonly InferenceResult[], microBatch: MicroBatch, stats: InferenceStats) => void;

/** How one pass over a pool ended: all done, or the process died with these items in the model. */
type PassEnd =
  | { readonly died: false }
  | { readonly died: true; readonly reason: 'crash' | 'timeout'; readonly suspects: ReadonlySet<number> };

/** Nothing done yet. */
export const noStats: InferenceStats = {
  microBatches: 0,
  tokens: 0,
  paddedTokens: 0,
  tokenizeMs: 0,
  inferenceMs: 0,
};

/** An item that killed its process this often, alone, is poison. Twice, since the first may be someone else's doing. */
const lonelyDeathsMax = 2;

/**
 * Starts the inference process and loads the models.
 * @throws Error if the process ends before it is ready (its words are on our stderr).
 */
export async function startInference(options: InferenceOptions): Promise<Inference> {
  let child = await startChild(options);
  let replacement: Promise<void> | undefined;
  const predictions = new Set<Promise<unknown>>();
  const lock = createSharedLock();
  let pending = 0;
  let nextId = 0;
  let closed = false;
  const costs = new Map<string, RunCost>();

  /** Sends `indices` of the pool through the process once; reports what came back in terms of the pool. */
  const pass = async (pool: Pool, indices: readonly number[], report: Report) => {
    const { process: used } = child;
    const end = await runPass(used, options, {
      id: nextId++,
      pool: { ...pool, items: indices.flatMap((index) => pool.items[index] ?? []) },
      dropped: () =>
        pool.dropped === undefined || pool.dropped.size === 0
          ? []
          : indices.flatMap((index, position) => (pool.dropped?.has(index) ? [position] : [])),
      report: (results, microBatch, stats) =>
        report(
          results.map((result) => ({ ...result, index: indices[result.index] ?? -1 })),
          microBatch,
          stats,
        ),
      learn: (cost) => costs.set(`${pool.kind}@${pool.version}`, cost),
    });
    if (end.died) await replaceChild(used, end.reason);
    return end;
  };

  /** Once for each process that died, whoever of those that it served comes first. */
  const replaceChild = async (dead: ChildProcess, reason: 'crash' | 'timeout'): Promise<void> => {
    if (closed) throw new Error('the inference process ended while it was being closed');
    if (child.process !== dead) return;
    replacement ??= (async () => {
      options.onRestart(reason);
      child = await startChild(options);
    })().finally(() => {
      replacement = undefined;
    });
    await replacement;
  };

  /** @param open the items without a result; each result takes its item out. */
  const predictNow = async (pool: Pool, open: Set<number>): Promise<InferenceStats> => {
    let total = noStats;
    let finished = noStats;
    const report: Report = (results, microBatch, stats) => {
      const fresh = results.filter((result) => open.delete(result.index));
      pending -= fresh.length;
      total = addStats(finished, stats);
      pool.onResults(fresh, microBatch, total);
    };
    let suspects: number[] = [];
    for (;;) {
      const unwanted = [...open].filter((index) => pool.dropped?.has(index));
      if (unwanted.length > 0) report(unwanted.map(droppedResult), { items: 0, paddedTokens: 0 }, noStats);
      if (open.size === 0) return total;
      const group = [...open].filter((index) => !suspects.includes(index));
      const [suspect] = suspects.filter((index) => open.has(index));
      if (group.length > 0) {
        const end = await lock.share(() => pass(pool, group, report));
        if (end.died) suspects = suspects.concat(group.filter((_, position) => end.suspects.has(position)));
      } else if (suspect !== undefined) {
        const end = await lock.alone(() => predictAlone(pool, suspect, report));
        if (end.died) report([poisoned(suspect, end.reason)], { items: 1, paddedTokens: 0 }, noStats);
      }
      finished = total;
    }
  };

  /** While nothing else is in the process, so that its death is this item's doing. */
  const predictAlone = async (pool: Pool, index: number, report: Report): Promise<PassEnd> => {
    let end = await pass(pool, [index], report);
    for (let deaths = 1; end.died && deaths < lonelyDeathsMax; deaths++)
      end = await pass(pool, [index], report);
    return end;
  };

  return {
    predict: (pool) => {
      pending += pool.items.length;
      const open = new Set(pool.items.keys());
      // In a turn of its own, so that what is dropped in this one does not go to the process.
      const result = Promise.resolve()
        .then(() => predictNow(pool, open))
        .finally(() => {
          // Nothing, unless the process could not be replaced.
          pending -= open.size;
          predictions.delete(result);
        });
      predictions.add(result);
      return result;
    },
    pending: () => pending,
    cost: (kind, version) => costs.get(`${kind}@${version}`),
    models: () => child.models,
    provider: (kind, version) =>
      child.models.find((model) => model.kind === kind && model.version === version)?.provider ?? 'none',
    close: async () => {
      closed = true;
      await Promise.allSettled(predictions);
      child.process.disconnect();
      await once(child.process, 'exit');
    },
  };
}

function poisoned(index: number, reason: 'crash' | 'timeout'): InferenceResult {
  const error = {
    crash: { code: 'item_crashed_model', detail: 'The model process died on this text alone' },
    timeout: { code: 'item_timed_out', detail: 'The model did not finish this text in time' },
  };
  return { index, error: error[reason] };
}

/** The work of both. */
export function addStats(a: InferenceStats, b: InferenceStats): InferenceStats {
  return {
    microBatches: a.microBatches + b.microBatches,
    tokens: a.tokens + b.tokens,
    paddedTokens: a.paddedTokens + b.paddedTokens,
    tokenizeMs: a.tokenizeMs + b.tokenizeMs,
    inferenceMs: a.inferenceMs + b.inferenceMs,
  };
}

interface Child {
  readonly process: ChildProcess;
  readonly models: readonly ReadyModel[];
}

function startChild(options: InferenceOptions): Promise<Child> {
  const { modelsDir, models, threads, device, deviceFallback, faultInjection, nice = 0 } = options;
  const setup = {
    modelsDir,
    models,
    threads,
    device,
    deviceFallback,
    faultInjection,
    nice,
    parentPid: process.pid,
  };
  const child = fork(join(import.meta.dirname, 'inference-process.js'), [JSON.stringify(setup)], {
    serialization: 'advanced',
    execArgv: [],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) =>
      reject(new Error(`the inference process ended before it was ready (${signal ?? code})`)),
    );
    child.once('error', reject);
    child.once('message', (message: ChildMessage) => {
      if (message.type === 'failed') return reject(new Error(message.reason));
      if (message.type !== 'ready') return reject(new Error('the inference process spoke out of turn'));
      child.removeAllListeners('exit');
      resolve({ process: child, models: message.models });
    });
  });
}

/** One `predict` message and the progress it brings, until all items are reported or the process is gone. */
function runPass(
  child: ChildProcess,
  options: InferenceOptions,
  work: {
    id: number;
    pool: Pool;
    dropped: () => readonly number[];
    report: Report;
    learn: (cost: RunCost) => void;
  },
): Promise<PassEnd> {
  const { id, pool, report } = work;
  const told = new Set<number>();
  let open = pool.items.length;
  let running: readonly number[] = [...pool.items.keys()];
  let timedOut = false;
  return new Promise((resolve) => {
    const silence = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs);
    const end = (result: PassEnd): void => {
      clearTimeout(silence);
      child.off('exit', onExit).off('message', onMessage);
      resolve(result);
    };
    const onExit = (): void =>
      end({ died: true, reason: timedOut ? 'timeout' : 'crash', suspects: new Set(running) });
    const tellDropped = (): void => {
      const indices = work.dropped().filter((index) => !told.has(index));
      for (const index of indices) told.add(index);
      const drop: DropMessage = { type: 'drop', id, indices };
      if (indices.length > 0) child.send(drop, (error) => error && child.kill('SIGKILL'));
    };
    const onMessage = (message: ChildMessage): void => {
      if (message.type !== 'progress') return;
      // Whichever pool it is that goes on: the process does, and this pool may be waiting behind that one.
      silence.refresh();
      if (message.id !== id) return tellDropped();
      running = message.running;
      work.learn(message.cost);
      for (const { results, microBatch, stats } of message.reports) {
        open -= results.length;
        report(results, microBatch, stats);
      }
      if (open === 0) return end({ died: false });
      tellDropped();
    };
    if (hasEnded(child)) return end({ died: true, reason: 'crash', suspects: new Set() });
    child.on('exit', onExit).on('message', onMessage);
    child.send(
      {
        type: 'predict',
        id,
        kind: pool.kind,
        version: pool.version,
        items: pool.items,
        urgency: pool.urgency ?? 0,
        microBatchItemsMax: options.microBatchItemsMax,
        runMsMax: pool.runMsMax,
      },
      (error) => error && child.kill('SIGKILL'),
    );
  });
}

function once(child: ChildProcess, event: 'exit'): Promise<void> {
  return new Promise((resolve) => {
    if (hasEnded(child)) resolve();
    else child.once(event, () => resolve());
  });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
