// What a finished job says of its way through the model: how long each part took, and in what company.

import type { InferenceStats, MicroBatch } from '../models/inference.ts';
import type { FlushReason } from './batcher.ts';

export interface RunRecord {
  /** Milliseconds. */
  readonly timing: { readonly batch_wait: number; readonly tokenize: number; readonly inference: number };
  readonly execution: {
    readonly pool_items: number;
    readonly micro_batch_items: number;
    readonly micro_batch_tokens: number;
    /** Tokens with padding to tokens, of the pool so far. */
    readonly padding_ratio: number;
    readonly flush_reason: FlushReason;
  };
}

/** The pool's work so far is the job's inference; what its time in hand has beyond that, it waited. */
export function describeRun(run: {
  readonly claimedAtMs: number;
  readonly nowMs: number;
  readonly stats: InferenceStats;
  readonly microBatch: MicroBatch;
  readonly poolItems: number;
  readonly reason: FlushReason;
}): RunRecord {
  const { stats, microBatch } = run;
  const waitMs = run.nowMs - run.claimedAtMs - stats.tokenizeMs - stats.inferenceMs;
  return {
    timing: {
      batch_wait: threeDigits(waitMs),
      tokenize: threeDigits(stats.tokenizeMs),
      inference: threeDigits(stats.inferenceMs),
    },
    execution: {
      pool_items: run.poolItems,
      micro_batch_items: microBatch.items,
      micro_batch_tokens: microBatch.paddedTokens,
      padding_ratio: threeDigits(stats.paddedTokens / Math.max(1, stats.tokens)),
      flush_reason: run.reason,
    },
  };
}

/** Never below zero, as the timeline shows it. */
function threeDigits(value: number): number {
  return Math.max(0, Math.round(value * 1000) / 1000);
}
