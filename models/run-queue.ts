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

/** Pools that wait have this share of the time, which is about the floor that a low class keeps. */
const shareOfWaiting = 1 / 8;
/** What is owed to them is paid when it has come to about a micro-batch, in milliseconds. */
const owedMsMin = 10;

/**
 * The most urgent pool runs, of those that are alike the one that came first. A pool behind it is not left standing: the
 * oldest has a share of the time. By time, since its micro-batches may be far shorter than those of the others.
 * @param nowMs the clock
 */
export function createRunQueue(nowMs: () => number = () => performance.now()): RunQueue {
  /** By arrival. */
  const runs: Run[] = [];
  let working = false;
  let owedMs = 0;

  const step = async (): Promise<void> => {
    const urgency = Math.min(...runs.map((run) => run.urgency));
    const waiting = runs.find((run) => run.urgency !== urgency);
    const pays = waiting !== undefined && owedMs >= owedMsMin;
    const run = pays ? waiting : runs.find((one) => one.urgency === urgency);
    if (run === undefined) return;
    const startedMs = nowMs();
    const { done } = await run.steps.next();
    const ms = nowMs() - startedMs;
    if (waiting === undefined) owedMs = 0;
    else owedMs += pays ? -ms : (ms * shareOfWaiting) / (1 - shareOfWaiting);
    if (done !== true) return;
    runs.splice(runs.indexOf(run), 1);
    run.ended();
  };

  const work = async (): Promise<void> => {
    while (runs.length > 0) {
      await step();
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
