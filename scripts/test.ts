// The test runner: one process per file under a time limit, because uvu runs all files in one process, waits for ever
// on an open handle and calls a file without tests a success. Its last line is `N passed, N failed`.

import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { childEnv, packageRoot } from '../shared/config.ts';
import { limit, spawnGuarded } from './guarded-process.ts';
import { onStopRequest } from './stop-requests.ts';
import { judgeFile, type Verdict } from './test-summary.ts';

const fileLimitMs = 240_000;
const filesAtOnce = 2;

interface Report {
  readonly file: string;
  readonly verdict: Verdict;
  readonly output: string;
  readonly seconds: number;
}

/** `*.test.ts`, which need no server, and with `live` also `*.live.ts`, which do; paths from the package's root, sorted. */
export async function findTestFiles(root: string, live: boolean): Promise<readonly string[]> {
  const ending = live ? /\.(test|live)\.ts$/ : /\.test\.ts$/;
  const walk = async (folder: string): Promise<readonly string[]> => {
    const entries = await readdir(folder, { withFileTypes: true });
    const inside = entries.filter((entry) => entry.isDirectory() && !isForeign(entry.name));
    const below = await Promise.all(inside.map((entry) => walk(join(folder, entry.name))));
    const here = entries.filter((entry) => entry.isFile() && ending.test(entry.name));
    return [...here.map((entry) => relative(root, join(folder, entry.name))), ...below.flat()];
  };
  return [...(await walk(root))].sort();
}

function isForeign(folder: string): boolean {
  return folder === 'node_modules' || folder === 'dist' || folder.startsWith('.');
}

/** Runs `files`, some at once, and hands each report to `onReport` in the order of `files`. */
async function runFiles(files: readonly string[], onReport: (report: Report) => void): Promise<void> {
  const waiting = [...files.entries()];
  const reports = new Map<number, Report>();
  let told = 0;
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      reports.set(next[0], await runFile(next[1]));
      for (let due = reports.get(told); due !== undefined; due = reports.get(told)) {
        onReport(due);
        told++;
      }
    }
  };
  await Promise.all(Array.from({ length: filesAtOnce }, lane));
}

async function runFile(file: string): Promise<Report> {
  const compiled = join('dist', file.replace(/\.ts$/, '.js'));
  const started = performance.now();
  if (!existsSync(join(packageRoot, compiled))) return missing(file, compiled);
  const lines: string[] = [];
  const child = spawnGuarded({
    name: file,
    command: [process.execPath, '--enable-source-maps', compiled],
    cwd: packageRoot,
    env: { NODE_ENV: 'test', LOG_LEVEL: childEnv({})['LOG_LEVEL'] ?? 'silent' },
    deathSignal: 'TERM',
    onLine: (line) => lines.push(line),
  });
  const end = await Promise.race([child.exited, limit(fileLimitMs)]);
  await child.stop('SIGKILL', 0);
  const output = lines.join('\n');
  const verdict = judgeFile({ exitCode: end === 'late' ? undefined : end.code, output });
  return { file, verdict, output, seconds: (performance.now() - started) / 1000 };
}

function missing(file: string, compiled: string): Report {
  const problem = `${compiled} is missing: run \`npm run build\` and look at its errors`;
  return { file, verdict: { passed: 0, failed: 1, skipped: 0, problem }, output: '', seconds: 0 };
}

function printReport({ file, verdict, output, seconds }: Report): void {
  const skipped = verdict.skipped > 0 ? `, ${verdict.skipped} skipped` : '';
  const counts = `${verdict.passed} passed${skipped}  ${seconds.toFixed(1)} s`;
  if (verdict.failed === 0) return console.log(`ok    ${file}  ${counts}`);
  console.log(`FAIL  ${file}  ${verdict.failed} failed, ${counts}`);
  if (verdict.problem !== undefined) console.log(`      ${verdict.problem}`);
  console.log(output.replace(/^/gm, '      | '));
}

async function main(): Promise<void> {
  const given = process.argv.slice(2);
  const filters = given.filter((argument) => !argument.startsWith('--'));
  const unknown = given.find((argument) => argument.startsWith('--') && argument !== '--unit');
  if (unknown !== undefined)
    throw new Error(`unknown option ${unknown}; usage: test.js [--unit] [part of a path...]`);
  const all = await findTestFiles(packageRoot, !given.includes('--unit'));
  const files = all.filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)));
  let passed = 0;
  let failed = 0;
  await runFiles(files, (report) => {
    printReport(report);
    passed += report.verdict.passed;
    failed += report.verdict.failed;
  });
  if (files.length === 0) console.log('no test file matches');
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
  console.log(`${passed} passed, ${failed} failed`);
}

// Ending kills the test processes that are still running.
onStopRequest(
  () => process.exit(130),
  () => process.exit(130),
);
main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
