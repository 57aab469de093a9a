// Inference that runs equal items of a tenant once: what the cache has is not run again, and what is being run is
// waited for. Between the engine and the model process, with the interface of the latter.

import {
  addStats,
  type Inference,
  type InferenceItem,
  type InferenceResult,
  type InferenceStats,
  type MicroBatch,
  noStats,
  type Pool,
} from '../models/inference.ts';
import { droppedResult, type ReadyModel } from '../models/inference-protocol.ts';
import { metrics } from '../shared/metrics.ts';
import { keyOf, prefixOf, type ResultCache } from './result-cache.ts';

/** A pool with what is known of it. An item is in the model, or waits for its equal, or has its result. */
interface Run {
  readonly pool: Pool;
  /** Items without a result. */
  readonly open: Set<number>;
  /** What those of its items run that others may wait for. */
  readonly leads: Map<number, Flight>;
  /** What its other items wait for. */
  readonly waits: Map<number, Waiting>;
  /** The work of each pass through the model so far. */
  readonly passes: InferenceStats[];
  passesOpen: number;
  /** Its `predict` has ended: it has no use for results. */
  ended: boolean;
  readonly resolve: (stats: InferenceStats) => void;
  readonly reject: (error: unknown) => void;
}

/** A question that is in the model or on its way there. */
interface Flight {
  readonly key: string;
  readonly scope: string;
  /** Of the pool that it goes with. */
  readonly urgency: number;
  readonly mark: number;
  readonly model: ReadyModel;
  /** Equal items, in the order in which they came. */
  readonly waiting: Set<Waiting>;
}

/** An item that waits for what another one runs. */
interface Waiting {
  readonly run: Run;
  readonly index: number;
  readonly flight: Flight;
}

const noMicroBatch: MicroBatch = { items: 0, paddedTokens: 0 };

/**
 * Results that come from the cache or from an equal item are `cached`; while the cache is closed, nothing is shared.
 * An equal item shares a failure too, which is final and about the text alone, but failures are not kept. A run that
 * was dropped says nothing: the next of those that waited is run.
 */
