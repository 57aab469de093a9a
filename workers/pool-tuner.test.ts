// Pools are as large as the goal allows for what their kind costs, and wait no longer than company is worth.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createPoolTuner } from './pool-tuner.ts';

const options = { goalMs: 500, tokensMax: 16_384, waitMsMax: 5 };
const cost = { fixedMs: 1.5, perTokenMs: 0.1 };

test('knows nothing of a kind before its first pool', () => {
  assert.equal(createPoolTuner(options).limits('emotion@1'), { tokensMax: 16_384, waitMs: 5 });
});

test('sizes the pools of each kind by what they cost', () => {
  const tuner = createPoolTuner(options);
  tuner.observe('emotion@1', { tokens: 1000, ms: 100 }, cost);
  tuner.observe('reasoning@1', { tokens: 1000, ms: 2000 }, { fixedMs: 9, perTokenMs: 2 });
  assert.equal(tuner.limits('emotion@1'), { tokensMax: 5000, waitMs: 1.5 });
  assert.equal(tuner.limits('reasoning@1'), { tokensMax: 250, waitMs: 5 });
});

test('follows a model that becomes slower, and never goes to nothing', () => {
  const tuner = createPoolTuner(options);
  tuner.observe('emotion@1', { tokens: 1000, ms: 100 }, cost);
  for (let pool = 0; pool < 40; pool++) tuner.observe('emotion@1', { tokens: 1000, ms: 1000 }, cost);
  assert.ok(Math.abs(tuner.limits('emotion@1').tokensMax - 500) < 5);
  for (let pool = 0; pool < 60; pool++) tuner.observe('emotion@1', { tokens: 10, ms: 60_000 }, cost);
  assert.is(tuner.limits('emotion@1').tokensMax, 128);
});

test('learns nothing from a pool in which nothing ran', () => {
  const tuner = createPoolTuner(options);
  tuner.observe('emotion@1', { tokens: 0, ms: 0 }, cost);
  assert.is(tuner.limits('emotion@1').tokensMax, 16_384);
});

test.run();
