// Keeps one process running: a death nobody asked for is told loudly and mended, with growing pauses, until it is
// plain that it will not stay up.

import { setTimeout as delay } from 'node:timers/promises';
import { type Exit, type GuardedProcess, type GuardedOptions, spawnGuarded } from './guarded-process.ts';

/** A process that is started again when it dies. */
export interface Supervised {
  /** Resolves when it was given up after too many quick deaths; never rejects. */
  readonly failed: Promise<Error>;
  /** Asks it to end with SIGTERM and kills it after `limitMs`; it is not started again. */
  readonly stop: (limitMs: number) => Promise<void>;
}

export interface SuperviseOptions {
  readonly process: GuardedOptions;
  /** Told of each death and restart. */
  readonly onEvent: (message: string) => void;
  /** A life shorter than this is a quick death; so many in a row and it is given up. */
  readonly quickMs?: number;
  readonly quickDeathsMax?: number;
  /** The first pause; each further one is twice as long, up to 5 s. */
  readonly pauseMs?: number;
}

const pauseMsMax = 5000;

/** Starts the process and keeps it running until stopped. */
export function supervise(options: SuperviseOptions): Supervised {
  const { quickMs = 10_000, quickDeathsMax = 5, pauseMs = 200 } = options;
  const stopping = new AbortController();
  let current: GuardedProcess;
  const keepRunning = async (): Promise<Error | undefined> => {
    for (let quickDeaths = 0; ; ) {
      const started = performance.now();
      current = spawnGuarded(options.process);
      const exit = await current.exited;
      if (stopping.signal.aborted) return undefined;
      quickDeaths = performance.now() - started < quickMs ? quickDeaths + 1 : 0;
      if (quickDeaths >= quickDeathsMax) return givenUp(options.process.name, exit, quickDeaths);
      const pause = Math.min(pauseMsMax, pauseMs * 2 ** Math.max(0, quickDeaths - 1));
      options.onEvent(
        `${options.process.name} ended unexpectedly (${exit.text}); starting it again in ${pause} ms`,
      );
      await delay(pause, undefined, { signal: stopping.signal }).catch(() => undefined);
      if (stopping.signal.aborted) return undefined;
    }
  };
  const ended = keepRunning();
  return {
    failed: new Promise((resolve) => void ended.then((error) => error !== undefined && resolve(error))),
    stop: async (limitMs) => {
      stopping.abort();
      await current.stop('SIGTERM', limitMs);
      await ended;
    },
  };
}

function givenUp(name: string, exit: Exit, deaths: number): Error {
  return new Error(`${name} died ${deaths} times in a row soon after its start, at last with: ${exit.text}`);
}
