// How large a pool of a kind may be and how long it may wait for company, from what pools of the kind have cost. Pure.

import type { RunCost } from '../models/micro-batch.ts';

export interface PoolLimits {
  /** Tokens, as the batcher estimates them, that the model does within the goal. */
  readonly tokensMax: number;
  /** How long an idle model waits for company. */
  readonly waitMs: number;
}

export interface PoolTuner {
  /** @param tokens as the batcher estimated them; `ms` is what the pool took, tokenizing and all its sequences included */
  readonly observe: (key: string, pool: { tokens: number; ms: number }, cost: RunCost | undefined) => void;
  readonly limits: (key: string) => PoolLimits;
}

/** What a pool counts for beside all before it. */
const weight = 0.2;
/** However slow a model is, a pool this small is worth its way through the ledger. */
const tokensMin = 128;

/**
 * A pool is sized such that the model has it done within `goalMs`, so that what comes behind it, of whatever kind, waits
 * no longer than that: 256 texts of a cheap kind, a few of one that runs every sentence.
 * An idle model waits no longer than another run would cost, since company saves one run: whoever comes later than that
 * should not have been waited for, and at worst the wait doubles the cost (the ski rental problem).
 */
export function createPoolTuner(options: {
  readonly goalMs: number;
  readonly tokensMax: number;
  readonly waitMsMax: number;
}): PoolTuner {
  const known = new Map<string, { msPerToken: number; fixedMs: number | undefined }>();
  return {
    observe: (key, { tokens, ms }, cost) => {
      if (tokens <= 0 || ms <= 0) return;
      const before = known.get(key)?.msPerToken ?? ms / tokens;
      const msPerToken = before + weight * (ms / tokens - before);
      known.set(key, { msPerToken, fixedMs: cost?.fixedMs });
    },
    limits: (key) => {
      const { msPerToken, fixedMs } = known.get(key) ?? {};
      const fit = msPerToken === undefined ? options.tokensMax : options.goalMs / msPerToken;
      return {
        tokensMax: Math.min(options.tokensMax, Math.max(tokensMin, fit)),
        waitMs: Math.min(options.waitMsMax, fixedMs ?? options.waitMsMax),
      };
    },
  };
}
