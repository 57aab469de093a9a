import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { repeatedTexts } from './mix-texts.ts';
import { personas, planArrivals, ratesOf } from './personas.ts';

const crowd = (users: number, seed: number) => ({
  visits: Array.from({ length: users }, () => [{ from: 0, to: 60 }]),
  texts: repeatedTexts(1),
  people: 100,
  seed,
});

test('1,000 users ask for what the former load test asked for', () => {
  const rates = ratesOf(1000);
  assert.is(rates.requests.toFixed(1), '458.6');
  assert.is(Math.round(rates.emotion), 372);
  assert.is(Math.round(rates.reasoning), 119);
  assert.is(Math.round(rates.profile), 40);
});

test('there are at least 20 scenarios, each with a name of its own', () => {
  const names = personas.flatMap(({ scenarios }) => scenarios.map(({ name }) => name));
  assert.ok(new Set(names).size === names.length && names.length >= 20, String(names.length));
});

test('arrivals come in order and at the rate of their users', () => {
  const arrivals = planArrivals(crowd(1000, 7));
  assert.ok(arrivals.every(({ dueMs }, index) => index === 0 || dueMs >= (arrivals[index - 1]?.dueMs ?? 0)));
  const perSecond = arrivals.filter(({ dueMs }) => dueMs > 5000).length / 55;
  assert.ok(Math.abs(perSecond / ratesOf(1000).requests - 1) < 0.02, String(perSecond));
});

test('the same seed gives the same arrivals, another seed others', () => {
  const dues = (seed: number) =>
    planArrivals(crowd(20, seed)).map(({ dueMs, scenario }) => [dueMs, scenario.name]);
  assert.equal(dues(3), dues(3));
  assert.not.equal(dues(3), dues(4));
});

test('a user outside its visits asks for nothing', () => {
  const visits = [[{ from: 10, to: 20 }]];
  const arrivals = planArrivals({ ...crowd(0, 1), visits });
  assert.ok(arrivals.length > 0 && arrivals.every(({ dueMs }) => dueMs >= 10_000 && dueMs < 20_000));
});

test.run();
