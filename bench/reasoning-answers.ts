// What the reasoning model answers, read as a benchmark needs it: its surest relation, its scores, its yes and no.

import { z } from 'zod';
import type { CausalRelation } from './quality-data.ts';
import { serve, serveEverySentence } from './quality-served.ts';

const spanSchema = z
  .looseObject({ start: z.number(), end: z.number() })
  .transform(({ start, end }) => [start, end] as const);

const outputSchema = z.looseObject({
  causal: z.boolean(),
  confidence: z.number(),
  causal_chains: z.array(
    z.looseObject({ cause: spanSchema, effect: spanSchema, confidence: z.number(), strength: z.number() }),
  ),
  counterfactuals: z.array(z.looseObject({ confidence: z.number() })),
});

export interface ReasoningAnswer {
  readonly causal: boolean;
  readonly counterfactual: boolean;
  /** Calibrated probabilities that a sentence is causal and that one is counterfactual; the latter 0 if not said. */
  readonly causalChance: number;
  readonly counterfactualChance: number;
  /** Of a text with several chains the one with the highest confidence; of equals the clearest. */
  readonly relation: CausalRelation | undefined;
}

/** @param every whether spans and chances are wanted of sentences below the thresholds too; then all answers are yes. */
export async function answer(
  texts: readonly string[],
  { every }: { readonly every: boolean },
): Promise<ReasoningAnswer[]> {
  const outputs = await (every ? serveEverySentence(texts) : serve('reasoning', texts));
  return outputs.map((output) => {
    const { causal, confidence, causal_chains: chains, counterfactuals } = outputSchema.parse(output);
    const [relation] = chains.toSorted((a, b) => b.confidence - a.confidence || b.strength - a.strength);
    return {
      causal,
      counterfactual: counterfactuals.length > 0,
      causalChance: causal ? confidence : 1 - confidence,
      counterfactualChance: Math.max(0, ...counterfactuals.map((one) => one.confidence)),
      relation,
    };
  });
}
