// What counts as a number in a query string.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { queryInteger, queryNumber } from './query-number.ts';

test('takes decimal digits within the range, and nothing else', () => {
  const schema = queryInteger(0, 60);
  assert.is(schema.parse('5'), 5);
  assert.is(schema.parse('007'), 7);
  for (const value of ['', ' 5', '5 ', '+5', '0x5', '1e1', '5.0', 'Infinity', '61', '-1', ['5'], null])
    assert.not.ok(schema.safeParse(value).success, JSON.stringify(value));
});

test('takes fractions where they are asked for', () => {
  const schema = queryNumber(0, 1);
  assert.equal(
    ['0', '0.25', '1e-2', '1'].map((value) => schema.parse(value)),
    [0, 0.25, 0.01, 1],
  );
  for (const value of ['', ' 0', '.5', '0x1', '2', 'NaN'])
    assert.not.ok(schema.safeParse(value).success, JSON.stringify(value));
});

test.run();
