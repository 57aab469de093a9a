// What a client may ask of kind `emotion`, and the contract of its answers, with units and ranges.

import { z } from 'zod';

const contextMessagesMax = 10;
const messageCharactersMax = 10_000;

const probability = z.number().min(0).max(1);
const valence = z.number().min(-1).max(1);
/** Labels with their sigmoids, 0..1. */
export const labels = z.array(z.object({ label: z.string(), score: probability })).min(1);

const message = z
  .string()
  .min(1)
  .max(messageCharactersMax)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'Holds NUL or ill-formed Unicode');

export const optionsSchema = z.strictObject({
  granularity: z
    .enum(['document', 'sentence'])
    .default('document')
    .describe('With sentence, each sentence is read by itself too, and long texts are read whole'),
  include_all: z.boolean().default(true).describe('Whether all_emotions is in the output'),
  context_messages: z
    .array(message)
    .max(contextMessagesMax)
    .default([])
    .describe('What was said before each text, oldest first; read by the same model for `adjusted`'),
  baseline: z
    .strictObject({ valence, arousal: probability })
    .optional()
    .describe("The person's usual state, for `adjusted` and `deviation`"),
});

const sentenceSchema = z.object({
  text: z.string(),
  start: z.int().describe('Where the sentence starts in the text as it was sent, in UTF-16 code units'),
  end: z.int().describe('Where it ends, exclusive'),
  emotions: labels.describe('As for the text'),
  primary_emotion: z.string(),
  primary_score: probability,
  confidence: probability,
  intensity: probability,
  valence,
  arousal: probability,
  tokens: z.int(),
  truncated: z.boolean().describe('True if the sentence is longer than the model reads'),
});

export const outputSchema = z.object({
  emotions: labels.describe(
    'Labels whose score reaches the threshold, highest first; the primary emotion if none does',
  ),
  primary_emotion: z.string().describe('The label with the highest score'),
  primary_score: probability.describe("The model's sigmoid for the primary emotion, 0..1"),
  all_emotions: z
    .record(z.string(), probability)
    .optional()
    .describe('All 28 labels with their sigmoids, 0..1; absent with include_all false'),
  confidence: probability.describe('Calibrated probability that the primary emotion is right, 0..1'),
  intensity: probability.describe(
    'How strongly the text puts its emotion, 0..1: the highest score but neutral, raised by marks of emphasis',
  ),
  valence: valence.describe(
    'How pleasant, -1..1: mean of the ratings of the words of `emotions` (Warriner et al. 2013), by score',
  ),
  arousal: probability.describe('How excited, 0 (calm) to 1: from the same ratings'),
  adjusted: z
    .object({
      valence,
      arousal: probability,
      method: z.literal('weighted_mean'),
      weights: z.object({ text: probability, context: probability, baseline: probability }),
    })
    .nullable()
    .describe(
      'Valence and arousal as a weighted mean of the text (1), the context messages (1/2 for the newest, then halved) and the baseline (1/4); null if neither was given. `weights` are the shares of the three',
    ),
  deviation: z
    .object({ valence: z.number().min(-2).max(2), arousal: z.number().min(-1).max(1) })
    .nullable()
    .describe('The text less the baseline; null without one'),
  is_sarcastic: z
    .boolean()
    .nullable()
    .describe('Null if that cannot be said; see `sarcasm` and, for how often it is right, the model card'),
  sarcasm: z
    .object({
      score: probability.nullable(),
      probability: probability.nullable(),
      reason: z.string().nullable(),
    })
    .describe(
      "The sarcasm head's sigmoid and the calibrated probability that the text is sarcastic, 0..1, and why is_sarcastic is null. It changes no other figure",
    ),
  mixed_emotions: z
    .array(
      z.object({ labels: z.tuple([z.string(), z.string()]), scores: z.tuple([probability, probability]) }),
    )
    .describe('Pairs of a positive and a negative emotion at once, clearest first; the stronger one leads'),
  sentences: z
    .array(sentenceSchema)
    .optional()
    .describe('With granularity sentence, in order; fields as for the text'),
  language: z.string().describe('BCP 47 tag that the text looks like, "und" if that does not tell'),
  warnings: z
    .array(z.object({ code: z.string(), detail: z.string() }))
    .describe('What limits this answer: language_not_english, document_averaged, context_truncated'),
  tokens: z.int().describe('Tokens of the text that the model read, without the context messages'),
  truncated: z.boolean().describe('True if a part of the text was not read'),
});

export type EmotionOptions = z.output<typeof optionsSchema>;
export type EmotionOutput = z.output<typeof outputSchema>;
