// Which programs this machine has: looked up on PATH, or tried. Apart because the launcher adapts to what is
// installed (setpriv, unshare, taskset, redis-server) instead of demanding it.

import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { childEnv } from '../shared/config.ts';

/** The absolute path of the first of `names` that can be run, or undefined. */
export function findOnPath(...names: readonly string[]): string | undefined {
  const folders = (childEnv({})['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(isExecutable);
}

/** Whether `command` runs here and exits 0; containers and chroots refuse some that are installed. */
export function runsHere(command: readonly string[]): boolean {
  const [program, ...args] = command;
  if (program === undefined) return false;
  return spawnSync(program, args, { stdio: 'ignore', timeout: 5000 }).status === 0;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
