// What a run costs is learned from runs, follows a machine that changes, and is not thrown by one that was interrupted.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { usualRunCost } from './micro-batch.ts';
import { createRunCostModel } from './run-cost.ts';

const sizes = Array.from({ length: 300 }, (_, index) => 20 + ((index * 37) % 300));

function near(found: number, wanted: number, share: number): void {
  assert.ok(Math.abs(found - wanted) <= share * wanted, `${found} is not ${wanted}`);
}

test('begins with what runs usually cost', () => {
  const { fixedMs, perTokenMs } = createRunCostModel().read();
  near(fixedMs, usualRunCost.fixedMs, 1e-6);
  near(perTokenMs, usualRunCost.perTokenMs, 1e-6);
});

test('learns both shares of the cost', () => {
  const model = createRunCostModel();
  for (const tokens of sizes) model.observe(tokens, 6 + 0.3 * tokens);
  near(model.read().fixedMs, 6, 0.25);
  near(model.read().perTokenMs, 0.3, 0.05);
});

test('follows a machine that becomes slower', () => {
  const model = createRunCostModel();
  for (const tokens of sizes) model.observe(tokens, 1 + 0.1 * tokens);
  for (const tokens of sizes) model.observe(tokens, 20 + 2 * tokens);
  near(model.read().perTokenMs, 2, 0.1);
});

test('keeps its head when a run is interrupted', () => {
  const model = createRunCostModel();
  for (const tokens of sizes) model.observe(tokens, 1 + 0.1 * tokens);
  model.observe(100, 60_000);
  near(model.read().perTokenMs, 0.1, 0.2);
});

test('does not lose the fixed share to runs that were interrupted', () => {
  const model = createRunCostModel();
  for (const tokens of sizes) model.observe(tokens, 1 + 0.1 * tokens * (tokens > 200 ? 1.8 : 1));
  const { fixedMs, perTokenMs } = model.read();
  assert.ok(fixedMs >= 4.99 * perTokenMs, `${fixedMs} ms beside ${perTokenMs} ms a token`);
});

test('stays sane when all runs are alike, or cost nothing', () => {
  const model = createRunCostModel();
  for (let run = 0; run < 500; run++) model.observe(100, 20);
  const { fixedMs, perTokenMs } = model.read();
  near(fixedMs + 100 * perTokenMs, 20, 0.01);
  assert.ok(fixedMs > 0 && perTokenMs > 0);
  const idle = createRunCostModel();
  for (let run = 0; run < 500; run++) idle.observe(100, 0);
  assert.ok(idle.read().fixedMs >= 0 && idle.read().perTokenMs >= 0);
});

test.run();
