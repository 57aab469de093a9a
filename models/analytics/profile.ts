// A person's profile: what their stored analyses and their graph say, put together. Built from plain data, so that the
// same analyses always give the same profile; who reads them from a store is not known here.

import { z } from 'zod';
import { conceptKey } from '../../shared/fact.ts';
import { countBy, meanOf, roundSix } from './statistics.ts';
import { type EmotionPoint, trajectoryOf, trajectorySchema } from './trajectory.ts';

/** How many of the strongest chains are in a profile. */
const strongestChainsMax = 10;

/** What of a stored reasoning analysis counts here. */
export interface ReasoningPoint {
  readonly at: Date;
  readonly causal_chains: readonly {
    readonly cause: { readonly text: string };
    readonly effect: { readonly text: string };
    readonly relation: string;
    readonly chain_type: string;
    readonly strength: number;
    readonly confidence: number;
  }[];
  readonly counterfactuals: readonly unknown[];
}

const number = z.number();
const count = z.int().min(0);
const window = z.object({ from: z.iso.datetime(), to: z.iso.datetime() });

const reasoningSchema = z.object({
  types: z.record(z.string(), count).describe('Chains by chain_type'),
  relations: z.record(z.string(), count).describe('Chains by relation'),
  strongest_chains: z
    .array(
      z.object({
        cause: z.string(),
        effect: z.string(),
        evidence_count: count.describe('Chains with this cause and effect'),
        strength: number.describe('Mean strength of them, 0..1'),
        confidence: number.describe('Mean confidence of them, 0..1'),
      }),
    )
    .max(strongestChainsMax)
    .describe(
      'By the sum over the evidence of strength times confidence; causes and effects are compared as concepts',
    ),
  preferred_style: z
    .string()
    .nullable()
    .describe('The most frequent chain_type; null without chains or if two are equally frequent'),
  total_chains: count,
  counterfactuals: count,
});

const graphSchema = z.object({
  stats: z.object({
    nodes: count,
    edges: count,
    nodes_by_type: z.record(z.string(), count),
    edges_by_type: z.record(z.string(), count),
  }),
  top_concepts: z.array(z.object({ key: z.string(), name: z.string(), degree: count })),
  communities: z.array(z.object({ label: z.string(), nodes: z.array(z.string()) })),
  modularity: number.nullable().describe('Of the division into communities, -0.5..1; null if there is none'),
});

export const profileSchema = z.object({
  emotions: trajectorySchema.nullable().describe('Null if left out by include_emotions'),
  reasoning: reasoningSchema.nullable().describe('Null if left out by include_reasoning'),
  knowledge_graph: graphSchema
    .nullable()
    .describe('Of all that is known, not of the window; null if left out by include_knowledge_graph'),
  window: window.describe('Analyses from `from` to before `to` were read'),
  coverage: z.object({
    emotion_analyses: count,
    reasoning_analyses: count,
    days: count.describe('Days (UTC) with at least one analysis of those read'),
    first_at: z.iso.datetime().nullable(),
    last_at: z.iso.datetime().nullable(),
  }),
  model_versions: z
    .record(z.string(), z.array(z.string()))
    .describe('By kind, the versions that made the analyses read'),
  generated_at: z.iso.datetime(),
});

export type Profile = z.output<typeof profileSchema>;
type ReasoningSection = z.output<typeof reasoningSchema>;
/** What the graph and its measures say, in the profile's words. */
export type GraphSection = Readonly<z.output<typeof graphSchema>>;

/**
 * Builds a profile. Analyses outside the window are ignored; a section that is not included is null and its analyses
 * are not covered either.
 */
