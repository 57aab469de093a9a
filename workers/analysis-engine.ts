// From dispatches to results: jobs gather in a pool, the pool is claimed in the ledger, goes through the model,
// and each job is written as soon as its last item is done. While one pool is in the model, the next is claimed.

import type { Pool as Database } from '../db/client.ts';
import { type Claim, renewLeases, retryJobs, type StatedFact, startJobs } from '../db/attempts.ts';
import type { UnclaimedJob } from '../db/unclaimed.ts';
import {
  type Inference,
  type InferenceResult,
  type InferenceStats,
  type MicroBatch,
  noStats,
} from '../models/inference.ts';
import type { Registry } from '../models/registry.ts';
import type { Config } from '../shared/config.ts';
import { priorities } from '../shared/job.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import type { Dispatch } from '../shared/queues.ts';
import { charactersPerToken, createBatcher, type PoolEntry, type TakenPool } from './batcher.ts';
import { describeCacheUse } from './cached-inference.ts';
import { type CompletionWriter, untilAvailable } from './completion-writer.ts';
import { createDeadlineWatch } from './deadline-watch.ts';
import { createModelPace } from './model-pace.ts';
import { createPoolTuner } from './pool-tuner.ts';
import { describeRun } from './run-record.ts';
import { createPoolsInHand, type PoolInHand } from './pools-in-hand.ts';
import { createSpareWork } from './spare-work.ts';

/** A dispatched job in this worker's hands; `done` settles its share of the dispatch. */
interface Entry extends PoolEntry {
  readonly id: string;
  readonly dispatchId: string;
  readonly done: () => void;
}

export interface AnalysisEngine {
  /** Resolves when every job of the dispatch is terminal, put back, or someone else's. */
  readonly process: (dispatch: Dispatch, dispatchId: string) => Promise<void>;
  /** Prolongs the leases of all jobs in hand. */
  readonly renew: () => Promise<void>;
  /** Lets go of jobs that were canceled or erased: what of them is not in the model yet does not get there. */
  readonly drop: (jobIds: readonly string[]) => void;
  /** From now on pools leave without waiting for company. */
  readonly drain: () => void;
  /** Jobs in hand: waiting, claimed or being written. */
  readonly inHand: () => number;
  /** Milliseconds since a pool was last claimed. */
  readonly sinceClaimMs: () => number;
  /** Milliseconds for an item while the model has work, over the last few pools; undefined before the first. */
  readonly itemMs: () => number | undefined;
}

/** An older pace refuses no work. */
const paceAgeMsMax = 2000;

/** A statement that stores results, with the way to it. */
const storeMs = 50;

/** A run while a job of a better class may come at any moment: about twice what a single text takes, in milliseconds. */
const shortRunMs = 8;

