// Spares a target that only fails: after five failures in a row it gets one attempt per pause, and its messages wait
// without using up their schedule. The first success opens the way for all of them. Pure: the clock is an argument.

/** Failures in a row that open the circuit. */
const failuresMax = 5;
/** The first pause; each further one is twice as long, up to the longest. Both are shorter than the schedule's long steps. */
const pauseMsMin = 10_000;
const pauseMsMax = 300_000;

export interface CircuitBreaker {
  /** How many attempts may be under way at `nowMs`, of the `most` that a healthy target may have. */
  readonly allows: (nowMs: number, most: number) => number;
  readonly succeeded: () => void;
  readonly failed: (nowMs: number) => void;
  /** Nothing is sent before `untilMs`: the receiver asked for it. At most as long as the longest pause. */
  readonly pause: (nowMs: number, untilMs: number) => void;
  readonly isOpen: () => boolean;
}

export function createCircuitBreaker(): CircuitBreaker {
  let failures = 0;
  let pauses = 0;
  let pausedUntilMs = 0;
  return {
    allows: (nowMs, most) => {
      if (nowMs < pausedUntilMs) return 0;
      return failures >= failuresMax ? 1 : most;
    },
    succeeded: () => {
      failures = 0;
      pauses = 0;
      pausedUntilMs = 0;
    },
    failed: (nowMs) => {
      failures += 1;
      // What was under way when the circuit opened does not open it again.
      if (failures < failuresMax || nowMs < pausedUntilMs) return;
      pausedUntilMs = nowMs + Math.min(pauseMsMax, pauseMsMin * 2 ** pauses);
      pauses += 1;
    },
    pause: (nowMs, untilMs) => {
      pausedUntilMs = Math.max(pausedUntilMs, Math.min(untilMs, nowMs + pauseMsMax));
    },
    isOpen: () => failures >= failuresMax,
  };
}
