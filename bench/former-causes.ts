// The former system's causal extraction, as a baseline: seven regular expressions, re-implemented from its description.
// Given there: their number, the mechanisms, the constant strengths and confidence, that cause and effect are swapped
// for because, since and as, that "due to" and a Because or Since at the start are missed, that "as well as" matches,
// and that "after X, Y" and "if X, Y" count as causal. Chosen here: the rest of each pattern.

import type { Chars } from './word-spans.ts';

/** What the former system says for every relation, whichever it is. */
export const formerConfidence = 0.7;

export interface FormerRelation {
  readonly cause: Chars;
  readonly effect: Chars;
  readonly mechanism: 'explicit' | 'conditional' | 'direct' | 'temporal' | 'sequence';
  readonly strength: number;
}

/** The first group is taken for the cause and the second for the effect, whatever stands between them. */
const patterns: readonly (readonly [
  pattern: RegExp,
  mechanism: FormerRelation['mechanism'],
  strength: number,
])[] = [
  [/(\S.*?)\s+(?:because|since|as)\s+(\S.*)/di, 'explicit', 0.8],
  [/(\S.*?)\s+(?:so|therefore|thus|hence|consequently),?\s+(\S.*)/di, 'explicit', 0.8],
  [/\bif\s+([^,]+),\s*(?:then\s+)?(\S.*)/di, 'conditional', 0.6],
  [/(\S.*?)\s+(?:causes|caused|leads to|led to|results in|resulted in)\s+(\S.*)/di, 'direct', 0.8],
  [/\bafter\s+([^,]+),\s*(\S.*)/di, 'temporal', 0.6],
  [/\bwhen\s+([^,]+),\s*(\S.*)/di, 'temporal', 0.6],
  [/(\S.*?),?\s+(?:and\s+)?then\s+(\S.*)/di, 'sequence', 0.6],
];

/** One relation per pattern that matches, in the patterns' order. Punctuation at the ends is left out: our kindness. */
export function findFormerCauses(text: string): FormerRelation[] {
  return patterns.flatMap(([pattern, mechanism, strength]) => {
    const [, cause, effect] = pattern.exec(text)?.indices ?? [];
    if (cause === undefined || effect === undefined) return [];
    return [{ cause: withoutEdges(text, cause), effect: withoutEdges(text, effect), mechanism, strength }];
  });
}

function withoutEdges(text: string, [start, end]: Chars): Chars {
  const kept = text.slice(start, end).replace(/[\s,;:.!?]+$/, '');
  return [start, start + kept.length];
}
