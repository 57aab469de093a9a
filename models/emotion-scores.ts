// From the graph's outputs for one sequence to scored labels, and what the sarcasm head makes of it.

import { z } from 'zod';
import type { Row } from './analyzer.ts';
import { calibrate } from './calibration.ts';
import type { ScoredLabel } from './emotion-affect.ts';
import { calibrationSchema } from './repository.ts';

const probability = z.number().min(0).max(1);

/** What the manifest of an emotion model says beyond every manifest. */
export const emotionFieldsSchema = z.looseObject({
  labels: z.array(z.string()).min(1),
  threshold: probability,
  calibration: z.looseObject({ confidence: calibrationSchema }),
  sarcasm: z
    .looseObject({ unsure: z.tuple([probability, probability]), calibration: calibrationSchema })
    .optional(),
});

export type EmotionFields = z.output<typeof emotionFieldsSchema>;

/** The labels of one text: all in the model's order, and those that are shown, highest first. */
export interface Scores {
  readonly all: readonly ScoredLabel[];
  readonly shown: readonly [ScoredLabel, ...ScoredLabel[]];
  /** Calibrated probability that the first shown label is right. */
  readonly confidence: number;
}

/** Whether a text is sarcastic; null with the reason if that cannot be said. */
export interface Sarcasm {
  readonly sarcastic: boolean | null;
  /** The head's sigmoid. */
  readonly score: number | null;
  /** Calibrated probability that the text is sarcastic. */
  readonly probability: number | null;
  readonly reason: string | null;
}

/** @throws Error if the graph gave no number for a label. */
export function scoreLabels(fields: EmotionFields, row: Row | undefined): Scores {
  const logits = row?.['logits'];
  return rankLabels(
    fields,
    fields.labels.map((label, index) => ({ label, score: sigmoid(logits?.[index]) })),
  );
}

/** The mean over several sequences of one text, each weighted by its tokens. */
export function meanScores(
  fields: EmotionFields,
  parts: readonly { readonly scores: Scores; readonly tokens: number }[],
): Scores {
  const total = parts.reduce((sum, { tokens }) => sum + tokens, 0);
  return rankLabels(
    fields,
    fields.labels.map((label, index) => {
      const sum = parts.reduce((so, { scores, tokens }) => so + (scores.all[index]?.score ?? 0) * tokens, 0);
      return { label, score: round(sum / total) };
    }),
  );
}

/** False below the manifest's unsure range, true above it, null within and without a head. */
export function judgeSarcasm({ sarcasm }: EmotionFields, row: Row | undefined): Sarcasm {
  const logits = row?.['sarcasm_logit'];
  if (sarcasm === undefined || logits === undefined) {
    const reason = 'This version of the model has no sarcasm head';
    return { sarcastic: null, score: null, probability: null, reason };
  }
  const score = sigmoid(logits[0]);
  const probability = round(calibrate(sarcasm.calibration, score));
  const [low, high] = sarcasm.unsure;
  if (score < low || score >= high) return { sarcastic: score >= high, score, probability, reason: null };
  const reason = `The model is unsure: its score lies between ${low} and ${high}`;
  return { sarcastic: null, score, probability, reason };
}

/** Five digits: finer than the model's own error, and a third of the bytes. */
export function round(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}

function rankLabels(fields: EmotionFields, all: readonly ScoredLabel[]): Scores {
  const [primary, ...others] = all.toSorted((a, b) => b.score - a.score);
  if (primary === undefined) throw new Error('the manifest has no labels');
  return {
    all,
    shown: [primary, ...others.filter(({ score }) => score >= fields.threshold)],
    confidence: round(calibrate(fields.calibration.confidence, primary.score)),
  };
}

function sigmoid(logit: number | undefined): number {
  if (logit === undefined || Number.isNaN(logit)) throw new Error('the model gave no number');
  return round(1 / (1 + Math.exp(-logit)));
}