export function createAnalysisEngine(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Database;
  readonly inference: Inference;
  readonly registry: Registry;
  readonly writer: CompletionWriter;
  readonly worker: string;
  /** Called with the number of dispatches of a class that may be in hand. */
  readonly onRoom: (jobClass: number, dispatches: number) => void;
}): AnalysisEngine {
  const { config, log, database, inference, registry, writer } = options;
  const tuner = createPoolTuner({
    goalMs: config.POOL_GOAL_MS,
    tokensMax: config.POOL_TOKENS_MAX,
    waitMsMax: config.POOL_WAIT_MS,
  });
  const batcher = createBatcher<Entry>({
    itemsMax: config.POOL_ITEMS_MAX,
    sharedItemsMax: config.SHARED_POOL_ITEMS_MAX,
    tokensMax: config.POOL_TOKENS_MAX,
    waitMs: config.POOL_WAIT_MS,
    classFloor: config.PRIORITY_FLOOR_PERCENT / 100,
    tune: tuner.limits,
  });
  const held = new Map<string, Claim>();
  /** Takes a job's items out of the pool that it is in, from before the pool is claimed until the job is finished. */
  const drops = new Map<string, () => void>();
  const pace = createModelPace();
  const deadlines = createDeadlineWatch({
    storeMs: config.FLUSH_MS + storeMs,
    drop: (id) => drop([id]),
  });
  const spare = createSpareWork({
    database,
    log,
    poolItems: () =>
      Math.min(config.POOL_ITEMS_MAX, Math.ceil(config.POOL_GOAL_MS / (pace.itemMs() ?? Infinity)) || 1),
    take: (jobs) => {
      const nowMs = performance.now();
      for (const job of jobs) void hold(job, nowMs);
      pump();
    },
  });
  /** Until they are settled here, by id and dispatch: one that was taken over may come in its dispatch as well. */
  const jobsInHand = new Map<string, Promise<void>>();
  const dispatchesInHand = priorities.map(() => 0);
  const inHand = createPoolsInHand();
  let draining = false;
  let lastClaimMs = performance.now();
  let timer: NodeJS.Timeout | undefined;

  /** Takes a job in hand, unless it is there already; resolves when it is settled here. */
  const hold = ({ kind, modelVersion, ...job }: UnclaimedJob, nowMs: number): Promise<void> => {
    const name = `${job.id} ${job.dispatchId}`;
    const known = jobsInHand.get(name);
    if (known !== undefined) return known;
    const settled = new Promise<void>((done) => {
      batcher.add(`${kind}@${modelVersion}`, { ...job, done }, nowMs);
    }).finally(() => jobsInHand.delete(name));
    jobsInHand.set(name, settled);
    return settled;
  };

  /** Sends pools on while there is room for them, and comes back when the next one falls due. */
  const pump = (): void => {
    const state = () => ({ nowMs: performance.now(), draining, inHand });
    for (let taken = batcher.take(state()); taken !== undefined; taken = batcher.take(state())) {
      const pool = inHand.take(taken.entries, taken.urgency);
      const own = taken;
      void analyzePool(own, pool)
        .catch((error: unknown) => abandonPool(own, error))
        .finally(() => {
          pool.leave();
          pump();
        });
    }
    if (!draining && batcher.items() === 0 && inHand.runsOut()) spare.look();
    clearTimeout(timer);
    const dueAtMs = batcher.dueAtMs(state());
    if (dueAtMs !== undefined) timer = setTimeout(pump, Math.max(1, dueAtMs - performance.now()));
    for (const [jobClass, dispatches] of dispatchesInHand.entries()) {
      const full = batcher.items(jobClass) >= config.POOL_ITEMS_MAX * (batcher.shared() ? 2 : 1);
      options.onRoom(jobClass, full ? dispatches : dispatches + 64);
    }
  };

  /** Lets go of a pool after an error of ours: what was not claimed is dispatched again, leases run out by themselves. */
  const abandonPool = (taken: TakenPool<Entry>, error: unknown): void => {
    log.error({ err: error, jobs: taken.entries.length }, 'a pool failed');
    for (const { id, done } of taken.entries) {
      held.delete(id);
      drops.delete(id);
      deadlines.forget(id);
      done();
    }
  };

  const analyzePool = async (taken: TakenPool<Entry>, pool: PoolInHand): Promise<void> => {
    // A cancel is told as soon as the claim is committed, which may be before we hear of the claim ourselves.
    const letGo = new Set<string>();
    for (const { id } of taken.entries) if (!held.has(id)) drops.set(id, () => letGo.add(id));
    const claims = await untilAvailable(() => claimPool(taken), log);
    lastClaimMs = performance.now();
    const waiting = new Map(taken.entries.map((entry) => [entry.id, entry]));
    const claimed = claims.flatMap((claim) => {
      const entry = waiting.get(claim.id);
      waiting.delete(claim.id);
      held.set(claim.id, claim);
      return entry === undefined ? [] : [{ claim, entry }];
    });
    for (const entry of waiting.values()) {
      if (!held.has(entry.id)) drops.delete(entry.id);
      entry.done();
    }
    if (claimed.length > 0) await inferPool(taken, pool, { claimed, letGo });
  };

  const claimPool = (taken: TakenPool<Entry>): Promise<Claim[]> =>
    startJobs(database, {
      jobs: taken.entries.map(({ tenantId, id, dispatchId }) => ({ tenantId, id, dispatchId })),
      worker: options.worker,
      leaseMs: config.LEASE_MS,
      attemptsMax: config.ATTEMPTS_MAX,
      slackMs: slackMs(taken),
    });

  /** About when the last item of a pool that is claimed now will be stored: what is as urgent and in the model goes first. */
  const slackMs = ({ entries, urgency }: TakenPool<Entry>): number => {
    const items = entries.reduce((sum, entry) => sum + entry.items, 0);
    // After a pause only running it can tell how fast the model is now.
    const itemMs = pace.ageMs() < paceAgeMsMax ? (pace.itemMs() ?? 0) : 0;
    return (inHand.itemsAhead(urgency) + items) * itemMs + config.FLUSH_MS + storeMs;
  };

  const inferPool = async (
    taken: TakenPool<Entry>,
    pool: PoolInHand,
    jobsOf: {
      readonly claimed: readonly { claim: Claim; entry: Entry }[];
      readonly letGo: ReadonlySet<string>;
    },
  ): Promise<void> => {
    const { claimed, letGo } = jobsOf;
    const [first] = claimed;
    if (first === undefined) return;
    const { kind, modelVersion } = first.claim;
    const claimedAtMs = performance.now();
    const jobs = claimed.map(({ claim, entry }) => ({ claim, entry, results: new Array<InferenceResult>() }));
    const owners = jobs.flatMap((job) => job.claim.texts.map((text, index) => ({ job, index, text })));
    const dropped = new Set<number>();
    for (const job of jobs) {
      const dropJob = (): void => {
        for (const [place, owner] of owners.entries()) if (owner.job === job) dropped.add(place);
      };
      drops.set(job.claim.id, dropJob);
      if (letGo.has(job.claim.id)) dropJob();
      deadlines.watch(job.claim);
    }
    spare.claimed(owners.length);
    metrics.poolItems.observe({ kind }, owners.length);
    let counted = noStats;
    let itemsRun = 0;
    metrics.poolFlushes.inc({ kind, reason: taken.reason });

    const onResults = (
      results: readonly InferenceResult[],
      microBatch: MicroBatch,
      stats: InferenceStats,
    ): void => {
      const ran = results.filter(({ cached, error }) => cached !== true && error?.code !== 'dropped').length;
      countProgress(kind, ran, counted, stats);
      itemsRun += ran;
      counted = stats;
      pace.count(ran);
      pool.finished(results.length);
      for (const result of results) {
        const owner = owners[result.index];
        if (owner === undefined) continue;
        const { job } = owner;
        job.results.push({ ...result, index: owner.index });
        if (job.results.length === job.claim.texts.length) {
          finish(job, { taken, claimedAtMs, stats, microBatch, poolItems: owners.length });
        }
      }
      pump();
    };
    try {
      const items = owners.map(({ job, text }) => ({
        text,
        options: job.claim.options,
        scope: job.claim.tenantId,
      }));
      if (inference.pending() === 0) pace.wake();
      pool.claimed(items.length);
      const stats = await inference.predict({
        kind,
        version: modelVersion,
        items,
        urgency: pool.urgency,
        ...(inHand.expectsBetter(pool.urgency, performance.now()) ? { runMsMax: shortRunMs } : {}),
        dropped,
        onResults,
      });
      metrics.inferenceSeconds.observe({ kind }, (stats.tokenizeMs + stats.inferenceMs) / 1000);
      const cost = { tokens: estimateTokens(claimed), ms: stats.tokenizeMs + stats.inferenceMs };
      // What of a pool was dropped or known cost nothing, so such a pool teaches nothing.
      if (itemsRun === owners.length) tuner.observe(taken.key, cost, inference.cost(kind, modelVersion));
      if (!batcher.holds(pool.urgency, inHand)) writer.flush(pool.urgency);
    } catch (error) {
      log.error({ err: error }, 'inference failed');
      await giveBack(jobs.filter((job) => job.results.length < job.claim.texts.length));
    }
  };

  const finish = (
    job: { claim: Claim; entry: Entry; results: InferenceResult[] },
    run: {
      taken: TakenPool<Entry>;
      claimedAtMs: number;
      stats: InferenceStats;
      microBatch: MicroBatch;
      poolItems: number;
    },
  ): void => {
    const { claim, entry, results } = job;
    const { taken } = run;
    const isLate = deadlines.forget(claim.id) && results.some(({ error }) => error?.code === 'dropped');
    if (isLate) metrics.expired.inc();
    metrics.queueWaitSeconds.observe({ kind: claim.kind }, claim.queueMs / 1000);
    const record = describeRun({ ...run, nowMs: performance.now(), reason: taken.reason });
    metrics.batchWaitSeconds.observe({ kind: claim.kind }, record.timing.batch_wait / 1000);
    const completion = {
      ...claim,
      expired: isLate,
      results: results.sort((a, b) => a.index - b.index),
      facts:
        claim.userId === null
          ? []
          : results.flatMap(({ index, output }) => stateFacts(claim.kind, index, output)),
      timing: record.timing,
      execution: {
        attempt: claim.attempt,
        worker: options.worker,
        device: inference.provider(claim.kind, claim.modelVersion),
        ...record.execution,
        cache: describeCacheUse(results),
      },
    };
    drops.delete(claim.id);
    void writer.write(completion, taken.urgency).then(() => {
      held.delete(claim.id);
      entry.done();
    });
  };

  const drop = (jobIds: readonly string[]): void => {
    for (const id of jobIds) drops.get(id)?.();
  };

  const stateFacts = (kind: string, itemIndex: number, output: string | undefined): StatedFact[] => {
    const toFacts = registry.analyzers.find((analyzer) => analyzer.kind === kind)?.toFacts;
    if (output === undefined || toFacts === undefined) return [];
    const facts = toFacts(JSON.parse(output));
    return facts.map((fact, ordinal) => ({ ...fact, itemIndex, ordinal }));
  };

  const giveBack = async (jobs: readonly { claim: Claim; entry: Entry }[]): Promise<void> => {
    const error = { code: 'inference_unavailable', detail: 'The model process could not be started' };
    const attempt = Math.max(1, ...jobs.map((job) => job.claim.attempt));
    const args = { delayMs: 500 * 2 ** attempt, attemptsMax: config.ATTEMPTS_MAX, error };
    await untilAvailable(
      () =>
        retryJobs(
          database,
          jobs.map((job) => job.claim),
          args,
        ),
      log,
    );
    for (const { claim, entry } of jobs) {
      held.delete(claim.id);
      drops.delete(claim.id);
      deadlines.forget(claim.id);
      entry.done();
    }
  };

  return {
    process: (dispatch, dispatchId) => {
      const nowMs = performance.now();
      const count = (change: 1 | -1): void => {
        dispatchesInHand[dispatch.class] = (dispatchesInHand[dispatch.class] ?? 0) + change;
      };
      count(1);
      inHand.saw(dispatch.class, nowMs);
      const { tenantId, class: jobClass, kind, modelVersion } = dispatch;
      const all = dispatch.jobIds.map((id, index) => {
        const size = { items: dispatch.items[index] ?? 1, characters: dispatch.characters[index] ?? 1 };
        return hold({ tenantId, class: jobClass, kind, modelVersion, id, dispatchId, ...size }, nowMs);
      });
      pump();
      return Promise.all(all).then(() => count(-1));
    },
    renew: async () => {
      if (held.size === 0) return;
      const claims = [...held.values()].map(({ tenantId, id, attempt }) => ({ tenantId, id, attempt }));
      const kept = await renewLeases(database, claims, config.LEASE_MS);
      const lost = claims.filter(({ id }) => held.has(id) && !kept.has(id));
      if (lost.length > 0) log.warn({ jobs: lost.length }, 'leases were lost');
      drop(claims.filter(({ id }) => kept.get(id) !== 'processing').map(({ id }) => id));
    },
    drop,
    drain: () => {
      draining = true;
      pump();
    },
    inHand: () => jobsInHand.size,
    sinceClaimMs: () => performance.now() - lastClaimMs,
    itemMs: pace.itemMs,
  };
}

/** As the batcher counts them. */
function estimateTokens(jobs: readonly { readonly entry: PoolEntry }[]): number {
  return jobs.reduce((sum, { entry }) => sum + entry.characters, 0) / charactersPerToken;
}

/** What a pool has done since it was counted last; its items are those with a result. */
function countProgress(kind: string, items: number, before: InferenceStats, now: InferenceStats): void {
  metrics.itemsInferred.inc({ kind }, items);
  metrics.microBatches.inc({ kind }, now.microBatches - before.microBatches);
  const padding = (stats: InferenceStats): number => stats.paddedTokens - stats.tokens;
  metrics.tokens.inc({ kind, type: 'real' }, now.tokens - before.tokens);
  metrics.tokens.inc({ kind, type: 'padding' }, padding(now) - padding(before));
}
