// The labelled data that the heads are judged by: what training held out (its row ids lie beside the weights, in
// heldout.json), GoEmotions' dev split, and hand-written sentences. The data sets lie beside the repository.

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { straightenQuotes } from '../models/normalize.ts';
import { packageRoot } from '../shared/config.ts';
import { readCsv } from './csv.ts';
import { openStable } from './quality-served.ts';
import type { Chars } from './word-spans.ts';

const paths = {
  dev: 'goemotions/dev.tsv',
  causal: 'causal/cnc_train_sentences.csv',
  causalSpans: 'causal/cnc_train_spans.csv',
  counterfactual: 'counterfactual/semeval2020t5_sentences_train.csv',
  sarcasm: 'sarcasm/isarcasmeval_train_en.csv',
} as const;

const heldOutSchema = z.record(z.string(), z.array(z.string()));

/** Spans of characters (UTF-16). */
export interface CausalRelation {
  readonly cause: Chars;
  readonly effect: Chars;
}

export interface CausalText {
  readonly text: string;
  readonly causal: boolean;
  readonly relations: readonly CausalRelation[];
}

/** A text that belongs to the class, or does not. */
export interface LabelledSentence {
  readonly text: string;
  readonly positive: boolean;
}

/** A sentence of our own, never trained on. */
export interface EverydaySentence {
  readonly text: string;
  readonly relation: CausalRelation | undefined;
  readonly counterfactual: boolean;
}

/** The files that are not on this machine. */
export function listMissingData(): readonly string[] {
  return Object.values(paths)
    .filter((path) => !existsSync(fullPath(path)))
    .map((path) => `../shared/data/${path}`);
}

/** The held-out tenth of the Causal News Corpus' train file. */
export function readCausalTexts(): CausalText[] {
  const marked = new Map<string, string[]>();
  for (const { text = '', text_w_pairs: pairs = '' } of readCsv(fullPath(paths.causalSpans))) {
    marked.set(text, [...(marked.get(text) ?? []), pairs]);
  }
  const heldOut = readHeldOut('reasoning', 'cnc');
  return readCsv(fullPath(paths.causal)).flatMap(({ index = '', text = '', label }) => {
    if (!heldOut.has(index)) return [];
    const relations = (marked.get(text) ?? []).flatMap((one) => readRelation(text, one));
    return [{ text, causal: label === '1', relations }];
  });
}

/** The held-out tenth of SemEval-2020 task 5's train file. */
export function readCounterfactualTexts(): LabelledSentence[] {
  const heldOut = readHeldOut('reasoning', 'counterfactual');
  return readCsv(fullPath(paths.counterfactual)).flatMap(({ sentenceID = '', sentence = '', gold_label }) =>
    heldOut.has(sentenceID) ? [{ text: sentence, positive: gold_label === '1' }] : [],
  );
}

/** The held-out fifth of iSarcasmEval's English train file. */
export function readSarcasmTexts(): LabelledSentence[] {
  const heldOut = readHeldOut('emotion', 'sarcasm');
  return readCsv(fullPath(paths.sarcasm)).flatMap(({ '': id = '', tweet = '', sarcastic }) =>
    heldOut.has(id) ? [{ text: tweet, positive: sarcastic === '1' }] : [],
  );
}

export function readEverydaySentences(): EverydaySentence[] {
  const rows = readCsv(join(packageRoot, 'models/train/everyday_causal.tsv'), '\t');
  return rows.map(({ text = '', cause = '', effect = '', counterfactual }) => {
    const charsOf = (part: string): Chars => [text.indexOf(part), text.indexOf(part) + part.length];
    const relation = cause === '' ? undefined : { cause: charsOf(cause), effect: charsOf(effect) };
    return { text, relation, counterfactual: counterfactual === '1' };
  });
}

function readHeldOut(kind: string, name: string): ReadonlySet<string> {
  const path = join(dirname(openStable(kind).modelPath), 'heldout.json');
  const ids = heldOutSchema.parse(JSON.parse(readFileSync(path, 'utf8')))[name];
  if (ids === undefined) throw new Error(`${path} has no rows of ${name}`);
  return new Set(ids);
}

/** Where `<ARG0>` (cause) and `<ARG1>` (effect) lie in the text without marks; none if that is another text. */
function readRelation(text: string, marked: string): CausalRelation[] {
  const spans = new Map<string, Chars>();
  const opened = new Map<string, number>();
  let plain = '';
  let last = 0;
  for (const mark of marked.matchAll(/<(\/?)(ARG0|ARG1|SIG)\d?>/g)) {
    const [whole, closing, kind = ''] = mark;
    plain += marked.slice(last, mark.index);
    last = mark.index + whole.length;
    if (closing === '') opened.set(kind, plain.length);
    else if (!spans.has(kind)) spans.set(kind, [opened.get(kind) ?? 0, plain.length]);
  }
  plain += marked.slice(last);
  const [cause, effect] = [spans.get('ARG0'), spans.get('ARG1')];
  const same = straightenQuotes(plain) === straightenQuotes(text);
  return same && cause !== undefined && effect !== undefined ? [{ cause, effect }] : [];
}

function fullPath(path: string): string {
  return join(packageRoot, '../shared/data', path);
}
