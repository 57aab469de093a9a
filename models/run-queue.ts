// In which order pools go through the models of a process: micro-batch by micro-batch, so that a pool that came later
// and cannot wait goes between two micro-batches of one that can.

export interface Run {
  /** Lower goes first. */
  readonly urgency: number;
  /** After each step it rests so many times as long as that took. */
  readonly rest: number;
  /** A micro-batch each; must not throw. */
  readonly steps: AsyncGenerator<void, void, void>;
  readonly ended: () => void;
}

export interface RunQueue {
  readonly add: (run: Run) => void;
}

/** Of so many micro-batches, one goes to a pool that less urgent ones have waited longest with. */
const turnsOfWaiting = 8;

/**
 * The most urgent pool runs, of those that are alike the one that came first. A pool behind it is not left standing:
 * every eighth micro-batch is that of the oldest pool that waits, which is about the floor that a low class keeps.
 * A pool that rests after each step leaves the core to others even while none is here: those that come find it free.
 */
export function createRunQueue(): RunQueue {
  /** By arrival. */
  const runs: Resting[] = [];
  let working = false;
  let steps = 0;
  let wake = (): void => undefined;

  const next = (): Resting | undefined => {
    const nowMs = performance.now();
    const ready = runs.filter(({ untilMs }) => untilMs <= nowMs);
    const urgency = Math.min(...ready.map(({ run }) => run.urgency));
    const urgent = ready.find(({ run }) => run.urgency === urgency);
    const waiting = ready.find(({ run }) => run.urgency !== urgency);
    return waiting !== undefined && steps % turnsOfWaiting === 0 ? waiting : urgent;
  };

  /** Until one of those that rest has rested, or another one comes. */
  const rest = (): Promise<void> => {
    const leftMs = Math.min(...runs.map(({ untilMs }) => untilMs)) - performance.now();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(1, leftMs));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  };

  const step = async (one: Resting): Promise<void> => {
    steps += 1;
    const startedMs = performance.now();
    const { done } = await one.run.steps.next();
    const endedMs = performance.now();
    one.untilMs = endedMs + one.run.rest * (endedMs - startedMs);
    if (done !== true) return;
    runs.splice(runs.indexOf(one), 1);
    one.run.ended();
  };

  const work = async (): Promise<void> => {
    while (runs.length > 0) {
      const one = next();
      if (one === undefined) await rest();
      else await step(one);
      // Lets messages in: what is to be dropped, and pools that are more urgent.
      await new Promise(setImmediate);
    }
    working = false;
  };

  return {
    add: (run) => {
      runs.push({ run, untilMs: 0 });
      wake();
      if (working) return;
      working = true;
      void work();
    },
  };
}

interface Resting {
  readonly run: Run;
  untilMs: number;
}
