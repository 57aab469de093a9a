// Waits for the end of a process that is not our child, for the tests that kill launchers.

import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from './folder-owner.ts';

/**
 * Resolves when the process no longer runs; a dead one whose parent has not looked yet counts as gone.
 * @throws Error when it still runs after `limitMs`.
 */
export async function whenGone(pid: number, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (isAlive(pid) && !(await isZombie(pid))) {
    if (performance.now() > deadline) throw new Error(`process ${pid} still runs`);
    await delay(20);
  }
}

async function isZombie(pid: number): Promise<boolean> {
  return /\) Z /.test(await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''));
}
