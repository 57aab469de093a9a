// Kind `reasoning`: what causes what in a text, sentence by sentence, and what it says would have been otherwise.

import { z } from 'zod';
import { conceptKey, type Fact, readKey, selfKey } from '../shared/fact.ts';
import type { Analyzer, Row } from './analyzer.ts';
import { calibrate } from './calibration.ts';
import { detectLanguage } from './language.ts';
import { straightenQuotes } from './normalize.ts';
import {
  argumentAfter,
  chainTypeOf,
  chainTypes,
  pointsBack,
  relationOf,
  relations,
} from './reasoning-cues.ts';
import { calibrationSchema } from './repository.ts';
import { type Sentence, splitSentences } from './sentences.ts';
import { decodeSpans, logSoftmax, type Span, trimSpan } from './spans.ts';
import { type Encoding, loadTokenizer, type Tokenizer } from './tokenizer.ts';

const probability = z.number().min(0).max(1);
const spanSchema = z
  .object({ text: z.string(), start: z.int(), end: z.int() })
  .describe('A part of the text as it was sent; start and end in UTF-16 code units');

const chainSchema = z.object({
  cause: spanSchema,
  effect: spanSchema,
  signal: spanSchema.nullable().describe('The connective, if there is one'),
  relation: z.enum(relations),
  chain_type: z.enum(chainTypes).describe('By cue words of the sentence'),
  direction: z
    .enum(['confirmed', 'corrected', 'unchecked'])
    .describe(
      'Whether a connective that tells the direction agreed with the model, overruled it, or was absent',
    ),
  strength: probability.describe(
    'How clearly the words are marked: mean probability of the tags of both spans',
  ),
  confidence: probability.describe('Calibrated probability that the sentence states a causal relation'),
  sentence: z.int(),
});

const counterfactualSchema = z.object({
  antecedent: spanSchema,
  consequent: spanSchema.nullable(),
  confidence: probability.describe('Calibrated probability that the sentence is counterfactual'),
  sentence: z.int(),
});

const outputSchema = z.object({
  causal: z.boolean().describe('True if any sentence states a causal relation'),
  confidence: probability.describe('Of `causal`: calibrated, of the sentence that is surest'),
  causal_chains: z.array(chainSchema),
  links: z
    .array(z.object({ from: z.int(), to: z.int() }))
    .describe('Pairs of causal_chains: the effect of the first is the cause of the second'),
  counterfactuals: z.array(counterfactualSchema),
  reasoning_graph: z.object({
    nodes: z.array(z.object({ id: z.string(), label: z.string() })),
    edges: z.array(
      z.object({
        source: z.string(),
        target: z.string(),
        relation: z.enum(relations),
        strength: probability,
      }),
    ),
  }),
  language: z.string().describe('BCP 47 tag that the text looks like, "und" if that does not tell'),
  warnings: z.array(z.object({ code: z.string(), detail: z.string() })),
  sentences: z.int(),
  tokens: z.int(),
  truncated: z.boolean().describe('True if a sentence is longer than the model reads'),
});

type Output = z.output<typeof outputSchema>;
type Chain = z.output<typeof chainSchema>;

const optionsSchema = z.strictObject({
  extract_causal: z.boolean().default(true),
  extract_counterfactual: z.boolean().default(true),
});

const fieldsSchema = z.looseObject({
  thresholds: z.object({ causal: probability, counterfactual: probability }),
  calibration: z.object({ causal: calibrationSchema, counterfactual: calibrationSchema }),
});
type Fields = z.output<typeof fieldsSchema>;

/** A sentence as the model read it: for each word, its first piece and its place in the whole text. */
interface ReadSentence {
  readonly sentence: Sentence;
  readonly encoding: Encoding;
  readonly words: readonly {
    readonly piece: number;
    readonly start: number;
    readonly end: number;
    readonly text: string;
  }[];
}

export const reasoning: Analyzer = {
  kind: 'reasoning',
  input: 'texts',
  summary: 'Causal relations with their spans and direction, chains of them, and counterfactuals.',
  optionsSchema,
  outputSchema,
  toFacts: (output) => toFacts(outputSchema.parse(output)),
  load: ({ manifest, tokenizerFolder }) => {
    const fields = fieldsSchema.parse(manifest);
    const tokenizer = loadTokenizer(tokenizerFolder);
    return {
      outputs: ['causal_logit', 'span_logits', 'counterfactual_logit', 'counterfactual_span_logits'],
      prepare: (text, options) => {
        const wanted = optionsSchema.parse(options);
        const read = readingUnits(text).map((unit) =>
          readSentence(tokenizer, unit, manifest.tokenizer.max_tokens),
        );
        return {
          sequences: read.map(({ encoding }) => encoding.ids),
          finish: (rows) => toOutput(text, read, rows, fields, wanted),
        };
      },
    };
  },
};

