// Who uses a server's data folder now. A server that lost its launcher to kill -9 ends a moment later, and a
// process id in a lock file may belong to a stranger after a reboot; both are told apart from a second launcher.

import { readFile, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Waits until the process named in the first line of `lockFile` no longer works in `folder`.
 * @throws Error naming the process when it is still there after `limitMs`.
 */
export async function waitForFolder(folder: string, lockFile: string, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const owner = await findOwner(folder, lockFile);
    if (owner === undefined) return;
    if (performance.now() > deadline) throw new Error(inUse(folder, owner));
    await delay(100);
  }
}

/** The id in `lockFile` when that process is alive and works in `folder`; without /proc every live process counts. */
export async function findOwner(folder: string, lockFile: string): Promise<number | undefined> {
  const pid = await readPid(join(folder, lockFile));
  if (pid === undefined || !isAlive(pid)) return undefined;
  if (process.platform !== 'linux') return pid;
  const [home, cwd] = await Promise.all([
    realpath(folder),
    readlink(`/proc/${pid}/cwd`).catch(() => undefined),
  ]);
  return cwd === home ? pid : undefined;
}

function inUse(folder: string, pid: number): string {
  return `process ${pid} uses ${folder}: stop the other \`npm start\`, or, if it was left behind, run: kill -INT ${pid}`;
}

/** The number in the first line of a lock file; undefined when there is none. */
export async function readPid(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  return pid > 0 ? pid : undefined;
}

/** Whether a process has this id; one of another user counts as well. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
