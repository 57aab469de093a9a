// How pleasant and how aroused the 28 labels are, and what follows from it: a text's valence and arousal, its mixed
// emotions, and values that take the conversation and the person's usual state into account beside the raw ones.

/** A label and the model's score for it, 0..1. */
export interface ScoredLabel {
  readonly label: string;
  readonly score: number;
}

/** A point in the plane of affect: valence -1 (unpleasant) to 1 (pleasant), arousal 0 (calm) to 1 (excited). */
export interface Affect {
  readonly valence: number;
  readonly arousal: number;
}

/**
 * Mean ratings of the label words, [valence, arousal], each 1..9, about 20 raters a word: columns V.Mean.Sum and
 * A.Mean.Sum of Warriner, Kuperman & Brysbaert (2013), Norms of valence, arousal, and dominance for 13,915 English
 * lemmas, Behavior Research Methods 45, 1191-1207, doi:10.3758/s13428-012-0314-x. These 28 rows were read in the
 * published table. "caring" is not among its words; the row is that of its lemma "care". The ratings are of words that
 * stand alone: "surprise" is rated as a pleasant one, which a surprise in a text need not be.
 */
const ratings: Readonly<Record<string, readonly [valence: number, arousal: number]>> = {
  admiration: [7.58, 5.52],
  amusement: [7.0, 4.82],
  anger: [2.5, 5.93],
  annoyance: [2.95, 4.1],
  approval: [6.75, 3.52],
  caring: [7.64, 2.67],
  confusion: [3.32, 4.64],
  curiosity: [6.37, 5.9],
  desire: [7.05, 6.2],
  disappointment: [2.79, 4.9],
  disapproval: [3.4, 4.23],
  disgust: [3.32, 5.0],
  embarrassment: [2.72, 5.45],
  excitement: [7.62, 6.21],
  fear: [2.93, 6.14],
  gratitude: [6.67, 5.09],
  grief: [2.33, 4.95],
  joy: [8.21, 5.55],
  love: [8.0, 5.36],
  nervousness: [3.1, 4.45],
  optimism: [7.21, 4.95],
  pride: [6.5, 5.54],
  realization: [6.42, 3.67],
  relief: [6.63, 4.42],
  remorse: [3.63, 4.29],
  sadness: [2.4, 2.81],
  surprise: [7.44, 6.57],
  neutral: [5.5, 3.45],
};

/** The sentiment groups of GoEmotions (Demszky et al. 2020, figure 2); its ambiguous labels and neutral are in none. */
const positiveLabels = new Set(
  'admiration amusement approval caring desire excitement gratitude joy love optimism pride relief'.split(
    ' ',
  ),
);
const negativeLabels = new Set(
  (
    'anger annoyance disappointment disapproval disgust embarrassment fear grief nervousness remorse ' +
    'sadness'
  ).split(' '),
);

/**
 * Both emotions of a mixed pair score at least this: below the display threshold, since two emotions share what one
 * would have alone. On the GoEmotions dev split, of which 123 in 5,426 texts have labels of both signs, precision is
 * .23 and recall .29 (.27 and .24 at .48); a limit on the gap between the two scores improves neither.
 */
const mixedScoreMin = 0.4;

/** Weight of the usual state beside a text's 1: as much as two messages ago. */
const baselineWeight = 0.25;

/**
 * A label's rating on our scales: valence (r - 5) / 4, arousal (r - 1) / 8.
 * @throws Error if the table has no such label.
 */
export function affectOf(label: string): Affect {
  const rating = ratings[label];
  if (rating === undefined) throw new Error(`no valence and arousal for label ${label}`);
  return { valence: (rating[0] - 5) / 4, arousal: (rating[1] - 1) / 8 };
}

/** Mean of the labels' affect, weighted by their scores; the plain mean if all scores are 0. Not for no labels. */
export function affectOfAll(labels: readonly ScoredLabel[]): Affect {
  const total = labels.reduce((sum, { score }) => sum + score, 0);
  return weightedMean(labels.map(({ label, score }) => [affectOf(label), total === 0 ? 1 : score]));
}

/** Pairs of a positive and a negative emotion that a text shows at once, the one with the best weaker score first. */
export function mixedPairs(scored: readonly ScoredLabel[]): MixedPair[] {
  const strong = scored.filter(({ score }) => score >= mixedScoreMin);
  const negative = strong.filter(({ label }) => negativeLabels.has(label));
  return strong
    .filter(({ label }) => positiveLabels.has(label))
    .flatMap((up) => negative.map((down) => toPair(up, down)))
    .sort((a, b) => b.scores[1] - a.scores[1] || b.scores[0] - a.scores[0]);
}

/** Two emotions of opposite sign, the stronger first. */
export interface MixedPair {
  readonly labels: readonly [string, string];
  readonly scores: readonly [number, number];
}

function toPair(a: ScoredLabel, b: ScoredLabel): MixedPair {
  const [high, low] = a.score >= b.score ? [a, b] : [b, a];
  return { labels: [high.label, low.label], scores: [high.score, low.score] };
}

/** What `adjustAffect` gives: the mean and the share of each part in it; the shares add up to 1. */
export interface AdjustedAffect extends Affect {
  readonly weights: { readonly text: number; readonly context: number; readonly baseline: number };
}

/**
 * The text's affect in its surroundings: a weighted mean of the text (1), the messages before it (1/2 for the newest,
 * halved with each step back, so that all of them together never outweigh the text) and the person's usual state
 * (1/4). The weights are chosen, not fitted. Undefined without context and baseline.
 * @param context oldest first
 */
export function adjustAffect(
  text: Affect,
  { context, baseline }: { readonly context: readonly Affect[]; readonly baseline: Affect | undefined },
): AdjustedAffect | undefined {
  if (context.length === 0 && baseline === undefined) return undefined;
  const messages = context.map((affect, index) => [affect, 0.5 ** (context.length - index)] as const);
  const usual = baseline === undefined ? [] : [[baseline, baselineWeight] as const];
  const contextWeight = messages.reduce((sum, [, weight]) => sum + weight, 0);
  const total = 1 + contextWeight + (baseline === undefined ? 0 : baselineWeight);
  return {
    ...weightedMean([[text, 1], ...messages, ...usual]),
    weights: {
      text: 1 / total,
      context: contextWeight / total,
      baseline: baseline === undefined ? 0 : baselineWeight / total,
    },
  };
}

function weightedMean(parts: readonly (readonly [Affect, number])[]): Affect {
  const total = parts.reduce((sum, [, weight]) => sum + weight, 0);
  const mean = (read: (affect: Affect) => number): number =>
    parts.reduce((sum, [affect, weight]) => sum + read(affect) * weight, 0) / total;
  return { valence: mean(({ valence }) => valence), arousal: mean(({ arousal }) => arousal) };
}
