// What a kind of analysis is. A new kind is one file that exports an `Analyzer`, one line in registry.ts,
// a folder of weights and a golden file; validation, OpenAPI, batching and storage follow from this contract.

import type { z } from 'zod';
import type { Fact } from '../shared/fact.ts';
import type { Artifact } from './repository.ts';

/** A kind as everyone sees it: cheap to import, loads nothing. */
export interface Kind {
  readonly kind: string;
  /** What a job of this kind takes: 1 to 100 texts, or a person whose stored analyses it reads. */
  readonly input: 'texts' | 'person';
  /** One sentence for the OpenAPI document. */
  readonly summary: string;
  /** What a client may put into `options`; its defaults are written into the job. */
  readonly optionsSchema: z.ZodType<Record<string, unknown>>;
  /** The contract of an item's `output`. */
  readonly outputSchema: z.ZodType;
}

/** A kind that runs texts through a model. */
export interface Analyzer extends Kind {
  readonly input: 'texts';
  /** What an output states about the person whose text it was, for their graph. */
  readonly toFacts?: (output: unknown) => readonly Fact[];
  /** Reads tokenizer and manifest. Called in the inference process only. */
  readonly load: (artifact: Artifact) => LoadedAnalyzer;
}

export interface LoadedAnalyzer {
  /** Names of the graph's outputs that `finish` wants. */
  readonly outputs: readonly string[];
  readonly prepare: (text: string, options: Readonly<Record<string, unknown>>) => PreparedItem;
}

/** One item on its way through the model: token sequences in, an output of `outputSchema` when all have run. */
export interface PreparedItem {
  /** Token ids with [CLS] and [SEP], each at most the model's maximum; at least one sequence. */
  readonly sequences: readonly (readonly number[])[];
  /** @param rows one per sequence, in the same order. */
  readonly finish: (rows: readonly Row[]) => unknown;
}

/**
 * A sequence's share of the graph's outputs by name: `[classes]` for a sentence head, `[tokens × classes]` for a
 * token head, without padding.
 */
export type Row = Readonly<Record<string, Float32Array>>;