/** The sentences; one that points back to its cause ("Therefore, ...") is read together with the one before it. */
function readingUnits(text: string): Sentence[] {
  return splitSentences(text).map((sentence, index, all) => {
    const before = all[index - 1];
    if (before === undefined || !pointsBack(sentence.text)) return sentence;
    return { text: text.slice(before.start, sentence.end), start: before.start, end: sentence.end };
  });
}

function readSentence(tokenizer: Tokenizer, sentence: Sentence, tokensMax: number): ReadSentence {
  const encoding = tokenizer.encode(straightenQuotes(sentence.text), tokensMax);
  const { ids, starts, ends } = encoding;
  const words: { piece: number; start: number; end: number; text: string }[] = [];
  for (let piece = 1; piece < ids.length - 1; piece++) {
    const start = starts[piece] ?? 0;
    const end = ends[piece] ?? 0;
    const last = words.at(-1);
    if (tokenizer.continuesWord(ids[piece] ?? 0) && last !== undefined) {
      last.end = sentence.start + end;
      last.text = sentence.text.slice(last.start - sentence.start, end);
    } else {
      words.push({
        piece,
        start: sentence.start + start,
        end: sentence.start + end,
        text: sentence.text.slice(start, end),
      });
    }
  }
  return { sentence, encoding, words };
}

function toOutput(
  text: string,
  read: readonly ReadSentence[],
  rows: readonly Row[],
  fields: Fields,
  wanted: z.output<typeof optionsSchema>,
): Output {
  const scores = rows.map((row) => ({
    causal: sigmoid(row['causal_logit']?.[0]),
    counterfactual: sigmoid(row['counterfactual_logit']?.[0]),
  }));
  const surest = Math.max(...scores.map(({ causal }) => causal));
  const causal = surest >= fields.thresholds.causal;
  const chains = read.flatMap((sentence, index) => {
    const score = scores[index]?.causal ?? 0;
    if (!wanted.extract_causal || score < fields.thresholds.causal) return [];
    return findChain(text, sentence, rows[index], {
      index,
      confidence: calibrated(fields.calibration.causal, score),
    });
  });
  const counterfactuals = read.flatMap((sentence, index) => {
    const score = scores[index]?.counterfactual ?? 0;
    if (!wanted.extract_counterfactual || score < fields.thresholds.counterfactual) return [];
    const confidence = calibrated(fields.calibration.counterfactual, score);
    return findCounterfactual(text, sentence, rows[index], { index, confidence });
  });
  const language = detectLanguage(text);
  const chance = calibrated(fields.calibration.causal, surest);
  return {
    causal,
    confidence: causal ? chance : round(1 - chance),
    causal_chains: chains,
    links: linkChains(chains),
    counterfactuals,
    reasoning_graph: toGraph(chains),
    language: language.tag,
    warnings: language.english
      ? []
      : [
          {
            code: 'language_not_english',
            detail: 'The text does not look English, the only language the model has learned',
          },
        ],
    sentences: read.length,
    tokens: read.reduce((sum, { encoding }) => sum + encoding.ids.length, 0),
    truncated: read.some(({ encoding }) => encoding.truncated),
  };
}

function findChain(
  text: string,
  read: ReadSentence,
  row: Row | undefined,
  about: { readonly index: number; readonly confidence: number },
): Chain[] {
  const tags = wordScores(read, row?.['span_logits'], 8);
  const texts = read.words.map((word) => word.text);
  const main = tags.map((logits) => logSoftmax(logits.slice(0, 5)));
  const [first, second] = decodeSpans(main, [true, true]).map((span) => trimSpan(span, texts));
  const [signal] = decodeSpans(
    tags.map((logits) => logSoftmax(logits.slice(5))),
    [false],
  ).map((span) => trimSpan(span, texts));
  if (first === undefined || second === undefined) return [];
  // "Because it rained." has one argument; the other that the model then marks is the connective itself.
  if (signal !== undefined && [first, second].some((span) => span[0] >= signal[0] && span[1] <= signal[1]))
    return [];
  const signalText = signal && slice(text, read, signal).text;
  const { cause, effect, direction } = checkDirection(first, second, signal, signalText);
  return [
    {
      cause: slice(text, read, cause),
      effect: slice(text, read, effect),
      signal: signal === undefined ? null : slice(text, read, signal),
      relation: relationOf(signalText),
      chain_type: chainTypeOf(read.sentence.text),
      direction,
      strength: clarity(main, first, second),
      confidence: about.confidence,
      sentence: about.index,
    },
  ];
}

/** A connective such as "because" or "therefore" stands before one argument and so tells which of the two it is. */
function checkDirection(
  cause: Span,
  effect: Span,
  signal: Span | undefined,
  signalText: string | undefined,
): { cause: Span; effect: Span; direction: Chain['direction'] } {
  const told = signalText === undefined ? undefined : argumentAfter(signalText);
  if (signal === undefined || told === undefined) return { cause, effect, direction: 'unchecked' };
  const distance = (span: Span): number =>
    span[1] <= signal[0] ? Infinity : Math.max(0, span[0] - signal[1]);
  if (distance(cause) === distance(effect)) return { cause, effect, direction: 'unchecked' };
  const next = distance(cause) < distance(effect) ? 'cause' : 'effect';
  return next === told
    ? { cause, effect, direction: 'confirmed' }
    : { cause: effect, effect: cause, direction: 'corrected' };
}

