// What /proc/cpuinfo says of 8-bit arithmetic.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { describeInt8, parseProcessorFlags, readProcessorFlags, sumsMaySaturate } from './processor.ts';

const read = (line: string) =>
  parseProcessorFlags(`processor\t: 0\nmodel name\t: Xeon\n${line}\n\nprocessor\t: 1\n`);

test('reads the flags of x86 and of ARM, and none from other text', () => {
  assert.equal(read('flags\t\t: fpu avx2 avx512_vnni '), ['fpu', 'avx2', 'avx512_vnni']);
  assert.equal(read('Features\t: fp asimd asimddp'), ['fp', 'asimd', 'asimddp']);
  assert.equal(read('bugs\t: spectre_v1'), []);
});

test('names the fastest instruction set, and knows which sums saturate', () => {
  const judge = (line: string) => [describeInt8(read(line)), sumsMaySaturate(read(line))];
  assert.equal(judge('flags : avx2 avx512bw avx512_vnni amx_int8'), ['amx_int8', false]);
  assert.equal(judge('flags : avx2 avx512bw avx512_vnni'), ['avx512_vnni', false]);
  assert.equal(judge('flags : avx2 avx_vnni'), ['avx_vnni', false]);
  assert.equal(judge('flags : avx2 avx512bw'), ['avx512bw', true]);
  assert.equal(judge('flags : avx2'), ['avx2', true]);
  assert.equal(judge('Features : asimddp'), ['asimddp', false]);
  assert.equal(
    judge(''),
    ['none', true],
    'an unknown processor gets the arithmetic that is right everywhere',
  );
});

test('reads this machine, or nothing where there is no such file', () => {
  assert.is(readProcessorFlags().length > 0, process.platform === 'linux');
});

test.run();
