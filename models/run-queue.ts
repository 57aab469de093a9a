// In which order pools go through the models of a process: micro-batch by micro-batch, so that a pool that came later
// and cannot wait goes between two micro-batches of one that can.

export interface Run {
  /** Lower goes first. */
  readonly urgency: number;
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
 */
export function createRunQueue(): RunQueue {
  /** By arrival. */
  const runs: Run[] = [];
  let working = false;
  let steps = 0;

  const next = (): Run | undefined => {
    const urgency = Math.min(...runs.map((run) => run.urgency));
    const urgent = runs.find((run) => run.urgency === urgency);
    const waiting = runs.find((run) => run.urgency !== urgency);
    return waiting !== undefined && steps % turnsOfWaiting === 0 ? waiting : urgent;
  };

  const work = async (): Promise<void> => {
    for (let run = next(); run !== undefined; run = next()) {
      steps += 1;
      const { done } = await run.steps.next();
      if (done === true) {
        runs.splice(runs.indexOf(run), 1);
        run.ended();
      }
      // Lets messages in: what is to be dropped, and pools that are more urgent.
      await new Promise(setImmediate);
    }
    working = false;
  };

  return {
    add: (run) => {
      runs.push(run);
      if (working) return;
      working = true;
      void work();
    },
  };
}
