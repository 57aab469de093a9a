// The window: its size, the limits of tenants, and what a low class keeps of them.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from './config.ts';
import { createWindow, windowItemsMax } from './window.ts';

test('sizes the window by the workers there are', () => {
  const config = readConfig({ POOL_ITEMS_MAX: '10', WINDOW_POOLS_PER_WORKER: '3' });
  assert.is(windowItemsMax(config, 4, 1), 120);
  const shared = { ...config, SHARED_POOL_ITEMS_MAX: 4 };
  assert.equal(
    [1, 2, 3, 4, 100].map((tenants) => windowItemsMax(shared, 4, tenants)),
    [120, 84, 48, 48, 48],
  );
});

const config = readConfig({ PRIORITY_FLOOR_PERCENT: '10', POOL_ITEMS_MAX: '1000' });
const limits = new Map([['a', 100]]);
const use = (jobClass: number, items: number, waiting = false) => ({
  tenantId: 'a',
  class: jobClass,
  items,
  waiting,
});

test('has room again when a whole dispatch fits, or a quarter of a small window is free', () => {
  const roomOf = (poolItems: number, used: number): boolean => {
    const small = readConfig({ POOL_ITEMS_MAX: String(poolItems), WINDOW_POOLS_PER_WORKER: '1' });
    return createWindow(small, { uses: [use(1, used, true)], workers: 1, limits }).hasRoom('a', 1);
  };
  assert.equal([roomOf(1000, 936), roomOf(1000, 937)], [true, false]);
  assert.equal([roomOf(100, 75), roomOf(100, 76)], [true, false]);
});

test('lets a tenant have as many items in flight as its limit, over all classes', () => {
  const window = createWindow(config, { uses: [use(0, 40), use(1, 50)], workers: 1, limits });
  assert.equal(
    [window.fits('a', 2, 10), window.fits('a', 2, 11), window.fits('b', 2, 500)],
    [true, false, true],
  );
  window.add('a', 1, 10);
  assert.not(window.fits('a', 0, 1));
});

test('lets a job that is larger than the limit go alone', () => {
  const window = createWindow(config, { uses: [], workers: 1, limits });
  assert.ok(window.fits('a', 1, 101));
  window.add('a', 1, 101);
  assert.not(window.fits('a', 1, 1));
});

test('keeps a part of the limit for a lower class that waits', () => {
  const window = createWindow(config, { uses: [use(0, 80), use(2, 4, true)], workers: 1, limits });
  assert.equal(
    [window.fits('a', 0, 10), window.fits('a', 0, 11), window.fits('a', 2, 16)],
    [true, false, true],
  );
});

test.run();
