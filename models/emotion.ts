// Kind `emotion`: which of the 28 emotions of GoEmotions (Demszky et al. 2020) a text shows, and what follows from
// them: affect, intensity, mixture, sarcasm. The model's own scores are given as they are; what is adjusted for a
// conversation or a person stands beside them.

import { z } from 'zod';
import { type Fact, selfKey } from '../shared/fact.ts';
import type { Analyzer, Row } from './analyzer.ts';
import { type Affect, adjustAffect, affectOf, affectOfAll, mixedPairs } from './emotion-affect.ts';
import { intensityOf } from './emotion-intensity.ts';
import { detectLanguage } from './emotion-language.ts';
import {
  type EmotionFields,
  emotionFieldsSchema,
  judgeSarcasm,
  meanScores,
  round,
  type Scores,
  scoreLabels,
} from './emotion-scores.ts';
import { loadNormalizer } from './normalize.ts';
import { type Sentence, splitSentences } from './sentences.ts';
import { loadTokenizer } from './tokenizer.ts';

/** More sentences of one text are not read, and the answer says so. 10,000 characters of prose have about 130. */
const sentencesMax = 256;
const contextMessagesMax = 10;
const messageCharactersMax = 10_000;

const probability = z.number().min(0).max(1);
const valence = z.number().min(-1).max(1);
const labels = z.array(z.object({ label: z.string(), score: probability })).min(1);

const message = z
  .string()
  .min(1)
  .max(messageCharactersMax)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'Holds NUL or ill-formed Unicode');

