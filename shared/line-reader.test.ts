// Lines come out the same however the bytes are cut, and memory is bounded by the longest line.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createLineReader } from './line-reader.ts';

const linesOf = (bytes: Buffer, sizes: readonly number[]): string[] => {
  const reader = createLineReader(64);
  const lines = [];
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    lines.push(...reader.push(bytes.subarray(at, at + size)));
    at = Math.min(bytes.length, at + size);
  }
  lines.push(...reader.end());
  return lines.map(({ bytes: line, tooLong }) => `${line.toString()}${tooLong ? '…' : ''}`);
};

test('does not care where the stream is cut', () => {
  const text = fc.array(fc.string({ maxLength: 90, unit: fc.constantFrom('a', 'é', '😀', '\r', '\n', ' ') }));
  fc.assert(
    fc.property(text, fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 200 }), (parts, sizes) => {
      const bytes = Buffer.from(parts.join('\n'));
      assert.equal(linesOf(bytes, sizes), linesOf(bytes, []));
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('takes LF and CRLF, drops a byte order mark, and marks what is too long', () => {
  const bytes = Buffer.from(`\uFEFFone\r\ntwo\n\n${'x'.repeat(65)}\n${'y'.repeat(64)}\nlast`);
  assert.equal(linesOf(bytes, []), ['one', 'two', '', `${'x'.repeat(64)}…`, 'y'.repeat(64), 'last']);
  assert.equal(linesOf(Buffer.from('a\n'), []), ['a']);
});

test.run();