/** Mean probability of the tags that the decoder chose for the words of the two spans. */
function clarity(scores: readonly (readonly number[])[], first: Span, second: Span): number {
  const chosen = [first, second].flatMap(([from, to], kind) =>
    scores
      .slice(from, to)
      .map((word) => Math.exp(Math.max(word[2 * kind + 1] ?? -Infinity, word[2 * kind + 2] ?? -Infinity))),
  );
  return round(chosen.reduce((sum, value) => sum + value, 0) / Math.max(1, chosen.length));
}

function findCounterfactual(
  text: string,
  read: ReadSentence,
  row: Row | undefined,
  about: { readonly index: number; readonly confidence: number },
): Output['counterfactuals'] {
  const tags = wordScores(read, row?.['counterfactual_span_logits'], 5).map(logSoftmax);
  const texts = read.words.map((word) => word.text);
  const [antecedent, consequent] = decodeSpans(tags, [true, false]).map((span) => trimSpan(span, texts));
  if (antecedent === undefined) return [];
  return [
    {
      antecedent: slice(text, read, antecedent),
      consequent: consequent === undefined ? null : slice(text, read, consequent),
      confidence: about.confidence,
      sentence: about.index,
    },
  ];
}

/** `[words][classes]`: the logits at the first piece of each word, which is the one that was trained. */
function wordScores(read: ReadSentence, logits: Float32Array | undefined, classes: number): number[][] {
  if (logits === undefined || logits.some(Number.isNaN)) throw new Error('the model gave no number');
  return read.words.map(({ piece }) => Array.from(logits.subarray(piece * classes, (piece + 1) * classes)));
}

function slice(text: string, read: ReadSentence, [first, end]: Span): z.output<typeof spanSchema> {
  const start = read.words[first]?.start ?? 0;
  const stop = read.words[end - 1]?.end ?? start;
  return { text: text.slice(start, stop), start, end: stop };
}

/** An effect that is the cause of a later chain: the same concept, or half of their words in common. */
function linkChains(chains: readonly Chain[]): { from: number; to: number }[] {
  return chains.flatMap((chain, from) =>
    chains.flatMap((later, to) =>
      to > from && isSame(chain.effect.text, later.cause.text) ? [{ from, to }] : [],
    ),
  );
}

function isSame(a: string, b: string): boolean {
  const [keyA, keyB] = [conceptKey(a), conceptKey(b)];
  if (keyA === undefined || keyB === undefined) return false;
  if (keyA === keyB) return true;
  const wordsOf = (key: string) =>
    new Set(
      readKey(key)
        .name.split(' ')
        .filter((word) => word.length > 2),
    );
  const [wordsA, wordsB] = [wordsOf(keyA), wordsOf(keyB)];
  const common = [...wordsA].filter((word) => wordsB.has(word)).length;
  return common > 0 && common / (wordsA.size + wordsB.size - common) >= 0.5;
}

function toGraph(chains: readonly Chain[]): Output['reasoning_graph'] {
  const nodes = new Map<string, string>();
  const edges = chains.flatMap(({ cause, effect, relation, strength }) => {
    const [source, target] = [conceptKey(cause.text), conceptKey(effect.text)];
    if (source === undefined || target === undefined || source === target) return [];
    for (const [key, span] of [
      [source, cause],
      [target, effect],
    ] as const)
      if (!nodes.has(key)) nodes.set(key, span.text);
    return [{ source, target, relation, strength }];
  });
  return { nodes: Array.from(nodes, ([id, label]) => ({ id, label })), edges };
}

/** What the graph of the person learns: cause to effect, and that the person spoke of both. */
function toFacts(output: Output): Fact[] {
  const confidence = new Map(
    output.causal_chains.map((chain) => [conceptKey(chain.cause.text), chain.confidence]),
  );
  const causes = output.reasoning_graph.edges.map(({ source, target, relation }): Fact => {
    return { type: 'causes', source, target, relation, strength: confidence.get(source) ?? 0 };
  });
  const mentions = output.reasoning_graph.nodes.map(
    ({ id }): Fact => ({ type: 'mentions', source: selfKey, target: id, relation: null, strength: 1 }),
  );
  return [...causes, ...mentions];
}

function calibrated(calibration: z.output<typeof calibrationSchema>, score: number): number {
  return round(calibrate(calibration, score));
}

function sigmoid(logit: number | undefined): number {
  if (logit === undefined || Number.isNaN(logit)) throw new Error('the model gave no number');
  return 1 / (1 + Math.exp(-logit));
}

function round(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}
