// How strongly a text puts its emotion: the model's score and the marks of emphasis that people use in writing.

/** What of the strongest emotion's score counts; emphasis adds the rest. */
const scoreWeight = 0.8;

/** The most that a mark of emphasis adds to what is left up to 1, and how many of it reach that. */
const marks = {
  capitals: { weight: 0.4, full: 1 },
  exclamations: { weight: 0.3, full: 3 },
  intensifiers: { weight: 0.3, full: 2 },
  stretched: { weight: 0.2, full: 2 },
  emoji: { weight: 0.2, full: 3 },
} as const;

/** One downtoner takes this share off the score's part. */
const downtonerWeight = 0.3;

const intensifiers = new Set(
  (
    'absolutely amazingly awfully completely deeply enormously entirely especially exceptionally extremely ' +
    'fully greatly hella highly hugely immensely incredibly insanely intensely literally majorly particularly ' +
    'purely really remarkably seriously so substantially super terribly thoroughly too totally tremendously ' +
    'truly unbelievably utterly very'
  ).split(' '),
);
const downtoners = new Set(
  'almost barely hardly kinda marginally partly scarcely slightly somewhat sorta'.split(' '),
);
const downtonerPhrases = /(?<![\p{L}\p{M}])(?:a (?:bit|little)|(?:kind|sort) of)(?![\p{L}\p{M}])/giu;

/**
 * Intensity, 0..1. With m the highest score of a label other than neutral and d = 1 if there is a downtoner:
 * 1 - (1 - 0.8 m (1 - 0.3 d)) * product over the marks of (1 - weight * min(1, count / full)). The marks: share of the
 * words of three letters or more that are in capitals, exclamation marks, intensifiers, words with a letter three
 * times in a row, emoji. Words are compared whole, so "also" holds no "so". That such marks make a text read as more
 * intense was measured by Hutto & Gilbert (2014, VADER); the weights here are chosen, not fitted.
 */
export function intensityOf(text: string, strongestScore: number): number {
  const words = text.match(/[\p{L}\p{M}]+/gu) ?? [];
  const lower = words.map((word) => word.toLowerCase());
  const long = words.filter((word) => word.length >= 3 && word.toLowerCase() !== word.toUpperCase());
  const counts = {
    capitals: long.filter((word) => word === word.toUpperCase()).length / Math.max(1, long.length),
    exclamations: count(text, /[!！]/gu),
    intensifiers: lower.filter((word) => intensifiers.has(word)).length,
    stretched: lower.filter((word) => /(\p{L})\1\1/u.test(word)).length,
    emoji: count(text, /\p{Extended_Pictographic}/gu),
  };
  const toned = lower.some((word) => downtoners.has(word)) || count(text, downtonerPhrases) > 0;
  const score = scoreWeight * strongestScore * (toned ? 1 - downtonerWeight : 1);
  const left =
    (1 - score) *
    (1 - added(counts.capitals, marks.capitals)) *
    (1 - added(counts.exclamations, marks.exclamations)) *
    (1 - added(counts.intensifiers, marks.intensifiers)) *
    (1 - added(counts.stretched, marks.stretched)) *
    (1 - added(counts.emoji, marks.emoji));
  return 1 - left;
}

function added(found: number, { weight, full }: { readonly weight: number; readonly full: number }): number {
  return weight * Math.min(1, found / full);
}

function count(text: string, pattern: RegExp): number {
  return text.match(pattern)?.length ?? 0;
}
