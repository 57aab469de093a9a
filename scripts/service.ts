// What every embedded server has in common: where it may keep its data, what it gives to the processes that use
// it, and how its start is waited for.

import { setTimeout as delay } from 'node:timers/promises';
import type { Exit, GuardedProcess } from './guarded-process.ts';

/** A server that we started. `env` holds the variables under which the other processes find it. */
export interface Service {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly process: GuardedProcess;
  readonly stop: () => Promise<unknown>;
}

/** Where a server keeps its data. `kept` data outlives the run and is synced to disk from the first byte. */
export interface ServicePlace {
  readonly folder: string;
  readonly kept: boolean;
}

/** How long a server may take to end before it is killed. */
export const stopLimitMs = 15_000;

const pollMs = 15;

/**
 * Asks `probe` until it says true; then returns undefined.
 * Returns how the process ended when it ended first, or was killed because `limitMs` had passed.
 */
export async function untilReady(
  server: GuardedProcess,
  probe: () => Promise<boolean>,
  limitMs: number,
): Promise<Exit | undefined> {
  const deadline = performance.now() + limitMs;
  let exit: Exit | undefined;
  void server.exited.then((value) => {
    exit = value;
  });
  while (exit === undefined) {
    if (await probe()) return undefined;
    if (performance.now() > deadline) {
      await server.stop('SIGKILL', 0);
      return { code: 1, text: `no answer within ${limitMs / 1000} s` };
    }
    await delay(pollMs);
  }
  return exit;
}

/** The error that says how a server ended and what it said last. */
export function serviceError(server: GuardedProcess, exit: Exit): Error {
  return new Error(
    `${server.name} stopped (${exit.text}); its last lines:\n${server.lastLines() || '(none)'}`,
  );
}
