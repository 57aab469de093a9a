// A Python environment for what is measured against Python programs, or made by one: created where it is missing, with
// the pinned packages of the requirements that are asked for.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { packageRoot } from '../shared/config.ts';

/**
 * @param folder from the root of the package, unless absolute
 * @param requirements files, from the root of the package
 * @returns the environment's `bin` folder
 * @throws Error if Python 3 is missing or a package cannot be installed; the words are on our stderr
 */
export function ensurePython(folder: string, requirements: readonly string[]): string {
  const place = isAbsolute(folder) ? folder : join(packageRoot, folder);
  const bin = join(place, 'bin');
  const files = requirements.map((path) => join(packageRoot, path));
  const wanted = createHash('sha256');
  for (const file of files) wanted.update(readFileSync(file));
  const digest = wanted.digest('hex').slice(0, 16);
  const mark = join(place, `.installed-${digest}`);
  if (existsSync(mark)) return bin;
  mkdirSync(place, { recursive: true });
  if (!existsSync(join(bin, 'python'))) run('python3', ['-m', 'venv', place]);
  const asked = files.flatMap((file) => ['-r', file]);
  run(join(bin, 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...asked]);
  writeFileSync(mark, '');
  return bin;
}

/** Runs a program to its end; its output goes to ours. */
export function run(program: string, args: readonly string[]): void {
  const { status, signal, error } = spawnSync(program, [...args], {
    cwd: packageRoot,
    stdio: ['ignore', 2, 2],
  });
  if (status === 0) return;
  throw new Error(`${program} ${args[0] ?? ''} ended with ${status ?? signal ?? error?.message}`, {
    cause: error,
  });
}
