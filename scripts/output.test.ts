// Which process wrote a line must be seen at a glance, and a log file must not hold escape codes.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createOutput } from './output.ts';

function capture(colour: boolean): { output: ReturnType<typeof createOutput>; lines: string[] } {
  const lines: string[] = [];
  return { output: createOutput(['api.1', 'analysis.2'], colour, (text) => lines.push(text)), lines };
}

test('puts the name before each line, all in one width', () => {
  const { output, lines } = capture(false);
  output.line('analysis.2', 'up');
  output.line('api.1', 'up');
  output.say('one\ntwo');
  assert.equal(lines, ['analysis.2 | up\n', 'api.1      | up\n', 'soma       | one\n', 'soma       | two\n']);
});

test('colours the name only, and only when asked', () => {
  const { output, lines } = capture(true);
  output.line('analysis.2', 'up');
  assert.equal(lines, ['\u001b[32manalysis.2 |\u001b[0m up\n']);
});

test.run();
