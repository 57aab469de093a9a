// Promises that the tests prove already, as figures: a file of tests is run, and how many passed is what was measured.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { childEnv, packageRoot } from '../shared/config.ts';
import type { Figure } from './report.ts';

export interface TestRun {
  /** What the file shows. */
  readonly name: string;
  readonly passed: number;
  readonly failed: number;
}

/** Runs the tests of a file, named like `api/openai.live`. One that crashes has failed. */
export function runTestFile(file: string, name: string): TestRun {
  const args = [join(packageRoot, 'dist/scripts/test.js'), file];
  const { stdout } = spawnSync(process.execPath, args, { env: childEnv({}), encoding: 'utf8' });
  process.stdout.write(stdout);
  const [, passed, failed] = /(\d+) passed, (\d+) failed\s*$/.exec(stdout) ?? [];
  return { name, passed: Number(passed ?? 0), failed: Number(failed ?? 1) };
}

/** Some passed, and none failed. */
export function toFigures(runs: readonly TestRun[]): Figure[] {
  return runs.flatMap(({ name, passed, failed }) => [
    { name: `${name}: tests passed`, value: passed, bound: 1, holds: 'at least' },
    { name: `${name}: tests failed`, value: failed, bound: 0, holds: 'at most' },
  ]);
}
