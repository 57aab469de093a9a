// What changed between two versions of a person's profile.

import { z } from 'zod';
import { conceptKey } from '../../shared/fact.ts';
import { chainTypes } from '../reasoning-cues.ts';
import type { Profile } from './profile.ts';
import { roundSix } from './statistics.ts';

const changeSchema = z.object({
  before: z.number().nullable(),
  after: z.number().nullable(),
  change: z.number().nullable().describe('after - before; null if either is'),
});
const switchSchema = z.object({ before: z.string().nullable(), after: z.string().nullable() });
const listSchema = z.object({ added: z.array(z.string()), removed: z.array(z.string()) });

export const profileDiffSchema = z.object({
  comparable: z
    .boolean()
    .describe(
      'False if other model versions made the analyses, so that a change may be the models and not the person',
    ),
  numbers: z
    .record(z.string(), changeSchema)
    .describe('Figures that differ, by their path in the profile, e.g. emotions.baseline_valence'),
  words: z.record(z.string(), switchSchema).describe('Words that differ, e.g. emotions.trend'),
  lists: z
    .record(z.string(), listSchema)
    .describe('What lists have more and less: dominant emotions, strongest chains, top concepts'),
});

export type ProfileDiff = z.output<typeof profileDiffSchema>;

/** Only what differs is in it. A section that one profile leaves out counts as null, and its lists as empty. */
export function diffProfiles(before: Profile, after: Profile): ProfileDiff {
  return {
    comparable: JSON.stringify(before.model_versions) === JSON.stringify(after.model_versions),
    numbers: pairUp(numbersOf(before), numbersOf(after), (a, b) =>
      a === b
        ? undefined
        : { before: a, after: b, change: a === null || b === null ? null : roundSix(b - a) },
    ),
    words: pairUp(wordsOf(before), wordsOf(after), (a, b) => (a === b ? undefined : { before: a, after: b })),
    lists: pairUp(listsOf(before), listsOf(after), compareLists),
  };
}

/** Compares what two records have under each key that either has; undefined means alike. */
function pairUp<Value, Result>(
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
  compare: (before: Value | null, after: Value | null) => Result | undefined,
): Record<string, Result> {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return Object.fromEntries(
    keys.flatMap((key) => {
      const result = compare(before.get(key) ?? null, after.get(key) ?? null);
      return result === undefined ? [] : [[key, result] as const];
    }),
  );
}

function compareLists(
  before: readonly string[] | null,
  after: readonly string[] | null,
): z.output<typeof listSchema> | undefined {
  const had = new Set(before);
  const has = new Set(after);
  const added = [...has].filter((entry) => !had.has(entry));
  const removed = [...had].filter((entry) => !has.has(entry));
  return added.length + removed.length === 0 ? undefined : { added, removed };
}

function numbersOf({
  emotions,
  reasoning,
  knowledge_graph: graph,
  coverage,
}: Profile): Map<string, number | null> {
  return new Map<string, number | null>([
    ['coverage.emotion_analyses', coverage.emotion_analyses],
    ['coverage.reasoning_analyses', coverage.reasoning_analyses],
    ['coverage.days', coverage.days],
    ['emotions.baseline_valence', emotions?.baseline_valence ?? null],
    ['emotions.valence_std', emotions?.valence_std ?? null],
    ['emotions.baseline_arousal', emotions?.baseline_arousal ?? null],
    ['emotions.arousal_std', emotions?.arousal_std ?? null],
    ['emotions.trend_slope', emotions?.trend_slope ?? null],
    ['emotions.volatility', emotions?.volatility ?? null],
    ['reasoning.total_chains', reasoning?.total_chains ?? null],
    ['reasoning.counterfactuals', reasoning?.counterfactuals ?? null],
    ...chainTypes.map(
      (type) =>
        [`reasoning.types.${type}`, reasoning === null ? null : (reasoning.types[type] ?? 0)] as const,
    ),
    ['knowledge_graph.nodes', graph?.stats.nodes ?? null],
    ['knowledge_graph.edges', graph?.stats.edges ?? null],
    ['knowledge_graph.communities', graph?.communities.length ?? null],
  ]);
}

function wordsOf({ emotions, reasoning }: Profile): Map<string, string | null> {
  return new Map([
    ['emotions.trend', emotions?.trend ?? null],
    ['reasoning.preferred_style', reasoning?.preferred_style ?? null],
  ]);
}

function listsOf({ emotions, reasoning, knowledge_graph: graph }: Profile): Map<string, readonly string[]> {
  return new Map([
    ['emotions.dominant_emotions', (emotions?.dominant_emotions ?? []).map(({ emotion }) => emotion)],
    [
      'reasoning.strongest_chains',
      (reasoning?.strongest_chains ?? []).map(
        ({ cause, effect }) => `${conceptKey(cause) ?? cause} -> ${conceptKey(effect) ?? effect}`,
      ),
    ],
    ['knowledge_graph.top_concepts', (graph?.top_concepts ?? []).map(({ key }) => key)],
  ]);
}
