// Learns what a run of a model costs on this machine, from the runs themselves: a straight line through tokens and
// time, in which old runs count less and less. What the pools are cut and sized by.

import { type RunCost, usualRunCost } from './micro-batch.ts';

export interface RunCostModel {
  readonly observe: (tokens: number, ms: number) => void;
  readonly read: () => RunCost;
}

/** What a run counts for after each further one: half after about 70. */
const kept = 0.99;
/** A run that was interrupted says little: it counts for at most this many times what was expected. */
const surpriseMax = 3;
/** Two runs as they usually are, which never fade: the line is defined from the first and cannot tip over. */
const usualTokens = [40, 400] as const;
const usualWeight = 2;
/**
 * The fixed share is at least what so many tokens cost, half of what is usual: interrupted runs may hide it, and without
 * it every length would get a run of its own. With an AVX2 core runs cut for 5 to 20 tokens cost the same within 1 %, and
 * those cut for 2 cost 5 % more.
 */
const leastFixedShare = 0.5;

export function createRunCostModel(usual: RunCost = usualRunCost): RunCostModel {
  const leastFixedTokens = (leastFixedShare * usual.fixedMs) / usual.perTokenMs;
  const sums = { weight: 0, x: 0, y: 0, xx: 0, xy: 0 };
  const add = (into: typeof sums, tokens: number, ms: number, weight: number): void => {
    into.weight += weight;
    into.x += weight * tokens;
    into.y += weight * ms;
    into.xx += weight * tokens * tokens;
    into.xy += weight * tokens * ms;
  };
  const read = (): RunCost => {
    const all = { ...sums };
    // The usual runs follow the level of the real ones, so that they only hold the proportion of the two shares.
    const scale = all.weight === 0 ? 1 : all.y / (usual.fixedMs * all.weight + usual.perTokenMs * all.x);
    for (const tokens of usualTokens)
      add(all, tokens, scale * (usual.fixedMs + usual.perTokenMs * tokens), usualWeight);
    const spread = all.weight * all.xx - all.x * all.x;
    const slope = (all.weight * all.xy - all.x * all.y) / spread;
    const mean = all.y / all.weight;
    const perTokenMs = Math.min(Math.max(slope, 0), all.y / (all.x + leastFixedTokens * all.weight));
    return { fixedMs: Math.max(0, mean - (perTokenMs * all.x) / all.weight), perTokenMs };
  };
  return {
    observe: (tokens, ms) => {
      const { fixedMs, perTokenMs } = read();
      const expected = fixedMs + perTokenMs * tokens;
      for (const name of ['weight', 'x', 'y', 'xx', 'xy'] as const) sums[name] *= kept;
      add(sums, tokens, Math.min(ms, surpriseMax * expected), 1);
    },
    read,
  };
}
