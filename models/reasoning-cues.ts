// What the words around a relation say of it: its sort, its direction and the way of reasoning. These are short
// lists of English connectives, read at word boundaries; the model finds the relation, the lists name it.

export const relations = ['causal', 'conditional', 'purpose'] as const;
export type Relation = (typeof relations)[number];

export const chainTypes = ['causal', 'deductive', 'inductive', 'analogical', 'abductive'] as const;
export type ChainType = (typeof chainTypes)[number];

const conditional = words('if', 'unless', 'provided', 'as long as', 'in case', 'whenever', 'otherwise');
const purpose = words('in order to', 'so as to', 'so that', 'to', 'in order that', 'for the purpose of');

/** The sort of a relation by its signal; without a signal it is plainly causal. */
export function relationOf(signal: string | undefined): Relation {
  if (signal === undefined) return 'causal';
  if (conditional.test(signal)) return 'conditional';
  return purpose.test(signal) ? 'purpose' : 'causal';
}

const beforeCause = words(
  'because',
  'because of',
  'since',
  'due to',
  'as a result of',
  'thanks to',
  'owing to',
  'on account of',
  'if',
  'unless',
  'given that',
);
const beforeEffect = words(
  'so',
  'therefore',
  'thus',
  'hence',
  'consequently',
  'as a result',
  'accordingly',
  'that is why',
  "that's why",
  'which is why',
  'led to',
  'leads to',
  'caused',
  'causes',
  'resulted in',
  'results in',
  'made',
  'makes',
);

/**
 * Which argument a signal stands in front of, or undefined if it does not tell ("as a result of" wins over "as a
 * result", since the longest connective is tried first).
 */
export function argumentAfter(signal: string): 'cause' | 'effect' | undefined {
  if (beforeCause.test(signal)) return 'cause';
  return beforeEffect.test(signal) ? 'effect' : undefined;
}

const opensWithConsequence = new RegExp(
  "^[\\s\\p{P}]*(?:therefore|thus|hence|consequently|accordingly|as a result|as a consequence|because of (?:this|that)|for (?:this|that) reason|(?:that|this|which)(?: is|'s|’s) why|so)(?![\\p{L}\\p{N}])",
  'iu',
);

/** Whether a sentence opens with a connective that points back: its cause then stands in the sentence before. */
export function pointsBack(sentence: string): boolean {
  return opensWithConsequence.test(sentence);
}

const cues: readonly (readonly [type: ChainType, pattern: RegExp])[] = [
  [
    'abductive',
    words(
      'must have',
      'probably because',
      'most likely because',
      'the best explanation',
      'that explains',
      'this explains',
    ),
  ],
  [
    'analogical',
    words('just like', 'just as', 'similar to', 'similarly', 'in the same way', 'the same way', 'as if'),
  ],
  [
    'inductive',
    words(
      'every time',
      'each time',
      'always',
      'usually',
      'tend to',
      'tends to',
      'in general',
      'most of the time',
    ),
  ],
  ['deductive', words('therefore', 'it follows', 'hence', 'thus', 'consequently', 'must be', 'necessarily')],
];

/** The way of reasoning by the sentence's cues: five types, tried from the rarest cue to the commonest. */
export function chainTypeOf(sentence: string): ChainType {
  return cues.find(([, pattern]) => pattern.test(sentence))?.[0] ?? 'causal';
}

/** Any of the phrases, whole words only, upper or lower case. */
function words(...phrases: readonly string[]): RegExp {
  const longestFirst = phrases
    .toSorted((a, b) => b.length - a.length)
    .map((phrase) => phrase.replaceAll(' ', '\\s+'));
  return new RegExp(`(?<![\\p{L}\\p{N}])(?:${longestFirst.join('|')})(?![\\p{L}\\p{N}])`, 'iu');
}