const optionsSchema = z.strictObject({
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

const outputSchema = z.object({
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
  is_sarcastic: z.boolean().nullable().describe('Null if that cannot be said; see `sarcasm`'),
  sarcasm: z
    .object({ score: probability.nullable(), reason: z.string().nullable() })
    .describe("The sarcasm head's sigmoid, 0..1, and why is_sarcastic is null. It changes no other figure"),
  mixed_emotions: z
    .array(
      z.object({ labels: z.tuple([z.string(), z.string()]), scores: z.tuple([probability, probability]) }),
    )
    .describe('Pairs of a positive and a negative emotion at once, clearest first; the stronger one leads'),
  sentences: z.array(sentenceSchema).optional().describe('With granularity sentence, in order'),
  language: z.string().describe('BCP 47 tag that the text looks like, "und" if that does not tell'),
  warnings: z.array(z.object({ code: z.string(), detail: z.string() })),
  tokens: z.int().describe('Tokens of the text that the model read, without the context messages'),
  truncated: z.boolean().describe('True if a part of the text was not read'),
});

type Output = z.output<typeof outputSchema>;

/** A piece of text as the model reads it; `place` is its sequence in the item. */
interface Reading {
  readonly text: string;
  readonly place: number;
  readonly tokens: number;
  readonly truncated: boolean;
}

/** Everything of one item that goes through the model. */
interface Readings {
  readonly document: Reading;
  /** Empty with granularity document. */
  readonly sentences: readonly (Sentence & Reading)[];
  /** Whether `sentencesMax` left some out. */
  readonly sentencesLeftOut: boolean;
  readonly context: readonly Reading[];
}

export const emotion: Analyzer = {
  kind: 'emotion',
  input: 'texts',
  summary:
    'The 28 emotions of GoEmotions, each with a score; several may hold at once. With valence, arousal, intensity, mixed emotions and sarcasm.',
  optionsSchema,
  outputSchema,
  toFacts: (output) => toFacts(outputSchema.parse(output)),
  load: ({ manifest, tokenizerFolder }) => {
    const fields = emotionFieldsSchema.parse(manifest);
    for (const label of fields.labels) affectOf(label);
    const tokenizer = loadTokenizer(tokenizerFolder);
    const normalize = loadNormalizer(tokenizerFolder);
    const encode = (text: string) => tokenizer.encode(normalize(text), manifest.tokenizer.max_tokens);
    return {
      outputs: fields.sarcasm === undefined ? ['logits'] : ['logits', 'sarcasm_logit'],
      prepare: (text, options) => {
        const wanted = optionsSchema.parse(options);
        const { sequences, readings } = readAll(text, wanted, encode);
        return { sequences, finish: (rows) => toOutput(fields, wanted, readings, rows) };
      },
    };
  },
};

/** The item's sequences, each once: a text of one sentence is not run twice. */
function readAll(
  text: string,
  { granularity, context_messages: messages }: z.output<typeof optionsSchema>,
  encode: (text: string) => { readonly ids: readonly number[]; readonly truncated: boolean },
): { sequences: (readonly number[])[]; readings: Readings } {
  const sequences: (readonly number[])[] = [];
  const places = new Map<string, number>();
  const read = (part: string): Reading => {
    const { ids, truncated } = encode(part);
    const key = ids.join(' ');
    const place = places.get(key) ?? sequences.push(ids) - 1;
    places.set(key, place);
    return { text: part, place, tokens: ids.length, truncated };
  };
  const document = read(text);
  const sentences = granularity === 'sentence' ? splitSentences(text) : [];
  return {
    sequences,
    readings: {
      document,
      sentences: sentences
        .slice(0, sentencesMax)
        .map((sentence) => ({ ...sentence, ...read(sentence.text) })),
      sentencesLeftOut: sentences.length > sentencesMax,
      context: messages.map(read),
    },
  };
}

function toOutput(
  fields: EmotionFields,
  wanted: z.output<typeof optionsSchema>,
  readings: Readings,
  rows: readonly Row[],
): Output {
  const { document, sentences, context } = readings;
  const scoresOf = ({ place }: Reading): Scores => scoreLabels(fields, rows[place]);
  const averaged = document.truncated && sentences.length > 0;
  const scores = averaged
    ? meanScores(
        fields,
        sentences.map((sentence) => ({ scores: scoresOf(sentence), tokens: sentence.tokens })),
      )
    : scoresOf(document);
  const summary = summarize(document.text, scores);
  const { sarcastic, score, reason } = judgeSarcasm(fields, rows[document.place]);
  const language = detectLanguage(document.text);
  return {
    ...summary,
    ...(wanted.include_all
      ? { all_emotions: Object.fromEntries(scores.all.map((entry) => [entry.label, entry.score])) }
      : {}),
    ...relate(
      summary,
      wanted.baseline,
      context.map((reading) => affectOfAll(scoresOf(reading).shown)),
    ),
    is_sarcastic: sarcastic,
    sarcasm: { score, reason },
    mixed_emotions: mixedPairs(scores.all).map((pair) => ({
      labels: [...pair.labels],
      scores: [...pair.scores],
    })),
    ...(wanted.granularity === 'sentence'
      ? { sentences: sentences.map((sentence) => toSentence(sentence, scoresOf(sentence))) }
      : {}),
    language: language.tag,
    warnings: findWarnings({ english: language.english, averaged, sarcasm: score !== null }),
    tokens: averaged ? sentences.reduce((sum, { tokens }) => sum + tokens, 0) : document.tokens,
    truncated: averaged
      ? readings.sentencesLeftOut || sentences.some(({ truncated }) => truncated)
      : document.truncated,
  };
}

/** What a text and a sentence of it have in common. */
function summarize(text: string, { all, shown, confidence }: Scores) {
  const [primary] = shown;
  const strongest = Math.max(...all.map(({ label, score }) => (label === 'neutral' ? 0 : score)));
  const affect = affectOfAll(shown);
  return {
    emotions: [...shown],
    primary_emotion: primary.label,
    primary_score: primary.score,
    confidence,
    intensity: round(intensityOf(text, strongest)),
    valence: round(affect.valence),
    arousal: round(affect.arousal),
  };
}

function relate(
  text: Affect,
  baseline: Affect | undefined,
  context: readonly Affect[],
): Pick<Output, 'adjusted' | 'deviation'> {
  const adjusted = adjustAffect(text, { context, baseline });
  return {
    adjusted:
      adjusted === undefined
        ? null
        : {
            valence: round(adjusted.valence),
            arousal: round(adjusted.arousal),
            method: 'weighted_mean',
            weights: {
              text: round(adjusted.weights.text),
              context: round(adjusted.weights.context),
              baseline: round(adjusted.weights.baseline),
            },
          },
    deviation:
      baseline === undefined
        ? null
        : {
            valence: round(text.valence - baseline.valence),
            arousal: round(text.arousal - baseline.arousal),
          },
  };
}

function toSentence({ text, start, end, tokens, truncated }: Sentence & Reading, scores: Scores) {
  return { text, start, end, ...summarize(text, scores), tokens, truncated };
}

function findWarnings(found: {
  readonly english: boolean;
  readonly averaged: boolean;
  readonly sarcasm: boolean;
}): Output['warnings'] {
  const warnings: Output['warnings'] = [];
  if (!found.english) {
    warnings.push({
      code: 'language_not_english',
      detail: 'The models learned from English; for this text the figures may mean little',
    });
  }
  if (found.averaged) {
    warnings.push({
      code: 'document_averaged',
      detail: `The text is longer than the model reads: its figures are means over its sentences, weighted by their tokens${found.sarcasm ? '; sarcasm is judged by its beginning' : ''}`,
    });
  }
  return warnings;
}

/** The person feels each emotion that is shown, but for neutral. */
function toFacts({ emotions }: Output): Fact[] {
  return emotions.flatMap(({ label, score }) =>
    label === 'neutral'
      ? []
      : [{ type: 'feels', source: selfKey, target: `emotion:${label}`, relation: null, strength: score }],
  );
}
