// The kernel's list of cores, as it appears on whole machines and in containers.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseCoreList, readCpus } from './allowed-cores.ts';

test('reads single cores and ranges', () => {
  assert.equal(parseCoreList('0'), [0]);
  assert.equal(parseCoreList('0-3,6,8-9'), [0, 1, 2, 3, 6, 8, 9]);
});

test('reads nothing from nothing', () => {
  assert.equal(parseCoreList(''), []);
});

test('takes cores in the order in which they are given, each once', () => {
  assert.equal(readCpus('1,0', [0, 1, 2, 3]), [1, 0]);
  assert.equal(readCpus('2-3,2', [0, 1, 2, 3]), [2, 3]);
});

test('refuses what is no list, cores that are not ours, and systems that cannot', () => {
  for (const bad of ['', 'a', '0,', '0-', '1-0', '-1', '0;1'])
    assert.throws(() => readCpus(bad, [0, 1]), /is not a list of cores/, bad);
  assert.throws(() => readCpus('0,7', [0, 1]), /not ours to use: 7; we may run on 0, 1/);
  assert.throws(() => readCpus('0', []), /only Linux/);
});

test.run();
