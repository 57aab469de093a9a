// Spans of characters compared word by word, as models/train/spans.py compared them. Pure.

import { type Judged, microF1 } from './f1.ts';

/** First character, one past the last, in UTF-16 code units. */
export type Chars = readonly [start: number, end: number];

/** Words as BERT cuts them before its word pieces: at white space, and around each mark of punctuation. */
const word = /[\p{P}$+<=>^`|~]|[^\s\p{P}$+<=>^`|~]+/gu;

/** The numbers of the words that begin inside the span; none without a span. */
export function wordsInside(text: string, span: Chars | undefined): number[] {
  if (span === undefined) return [];
  return Array.from(text.matchAll(word)).flatMap(({ index }, number) =>
    span[0] <= index && index < span[1] ? [number] : [],
  );
}

/** Word by word: the words of both spans as labels. */
export function judgeWords(text: string, gold: Chars, found: Chars | undefined): Judged {
  return { gold: wordsInside(text, gold), predicted: wordsInside(text, found) };
}

/** All or nothing: label 0 is the gold span, label 1 any other. */
export function judgeExact(text: string, gold: Chars, found: Chars | undefined): Judged {
  if (found === undefined) return { gold: [0], predicted: [] };
  const same = wordsInside(text, gold).join() === wordsInside(text, found).join();
  return { gold: [0], predicted: [same ? 0 : 1] };
}

/** F1 of the words of two spans. */
export function overlapF1(text: string, gold: Chars, found: Chars | undefined): number {
  return microF1([judgeWords(text, gold, found)]);
}
