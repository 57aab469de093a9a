// Ties this process to cores, with all threads that it has and all processes that it will start.

import { spawnSync } from 'node:child_process';

/** @throws Error if the system does not do it, with its words */
export function pinProcess(cores: readonly number[]): void {
  const args = ['--all-tasks', '--pid', '--cpu-list', cores.join(','), String(process.pid)];
  const { error, status, stderr } = spawnSync('taskset', args, { encoding: 'utf8', timeout: 5000 });
  if (error !== undefined)
    throw new Error(`--cpus needs taskset (of util-linux): ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`--cpus: ${stderr.trim()}`);
}
