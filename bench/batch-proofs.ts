// `npm run bench -- batch-proofs`: what is promised of batches and is no matter of speed, shown by the tests that drive
// the running system: every bad line named, and OpenAI's SDK served.

import type { BenchOptions } from './options.ts';
import { startReport, writeReport } from './report.ts';
import { runTestFile, toFigures } from './test-file.ts';

const files = {
  'api/batch-input.live': '37 bad lines of 12 kinds, under reject and skip, and other bad input',
  'api/openai.live': 'files and batches by the openai SDK, with only its base URL changed',
} as const;

/** @returns whether all tests passed. */
export async function measureBatchProofs({ seed }: BenchOptions): Promise<boolean> {
  const started = startReport();
  const runs = Object.entries(files).map(([file, name]) => runTestFile(file, name));
  return writeReport(started, {
    part: 'batch-proofs',
    seed,
    kind: 'emotion',
    settings: { files: Object.keys(files) },
    rounds: runs,
    summary: { passed: runs.reduce((sum, { passed }) => sum + passed, 0) },
    figures: toFigures(runs),
  });
}
