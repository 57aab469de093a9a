// Kind `emotion`: which of the 28 emotions of GoEmotions (Demszky et al. 2020) a text shows.

import { z } from 'zod';
import type { Analyzer, Row } from './analyzer.ts';
import { calibrate } from './calibration.ts';
import { loadNormalizer } from './normalize.ts';
import { calibrationSchema } from './repository.ts';
import { loadTokenizer } from './tokenizer.ts';

const probability = z.number().min(0).max(1);

const outputSchema = z.object({
  emotions: z
    .array(z.object({ label: z.string(), score: probability }))
    .min(1)
    .describe('Labels whose score reaches the threshold, highest first; the primary emotion if none does'),
  primary_emotion: z.string(),
  primary_score: probability.describe("The model's sigmoid for the primary emotion"),
  all_emotions: z.record(z.string(), probability).describe('All 28 labels'),
  confidence: probability.describe('Calibrated probability that the primary emotion is right'),
  tokens: z.number().int().describe('Tokens that the model read'),
  truncated: z.boolean().describe('True if the text is longer than the model reads'),
});

const fieldsSchema = z.looseObject({
  labels: z.array(z.string()),
  threshold: probability,
  calibration: z.object({ confidence: calibrationSchema }),
});

export const emotion: Analyzer = {
  kind: 'emotion',
  summary: 'The 28 emotions of GoEmotions, each with a score; several may hold at once.',
  optionsSchema: z.strictObject({}),
  outputSchema,
  load: ({ manifest, tokenizerFolder }) => {
    const fields = fieldsSchema.parse(manifest);
    const tokenizer = loadTokenizer(tokenizerFolder);
    const normalize = loadNormalizer(tokenizerFolder);
    return {
      outputs: ['logits'],
      prepare: (text) => {
        const { ids, truncated } = tokenizer.encode(normalize(text), manifest.tokenizer.max_tokens);
        return {
          sequences: [ids],
          finish: ([row]) => ({ ...score(fields, row), tokens: ids.length, truncated }),
        };
      },
    };
  },
};

function score(fields: z.infer<typeof fieldsSchema>, row: Row | undefined): Record<string, unknown> {
  const logits = row?.['logits'] ?? new Float32Array();
  const scored = fields.labels.map((label, index) => ({
    label,
    score: sigmoid(logits[index] ?? Number.NaN),
  }));
  if (scored.some((entry) => Number.isNaN(entry.score))) throw new Error('the model gave no number');
  const ranked = scored.toSorted((a, b) => b.score - a.score);
  const shown = ranked.filter((entry) => entry.score >= fields.threshold);
  const [primary = { label: '', score: 0 }] = ranked;
  return {
    emotions: shown.length > 0 ? shown : [primary],
    primary_emotion: primary.label,
    primary_score: primary.score,
    all_emotions: Object.fromEntries(scored.map((entry) => [entry.label, entry.score])),
    confidence: round(calibrate(fields.calibration.confidence, primary.score)),
  };
}

function sigmoid(logit: number): number {
  return round(1 / (1 + Math.exp(-logit)));
}

/** Five digits: finer than the model's own error, and a third of the bytes. */
function round(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}