export function buildProfile(given: {
  readonly emotions: readonly (EmotionPoint & { readonly model_version: string })[];
  readonly reasoning: readonly (ReasoningPoint & { readonly model_version: string })[];
  readonly graph: GraphSection;
  readonly include: {
    readonly emotions: boolean;
    readonly reasoning: boolean;
    readonly knowledge_graph: boolean;
  };
  readonly window: { readonly from: Date; readonly to: Date };
  readonly generatedAt: Date;
}): Profile {
  const { include, window: limits } = given;
  const within = ({ at }: { readonly at: Date }): boolean => at >= limits.from && at < limits.to;
  const emotions = include.emotions ? given.emotions.filter(within) : [];
  const reasoning = include.reasoning ? given.reasoning.filter(within) : [];
  const times = [...emotions, ...reasoning].map(({ at }) => at.toISOString()).sort();
  return {
    emotions: include.emotions ? trajectoryOf(emotions) : null,
    reasoning: include.reasoning ? reasoningOf(reasoning) : null,
    knowledge_graph: include.knowledge_graph ? given.graph : null,
    window: { from: limits.from.toISOString(), to: limits.to.toISOString() },
    coverage: {
      emotion_analyses: emotions.length,
      reasoning_analyses: reasoning.length,
      days: new Set(times.map((time) => time.slice(0, 10))).size,
      first_at: times[0] ?? null,
      last_at: times.at(-1) ?? null,
    },
    model_versions: {
      ...(include.emotions ? { emotion: versionsOf(emotions) } : {}),
      ...(include.reasoning ? { reasoning: versionsOf(reasoning) } : {}),
    },
    generated_at: given.generatedAt.toISOString(),
  };
}

function reasoningOf(points: readonly ReasoningPoint[]): ReasoningSection {
  const chains = points.flatMap(({ causal_chains }) => causal_chains);
  const types = countBy(chains.map(({ chain_type }) => chain_type));
  const [first, second] = types;
  return {
    types: toRecord(types),
    relations: toRecord(countBy(chains.map(({ relation }) => relation))),
    strongest_chains: strongestChains(chains),
    preferred_style: first !== undefined && first.count > (second?.count ?? 0) ? first.key : null,
    total_chains: chains.length,
    counterfactuals: points.reduce((sum, { counterfactuals }) => sum + counterfactuals.length, 0),
  };
}

/** Chains with the same cause and effect are one; what leaves no concept (only punctuation) is none. */
function strongestChains(chains: ReasoningPoint['causal_chains']): ReasoningSection['strongest_chains'] {
  const groups = new Map<string, (typeof chains)[number][]>();
  for (const chain of chains) {
    const cause = conceptKey(chain.cause.text);
    const effect = conceptKey(chain.effect.text);
    if (cause === undefined || effect === undefined) continue;
    const key = JSON.stringify([cause, effect]);
    groups.set(key, [...(groups.get(key) ?? []), chain]);
  }
  return [...groups]
    .map(([key, same]) => ({
      key,
      weight: same.reduce((sum, { strength, confidence }) => sum + strength * confidence, 0),
      chain: mergeChains(same),
    }))
    .sort((a, b) => b.weight - a.weight || (a.key < b.key ? -1 : 1))
    .slice(0, strongestChainsMax)
    .map(({ chain }) => chain);
}

/** In the words of the first of them. */
function mergeChains(same: ReasoningPoint['causal_chains']): ReasoningSection['strongest_chains'][number] {
  return {
    cause: same[0]?.cause.text ?? '',
    effect: same[0]?.effect.text ?? '',
    evidence_count: same.length,
    strength: roundSix(meanOf(same.map(({ strength }) => strength)) ?? 0),
    confidence: roundSix(meanOf(same.map(({ confidence }) => confidence)) ?? 0),
  };
}

function versionsOf(points: readonly { readonly model_version: string }[]): string[] {
  return [...new Set(points.map(({ model_version }) => model_version))].sort();
}

function toRecord(counts: ReturnType<typeof countBy>): Record<string, number> {
  return Object.fromEntries(counts.map(({ key, count: times }) => [key, times]));
}
