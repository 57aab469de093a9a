// Whether what was started can be used: asked of the processes themselves, over their health addresses.

import { setTimeout as delay } from 'node:timers/promises';

const askLimitMs = 2000;
const pauseMs = 50;

/** Resolves to true once any of `urls` answers 200, at once if there are none, or to false when `signal` aborts. */
export async function waitUntilReady(urls: readonly string[], signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted) {
    const answers = await Promise.all(urls.map(isReady));
    if (answers.length === 0 || answers.includes(true)) return true;
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(askLimitMs) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}
