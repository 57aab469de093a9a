// Cuts a text into sentences, by the rules of Unicode (UAX 29) as ICU implements them.

/** A sentence and its place in the text, in UTF-16 code units; white space around it is left out. */
export interface Sentence {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/** The sentences of a text in order; none for a blank text. */
export function splitSentences(text: string): Sentence[] {
  return Array.from(segmenter.segment(text)).flatMap(({ segment, index }) => {
    const trimmed = segment.trim();
    if (trimmed === '') return [];
    const start = index + segment.indexOf(trimmed);
    return [{ text: trimmed, start, end: start + trimmed.length }];
  });
}
