// What one test file came to, read from what uvu printed. Apart and pure, because uvu's own exit code is not enough:
// it is 0 for a file without `test.run()` and for a suite without tests.

import { stripVTControlCharacters } from 'node:util';

/** Counts of one file. uvu leaves skipped tests out of `total`. */
export interface Summary {
  readonly total: number;
  readonly passed: number;
  readonly skipped: number;
}

/** How the process of a file ended. */
export interface FileEnd {
  /** Undefined when it was killed because it passed its time limit. */
  readonly exitCode: number | undefined;
  readonly output: string;
}

/** What a file adds to the totals, and what is wrong with it beyond failed tests. */
export interface Verdict {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly problem?: string;
}

/** The last summary in `output`: a test may print the like of one itself. */
export function parseSummary(output: string): Summary | undefined {
  const pattern = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n {2}Skipped: +(\d+)$/gm;
  const last = [...stripVTControlCharacters(output).matchAll(pattern)].at(-1);
  if (last === undefined) return undefined;
  return { total: Number(last[1]), passed: Number(last[2]), skipped: Number(last[3]) };
}

/** Counts a file; one with a problem counts at least one failure, whatever its tests said. */
export function judgeFile(end: FileEnd): Verdict {
  const summary = parseSummary(end.output);
  const { total, passed, skipped } = summary ?? { total: 0, passed: 0, skipped: 0 };
  const problem = findProblem(end, summary);
  const failed = total - passed;
  if (problem === undefined) return { passed, failed, skipped };
  return { passed, failed: Math.max(1, failed), skipped, problem };
}

function findProblem(end: FileEnd, summary: Summary | undefined): string | undefined {
  if (end.exitCode === undefined && summary !== undefined) {
    return 'its tests ended but the process did not: a pool, server or timer is still open';
  }
  if (end.exitCode === undefined) return 'did not end in time';
  if (summary === undefined)
    return `exit code ${end.exitCode} and no summary: it crashed, or lacks test.run()`;
  if (summary.total === 0) return 'ran no test';
  if (end.exitCode !== 0 && summary.passed === summary.total)
    return `exit code ${end.exitCode} though each test passed`;
  return undefined;
}
