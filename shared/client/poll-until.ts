// Waiting by long polls: the server holds each answer back until something ends or the time is up.

import { SomaError } from './soma-error.ts';
import { pause } from './transport.ts';

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which to give up with `timed_out`; without it there is no limit but `signal`. */
  readonly timeoutMs?: number;
}

/** Below the minute that proxies commonly allow. */
const pollSeconds = 25;
/** A server that is about to stop answers at once; it must not be asked in a circle. */
const pauseMs = 1000;

/** @param ask looks at the thing, held back by the server for that many seconds. */
export async function pollUntil<Thing extends { readonly id: string; readonly status: string }>(
  ask: (seconds: number, signal: AbortSignal | undefined) => Promise<Thing>,
  isOver: (thing: Thing) => boolean,
  { timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions,
): Promise<Thing> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const askedAt = performance.now();
    const seconds = Math.min(pollSeconds, Math.max(0, Math.ceil((deadline - askedAt) / 1000)));
    const thing = await ask(seconds, signal);
    if (isOver(thing)) return thing;
    if (performance.now() >= deadline) {
      const message = `${thing.id} is ${thing.status} after ${timeoutMs} ms`;
      throw new SomaError('timed_out', message, { retryable: true });
    }
    const rest = Math.min(pauseMs, deadline - askedAt) - (performance.now() - askedAt);
    await pause(Math.max(0, rest), signal);
  }
}
