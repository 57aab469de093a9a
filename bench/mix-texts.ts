// The texts of the simulated users: each one once, or as many as the former system's load test had different inputs,
// over and over. Emotions come from GoEmotions, reasons from the corpora of cause and effect, where they lie beside the repository.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';
import { readCsv } from './csv.ts';
import { createRandom, pickIndex } from './random.ts';
import { generateTexts } from './texts.ts';

export interface TextSource {
  /** For the report. */
  readonly description: string;
  readonly emotion: () => string;
  readonly reasoning: () => string;
}

const data = join(packageRoot, '../shared/data');
const generatedTexts = 40_000;
/** Its load test sent twenty texts for each of a hundred users, 2,000 inputs to its cache; ours would see twenty. */
const repeatedTextsEach = 1000;

/** Every text is given once; where a corpus ends it begins again with the number of the round at each end. */
export function uniqueTexts(seed: number): TextSource {
  const emotions = mix(readEmotions(seed), createRandom(seed));
  const reasons = mix(readReasons(seed), createRandom(seed + 1));
  return {
    description: `unique: ${emotions.length} of emotions, ${reasons.length} of reasons, then numbered`,
    emotion: takeEach(emotions),
    reasoning: takeEach(reasons),
  };
}

/** Two thousand texts, half of each sort, again and again. */
export function repeatedTexts(seed: number): TextSource {
  const random = createRandom(seed);
  const few = (texts: readonly string[]) => mix(texts.slice(0, 10_000), random).slice(0, repeatedTextsEach);
  const emotions = few(readEmotions(seed));
  const reasons = few(readReasons(seed));
  return {
    description: `repeated: ${emotions.length} of emotions and ${reasons.length} of reasons`,
    emotion: () => emotions[pickIndex(random, emotions.length)] ?? '',
    reasoning: () => reasons[pickIndex(random, reasons.length)] ?? '',
  };
}

/** In random order, by a sort: taking each out of its place would take seconds for so many. */
function mix(texts: readonly string[], random: () => number): readonly string[] {
  const keyed = texts.map((text) => ({ text, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ text }) => text);
}

function takeEach(texts: readonly string[]): () => string {
  let taken = 0;
  return () => {
    const round = Math.floor(taken / texts.length);
    const text = texts[taken++ % texts.length] ?? '';
    return round === 0 ? text : `${text} (${round})`;
  };
}

function readEmotions(seed: number): readonly string[] {
  const paths = ['train', 'dev'].map((name) => join(data, `goemotions/${name}.tsv`));
  if (!paths.every((path) => existsSync(path))) return generateTexts(generatedTexts, seed);
  const lines = paths.flatMap((path) => readFileSync(path, 'utf8').split('\n'));
  return distinct(lines.map((line) => line.split('\t')[0]));
}

function readReasons(seed: number): readonly string[] {
  const causal = ['altlex_train', 'cnc_train_sentences', 'semeval2010t8_train'];
  const paths = causal.map((name) => join(data, `causal/${name}.csv`));
  const unreal = join(data, 'counterfactual/semeval2020t5_sentences_train.csv');
  if (![...paths, unreal].every((path) => existsSync(path))) {
    const halves = generateTexts(2 * generatedTexts, seed + 1);
    return halves.slice(0, generatedTexts).map((half, index) => {
      return `${half.slice(0, 60)} because ${halves[generatedTexts + index]?.slice(0, 60) ?? ''}`;
    });
  }
  return distinct([
    ...paths.flatMap((path) => readCsv(path).map((row) => row['text'])),
    ...readCsv(unreal).map((row) => row['sentence']),
  ]);
}

/** Each text once; those that the API would refuse are left out. */
function distinct(texts: readonly (string | undefined)[]): readonly string[] {
  const usable = texts.filter((text) => text !== undefined && text.trim() !== '' && text.length < 1000);
  return [...new Set(usable)].filter((text) => text !== undefined);
}
