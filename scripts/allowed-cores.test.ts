// The kernel's list of cores, as it appears on whole machines and in containers.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCoreList } from './allowed-cores.ts';

test('reads single cores and ranges', () => {
  assert.equal(parseCoreList('0'), [0]);
  assert.equal(parseCoreList('0-3,6,8-9'), [0, 1, 2, 3, 6, 8, 9]);
});

test('reads nothing from nothing', () => {
  assert.equal(parseCoreList(''), []);
});

test.run();