export function createCachedInference(inference: Inference, cache: ResultCache): Inference {
  const runs = new Set<Run>();
  const flights = new Map<string, Flight>();

  /** Sends items through the model, in a pass of their own. */
  const infer = (run: Run, indices: readonly number[]): void => {
    const { pool } = run;
    const pass = run.passes.push(noStats) - 1;
    run.passesOpen += 1;
    const onResults: Pool['onResults'] = (results, microBatch, stats) => {
      run.passes[pass] = stats;
      const own = results.map((result) => ({ ...result, index: indices[result.index] ?? -1 }));
      deliver(land(run, own), { run, microBatch });
    };
    const items = indices.flatMap((index) => pool.items[index] ?? []);
    const dropped = pool.dropped === undefined ? {} : { dropped: among(pool.dropped, indices) };
    inference.predict({ ...pool, items: withoutScope(items), ...dropped, onResults }).then(
      () => {
        run.passesOpen -= 1;
        settle(run);
      },
      (error: unknown) => fail(run, indices, error),
    );
  };

  /** Ends the flights that these results were awaited for. @returns the results of each pool, promoted items aside */
  const land = (run: Run, results: readonly InferenceResult[]): Map<Run, InferenceResult[]> => {
    const outcomes = new Map<Run, InferenceResult[]>([[run, []]]);
    const add = (of: Run, result: InferenceResult): unknown =>
      outcomes.get(of)?.push(result) ?? outcomes.set(of, [result]);
    const next: Waiting[] = [];
    for (const result of results) {
      const flight = run.leads.get(result.index);
      run.leads.delete(result.index);
      const isOurs = flight !== undefined && result.output !== undefined;
      add(run, isOurs ? { ...result, cached: false } : result);
      if (flight === undefined) continue;
      if (result.error?.code === 'dropped') {
        next.push(...handOver(flight));
        continue;
      }
      flights.delete(flight.key);
      if (result.output !== undefined && isStill(flight.model, inference))
        cache.set(flight.key, { ...flight, output: result.output });
      for (const { run: other, index } of flight.waiting) {
        other.waits.delete(index);
        add(other, result.output === undefined ? { ...result, index } : { ...result, index, cached: true });
      }
    }
    for (const waiting of runs) for (const index of dropWaiting(waiting)) add(waiting, droppedResult(index));
    inferAll(next);
    return outcomes;
  };

  /** Lets those that wait and are dropped wait no longer. @returns them */
  const dropWaiting = ({ pool, waits }: Run): readonly number[] => {
    const { dropped } = pool;
    if (dropped === undefined || dropped.size === 0) return [];
    const gone = [...waits.keys()].filter((index) => dropped.has(index));
    for (const index of gone) stopWaiting(waits, index);
    return gone;
  };

  /** Tells each pool of its results; the micro-batch was that of one of them. */
  const deliver = (
    outcomes: ReadonlyMap<Run, readonly InferenceResult[]>,
    ran: { readonly run: Run; readonly microBatch: MicroBatch },
  ): void => {
    for (const [run, results] of outcomes) {
      if (run.ended) continue;
      const fresh = results.filter(({ index }) => run.open.delete(index));
      const total = run.passes.reduce(addStats, noStats);
      run.pool.onResults(fresh, run === ran.run ? ran.microBatch : noMicroBatch, total);
      settle(run);
    }
  };

  /** Lets the next item that waits take the flight on. @returns it, to be run; nothing if nobody waits */
  const handOver = (flight: Flight): readonly Waiting[] => {
    for (const next of flight.waiting) {
      const { run, index } = next;
      if (run.pool.dropped?.has(index)) continue;
      flight.waiting.delete(next);
      run.waits.delete(index);
      run.leads.set(index, flight);
      return [next];
    }
    flights.delete(flight.key);
    return [];
  };

  const inferAll = (items: readonly Waiting[]): void => {
    for (const run of new Set(items.map((item) => item.run)))
      infer(
        run,
        items.filter((item) => item.run === run).map(({ index }) => index),
      );
  };

  const settle = (run: Run): void => {
    if (run.ended || run.open.size > 0 || run.passesOpen > 0) return;
    run.ended = true;
    runs.delete(run);
    run.resolve(run.passes.reduce(addStats, noStats));
  };

  /** A pass could not be made: its pool has failed, and others that waited for it try for themselves. */
  const fail = (run: Run, indices: readonly number[], error: unknown): void => {
    run.ended = true;
    runs.delete(run);
    for (const index of run.waits.keys()) stopWaiting(run.waits, index);
    const left = indices.flatMap((index) => run.leads.get(index) ?? []);
    run.reject(error);
    inferAll(left.flatMap(handOver));
    for (const waiting of runs) {
      const results = dropWaiting(waiting).map(droppedResult);
      if (results.length > 0) deliver(new Map([[waiting, results]]), { run, microBatch: noMicroBatch });
    }
  };

  /** Sorts the items of a pool into those that have their result, those that wait and those to be run. */
  const begin = (run: Run): { readonly known: InferenceResult[]; readonly toRun: number[] } => {
    const { kind, version, items, urgency = 0, dropped } = run.pool;
    const model = modelOf(inference, kind, version);
    const known: InferenceResult[] = [];
    const toRun: number[] = [];
    // Those of a job follow one another.
    let last: { scope?: string; options?: object; prefix: string } = { prefix: '' };
    for (const [index, { scope, options, text }] of items.entries()) {
      if (dropped?.has(index)) {
        known.push(droppedResult(index));
        continue;
      }
      if (scope === undefined || model === undefined) {
        toRun.push(index);
        continue;
      }
      if (scope !== last.scope || options !== last.options)
        last = { scope, options, prefix: prefixOf({ ...model, scope, options }) };
      const key = keyOf(last.prefix, text);
      const output = cache.get(key);
      const flight = flights.get(key);
      if (output !== undefined) {
        metrics.cacheHits.inc({ kind });
        known.push({ index, output, cached: true });
      } else if (flight !== undefined && flight.urgency > urgency) {
        // To wait for a pool that can wait would take longer than to run it.
        metrics.cacheMisses.inc({ kind });
        toRun.push(index);
      } else if (flight !== undefined) {
        metrics.cacheCoalesced.inc({ kind });
        const one = { run, index, flight };
        flight.waiting.add(one);
        run.waits.set(index, one);
      } else {
        metrics.cacheMisses.inc({ kind });
        const own: Flight = { key, scope, urgency, model, mark: cache.mark(), waiting: new Set() };
        flights.set(key, own);
        run.leads.set(index, own);
        toRun.push(index);
      }
    }
    return { known, toRun };
  };

  return {
    ...inference,
    predict: (pool) => {
      if (!cache.isOpen()) return inference.predict({ ...pool, items: withoutScope(pool.items) });
      return new Promise((resolve, reject) => {
        const run: Run = {
          pool,
          open: new Set(pool.items.keys()),
          leads: new Map(),
          waits: new Map(),
          passes: [],
          passesOpen: 0,
          ended: false,
          resolve,
          reject,
        };
        runs.add(run);
        const { known, toRun } = begin(run);
        if (toRun.length > 0) infer(run, toRun);
        if (known.length > 0) deliver(new Map([[run, known]]), { run, microBatch: noMicroBatch });
        settle(run);
      });
    },
  };
}

/** The model process has no use for it. */
function withoutScope(items: readonly InferenceItem[]): readonly InferenceItem[] {
  return items.map(({ text, options }) => ({ text, options }));
}

function stopWaiting(waits: Map<number, Waiting>, index: number): void {
  const one = waits.get(index);
  waits.delete(index);
  one?.flight.waiting.delete(one);
}

function modelOf(inference: Inference, kind: string, version: string): ReadyModel | undefined {
  return inference.models().find((model) => model.kind === kind && model.version === version);
}

/** Whether the same weights run at the same place: a process that was replaced may have found others. */
function isStill({ kind, version, digest, provider }: ReadyModel, inference: Inference): boolean {
  const now = modelOf(inference, kind, version);
  return now?.digest === digest && now.provider === provider;
}

/** How far the cache spared a job the model, from what its results say. */
export function describeCacheUse(results: readonly InferenceResult[]): 'hit' | 'miss' | 'mixed' | 'none' {
  const told = results.flatMap(({ cached }) => cached ?? []);
  if (told.length === 0) return 'none';
  if (told.every((one) => one)) return 'hit';
  return told.some((one) => one) ? 'mixed' : 'miss';
}

/** Those of `all` that are among `indices`, by their places there; grows as `all` does. */
function among(all: ReadonlySet<number>, indices: readonly number[]): ReadonlySet<number> {
  const now = (): Set<number> =>
    new Set(all.size === 0 ? [] : indices.flatMap((index, place) => (all.has(index) ? [place] : [])));
  return {
    get size() {
      return now().size;
    },
    has: (place) => all.has(indices[place] ?? -1),
    forEach: (each) => now().forEach(each),
    keys: () => now().keys(),
    values: () => now().values(),
    entries: () => now().entries(),
    [Symbol.iterator]: () => now().values(),
  };
}
