// The traps of uvu, one test each: every one of these printed success, or nothing, without our own judgement.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { judgeFile, parseSummary } from './test-summary.ts';

function uvuOutput(total: number, passed: number, skipped = 0): string {
  return `• •   (${passed} / ${total})\n\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n  Duration:  0.41ms\n\n`;
}

test('counts passed, failed and skipped tests', () => {
  assert.equal(parseSummary(uvuOutput(5, 3, 2)), { total: 5, passed: 3, skipped: 2 });
  assert.equal(judgeFile({ exitCode: 1, output: uvuOutput(5, 3, 2) }), { passed: 3, failed: 2, skipped: 2 });
});

test('reads a coloured summary', () => {
  const output = '\n  Total:     2\u001b[32m\n  Passed:    2\u001b[39m\n  Skipped:   \u001b[33m1\u001b[39m\n';
  assert.equal(parseSummary(output), { total: 2, passed: 2, skipped: 1 });
});

test('believes the last summary when a test prints one itself', () => {
  assert.equal(parseSummary(uvuOutput(9, 9) + uvuOutput(2, 1)), { total: 2, passed: 1, skipped: 0 });
});

test('fails a file without a summary', () => {
  const verdict = judgeFile({ exitCode: 0, output: 'hello\n' });
  assert.is(verdict.failed, 1);
  assert.match(verdict.problem ?? '', 'test.run()');
});

test('fails a file that ran no test', () => {
  assert.is(judgeFile({ exitCode: 0, output: uvuOutput(0, 0, 3) }).failed, 1);
});

test('fails a file that passed its time limit, and says whether its tests had ended', () => {
  assert.match(judgeFile({ exitCode: undefined, output: '• •' }).problem ?? '', 'in time');
  const open = judgeFile({ exitCode: undefined, output: uvuOutput(4, 4) });
  assert.equal([open.passed, open.failed], [4, 1]);
  assert.match(open.problem ?? '', 'still open');
});

test('fails a file that exits with an error after all its tests passed', () => {
  assert.is(judgeFile({ exitCode: 1, output: uvuOutput(4, 4) }).failed, 1);
});

test.run();
