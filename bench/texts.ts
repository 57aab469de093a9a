// The texts that the benchmarks send: GoEmotions' dev split where it lies beside the repository, else sentences of
// our own making with the same lengths.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';
import { createRandom, pickIndex } from './random.ts';

/** Rows of GoEmotions' dev split, and so the number of sentences that stand in for it. */
export const devRows = 5426;

/** A text with the indices of the labels that its annotators gave it. */
export interface LabelledText {
  readonly text: string;
  readonly labels: readonly number[];
}

export interface BenchTexts {
  readonly source: 'goemotions dev' | 'generated';
  readonly texts: readonly string[];
}

/** The first `count` dev texts in file order, or as many generated ones. */
export function readTexts(count: number, seed: number): BenchTexts {
  const rows = readDevRows();
  if (rows === undefined) return { source: 'generated', texts: generateTexts(count, seed) };
  return { source: 'goemotions dev', texts: rows.slice(0, count).map(({ text }) => text) };
}

/** The dev split with its labels; undefined where the data set is not on this machine. */
export function readDevRows(): readonly LabelledText[] | undefined {
  const path = join(packageRoot, '../shared/data/goemotions/dev.tsv');
  if (!existsSync(path)) return undefined;
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [text, labels] = line.split('\t');
    if (text === undefined || labels === undefined) return [];
    return [{ text, labels: labels.split(',').map(Number) }];
  });
}

const openings = 'I You We They He She People Everyone Somebody Nobody'.split(' ');
const words =
  'really never always think feel believe hope know that this the a new old game day friend story time way good bad happy sad angry great little just still very so much about with from and but because when people work home love hate want need see make take better first last right wrong thing place'.split(
    ' ',
  );

/**
 * Unique sentences; their tokens follow a normal distribution cut at 4 and 48 with the mean (19) and the spread of
 * the dev split (p50 19, p95 34).
 */
export function generateTexts(count: number, seed: number): readonly string[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, index) => {
    const tokens = Math.min(48, Math.max(4, Math.round(19 + 9 * normal(random))));
    const middle = Array.from({ length: tokens - 4 }, () => words[pickIndex(random, words.length)] ?? '');
    // The number at the end makes the sentence unique.
    return [openings[index % openings.length] ?? '', ...middle, `${index}.`].join(' ');
  });
}

/** Standard normal by Box and Muller (1958). */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
