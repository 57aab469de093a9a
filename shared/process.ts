// How a process starts and ends: one way to be told to stop, one deadline, and one loop for background ticks.

import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from './log.ts';
import { metrics } from './metrics.ts';

/** Steps that run one after another when the process is told to stop. */
export type StopStep = readonly [name: string, run: () => Promise<unknown>];

/**
 * Ends the process cleanly on SIGTERM or SIGINT: runs `steps` in order, exits 0, or exits 1 after `deadlineMs`.
 * A second signal exits at once. An unhandled error is logged and exits 1, so that a supervisor restarts us.
 */
export function stopOnSignal(log: Logger, deadlineMs: number, steps: () => readonly StopStep[]): void {
  let stopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (stopping) process.exit(130);
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => {
      log.error({ deadlineMs }, 'did not stop in time');
      process.exit(1);
    }, deadlineMs).unref();
    for (const [name, run] of steps()) {
      await run().catch((error: unknown) => log.error({ err: error, step: name }, 'stop step failed'));
    }
    log.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log.fatal({ err: error }, event);
      process.exit(1);
    });
  }
}

/** A loop that runs `tick` every `intervalMs` until closed; a tick that throws is counted, logged and tried again. */
export interface Ticker {
  /** Milliseconds since the last tick that ended well. */
  readonly sinceSuccessMs: () => number;
  /** Runs the next tick now instead of at the end of the interval. */
  readonly wake: () => void;
  readonly close: () => Promise<void>;
}

/** What a tick may return that found nothing to do. */
export const nothingToDo = 'nothing to do';
export type TickEnd = typeof nothingToDo | undefined;

/** @param idleMs how long it pauses after a tick that found nothing to do; by default as long as after any other */
export function startTicker(
  name: string,
  intervalMs: number,
  log: Logger,
  tick: (signal: AbortSignal) => Promise<unknown>,
  idleMs = intervalMs,
): Ticker {
  const stop = new AbortController();
  let nap = new AbortController();
  let lastSuccess = performance.now();
  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      let pauseMs = intervalMs;
      try {
        if ((await tick(stop.signal)) === nothingToDo) pauseMs = idleMs;
        lastSuccess = performance.now();
      } catch (error) {
        metrics.tickFailures.inc({ tick: name });
        log.warn({ err: error, tick: name }, 'tick failed');
      }
      nap = new AbortController();
      await delay(pauseMs, undefined, {
        signal: AbortSignal.any([stop.signal, nap.signal]),
      }).catch(() => undefined);
    }
  };
  const ended = loop();
  return {
    sinceSuccessMs: () => performance.now() - lastSuccess,
    wake: () => nap.abort(),
    close: () => {
      stop.abort();
      return ended;
    },
  };
}
