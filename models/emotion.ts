// Kind `emotion`: which of the 28 emotions of GoEmotions (Demszky et al. 2020) a text shows, and what follows from
// them: affect, intensity, mixture, sarcasm. The model's own scores are given as they are; what is adjusted for a
// conversation or a person stands beside them.

import { z } from 'zod';
import { type Fact, selfKey } from '../shared/fact.ts';
import type { Analyzer, Row } from './analyzer.ts';
import { type Affect, adjustAffect, affectOf, affectOfAll, mixedPairs } from './emotion-affect.ts';
import { intensityOf } from './emotion-intensity.ts';
import { detectLanguage } from './language.ts';
import {
  labels,
  type EmotionOptions,
  optionsSchema,
  type EmotionOutput,
  outputSchema,
} from './emotion-schema.ts';
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

/** What facts come from; an older version's output has it too. */
const factsOutputSchema = z.object({ emotions: labels });

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
  toFacts: (output) => toFacts(factsOutputSchema.parse(output)),
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
  { granularity, context_messages: messages }: EmotionOptions,
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
  wanted: EmotionOptions,
  readings: Readings,
  rows: readonly Row[],
): EmotionOutput {
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
  const { sarcastic, ...sarcasm } = judgeSarcasm(fields, rows[document.place]);
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
    sarcasm,
    mixed_emotions: mixedPairs(scores.all).map((pair) => ({
      labels: [...pair.labels],
      scores: [...pair.scores],
    })),
    ...(wanted.granularity === 'sentence'
      ? { sentences: sentences.map((sentence) => toSentence(sentence, scoresOf(sentence))) }
      : {}),
    language: language.tag,
    warnings: findWarnings({
      english: language.english,
      averaged,
      sarcasm: sarcasm.score !== null,
      contextCut: context.some(({ truncated }) => truncated),
    }),
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
): Pick<EmotionOutput, 'adjusted' | 'deviation'> {
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
  readonly contextCut: boolean;
}): EmotionOutput['warnings'] {
  const warnings: EmotionOutput['warnings'] = [];
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
  if (found.contextCut) {
    warnings.push({
      code: 'context_truncated',
      detail: 'A context message is longer than the model reads; of it the beginning was read',
    });
  }
  return warnings;
}

/** The person feels each emotion that is shown, but for neutral. */
function toFacts({ emotions }: z.output<typeof factsOutputSchema>): Fact[] {
  return emotions.flatMap(({ label, score }) =>
    label === 'neutral'
      ? []
      : [{ type: 'feels', source: selfKey, target: `emotion:${label}`, relation: null, strength: score }],
  );
}
