// When a launcher should end: told by a signal, or left behind by an npm that was killed. Apart because npm and the
// terminal both pass on one Ctrl-C, and only here is it known that two signals may be one request.

import { childEnv } from '../shared/config.ts';

/** A second signal this soon after the first is the same Ctrl-C: npm repeats what the terminal has already sent. */
const sameRequestMs = 500;
const orphanCheckMs = 500;

/**
 * Calls `stop` at the first request to end (SIGINT, SIGTERM, SIGHUP, or the death of the npm that started us) and
 * `force` at the next.
 */
export function onStopRequest(stop: (reason: string) => void, force: () => void): void {
  let requestedAt: number | undefined;
  const request = (reason: string): void => {
    if (requestedAt === undefined) {
      requestedAt = performance.now();
      stop(reason);
    } else if (performance.now() - requestedAt > sameRequestMs) force();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, request);
  if (childEnv({})['npm_lifecycle_event'] !== undefined) onceOrphaned(() => request('npm is gone'));
}

/** A killed npm tells its script nothing; the script only gets another parent. */
function onceOrphaned(act: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, orphanCheckMs);
  timer.unref();
}
