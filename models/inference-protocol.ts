// What a worker and its inference process say to each other over the IPC channel.

import type { RunCost } from './micro-batch.ts';

/** An item to analyse; `options` have passed the kind's schema. */
export interface InferenceItem {
  readonly text: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Whose results may stand for this one's; without it the item shares none. */
  readonly scope?: string;
}

export interface PredictMessage {
  readonly type: 'predict';
  readonly id: number;
  readonly kind: string;
  readonly version: string;
  readonly items: readonly InferenceItem[];
  /** Lower goes first, between two micro-batches of another pool. */
  readonly urgency: number;
  readonly microBatchItemsMax: number;
  /** What a run of several sequences may take, in milliseconds; no limit if absent. */
  readonly runMsMax?: number | undefined;
}

/** Items of a `predict` that is not done whose results nobody wants any more, by their places. */
export interface DropMessage {
  readonly type: 'drop';
  readonly id: number;
  readonly indices: readonly number[];
}

/**
 * An item's result; `index` is its place in `PredictMessage.items`. `output` is JSON text: written once, where it is
 * made, it goes to the ledger and to the client as it is.
 */
export type InferenceResult =
  | {
      readonly index: number;
      readonly output: string;
      /** Whether it came without a run of its own; absent where nothing is cached. */
      readonly cached?: boolean;
      readonly error?: never;
    }
  | {
      readonly index: number;
      readonly error: { readonly code: string; readonly detail: string };
      readonly cached?: never;
      readonly output?: never;
    };

/** Work done so far in a pool. Times in milliseconds; `paddedTokens` counts real tokens and padding. */
export interface InferenceStats {
  readonly microBatches: number;
  readonly tokens: number;
  readonly paddedTokens: number;
  readonly tokenizeMs: number;
  readonly inferenceMs: number;
}

/** What stands for the result of an item that was dropped. */
export function droppedResult(index: number): InferenceResult {
  return { index, error: { code: 'dropped', detail: 'Nobody wants the result any more' } };
}

/** A model that is loaded and warm, and where it runs. */
export interface ReadyModel {
  readonly kind: string;
  readonly version: string;
  readonly provider: string;
  /** SHA-256 of the weights, in hex. */
  readonly digest: string;
  readonly loadMs: number;
}

export interface ReadyMessage {
  readonly type: 'ready';
  readonly models: readonly ReadyModel[];
}

/** The run that a progress message tells of: sequences, and tokens with padding. */
export interface MicroBatch {
  readonly items: number;
  readonly paddedTokens: number;
}

/** What one micro-batch brought: results, and the pool's figures when they were there. */
export interface Report {
  readonly results: readonly InferenceResult[];
  readonly microBatch: MicroBatch;
  readonly stats: InferenceStats;
}

/** After each few micro-batches: what is finished, and the items of those that run until the next message. */
export interface ProgressMessage {
  readonly type: 'progress';
  readonly id: number;
  readonly reports: readonly Report[];
  readonly running: readonly number[];
  /** What a run of this model costs, as learned so far. */
  readonly cost: RunCost;
}

/** Why the process cannot become ready; it ends after this. */
export interface FailedMessage {
  readonly type: 'failed';
  readonly reason: string;
}

export type ChildMessage = ReadyMessage | FailedMessage | ProgressMessage;

/** What the child is started with, as one JSON argument. */
export interface InferenceSetup {
  readonly modelsDir: string;
  readonly models: readonly { readonly kind: string; readonly version: string }[];
  readonly threads: number;
  /** `cpu` or `cuda:<number>`. */
  readonly device: string;
  /** Where to go on if the device cannot be used: nowhere, or on the CPU. */
  readonly deviceFallback: 'none' | 'cpu';
  /** How far the model process steps back behind others, 0..19; 0 if absent. */
  readonly nice?: number;
  readonly faultInjection: boolean;
}
