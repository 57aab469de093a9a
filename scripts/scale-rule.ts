// When a worker is added and when one is drained. Pure: what was seen goes in, what to do comes out.

/** The bounds within which the number of workers moves, and what moves it. */
export interface ScaleRule {
  readonly min: number;
  readonly max: number;
  /** How long the first in line may wait before a worker is added. */
  readonly ageMsMax: number;
  /** How long nothing may wait before a worker is drained. */
  readonly idleMs: number;
  /** How long a change is left to take effect: a worker loads its models for some seconds before it helps. */
  readonly settleMs: number;
}

export interface Look {
  readonly nowMs: number;
  /** Undefined while nothing waits. */
  readonly oldestAgeMs: number | undefined;
  readonly workers: number;
}

export type Move = 'add' | 'drain' | 'keep';

/**
 * Decides look by look. A worker is added when the first in line was too old at two looks in a row, and drained when
 * nothing waited for a long time; between the two bounds nothing moves, and after a change neither for a while.
 */
export function createScaleRule(rule: ScaleRule): (look: Look) => Move {
  let lateLooks = 0;
  let idleSinceMs: number | undefined;
  let changedAtMs = Number.NEGATIVE_INFINITY;
  return ({ nowMs, oldestAgeMs, workers }) => {
    lateLooks = oldestAgeMs !== undefined && oldestAgeMs > rule.ageMsMax ? lateLooks + 1 : 0;
    idleSinceMs = oldestAgeMs === undefined ? (idleSinceMs ?? nowMs) : undefined;
    if (nowMs - changedAtMs < rule.settleMs) return 'keep';
    const late = lateLooks >= 2 && workers < rule.max;
    const idle = idleSinceMs !== undefined && nowMs - idleSinceMs >= rule.idleMs && workers > rule.min;
    if (!late && !idle) return 'keep';
    changedAtMs = nowMs;
    lateLooks = 0;
    idleSinceMs = undefined;
    return late ? 'add' : 'drain';
  };
}

/**
 * Reads `1..4`.
 * @throws Error that says what is expected
 */
export function parseScale(text: string): { readonly min: number; readonly max: number } {
  const [, low = '', high = ''] = /^(\d{1,3})\.\.(\d{1,3})$/.exec(text) ?? [];
  const [min, max] = [Number(low), Number(high)];
  if (low === '' || min < 1 || max < min)
    throw new Error(`--autoscale: "${text}" is not <min>..<max> with 1 <= min <= max`);
  return { min, max };
}
