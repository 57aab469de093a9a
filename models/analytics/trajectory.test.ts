import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fitSlope, studentQuantile, successiveDifference } from './statistics.ts';
import { type EmotionPoint, trajectoryOf, trajectorySchema } from './trajectory.ts';

const start = Date.UTC(2026, 10, 1, 12);
const dayMs = 86_400_000;

function point(days: number, valence: number, more: Partial<EmotionPoint> = {}): EmotionPoint {
  return {
    at: new Date(start + days * dayMs),
    valence,
    arousal: 0.5,
    intensity: 0.5,
    primary_emotion: valence < 0 ? 'sadness' : 'joy',
    ...more,
  };
}

function about(actual: number | null | undefined, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) <= tolerance, `${actual} is not ${expected}`);
}

test("Student's t quantile agrees with the tables", () => {
  const table = { 1: 12.7062, 2: 4.3027, 5: 2.5706, 6: 2.4469, 10: 2.2281, 30: 2.0423, 120: 1.9799 };
  for (const [freedom, quantile] of Object.entries(table)) {
    about(studentQuantile(Number(freedom)), quantile, 0.0005);
  }
  about(studentQuantile(3), 3.1824, 0.01);
  about(studentQuantile(1e9), 1.959964, 1e-6);
});

test('a slope and its interval are those computed by hand', () => {
  // Sxx = 10 and Sxy = 8.
  const ys = [1, 2, 2, 4, 4];
  const fitted = fitSlope(ys.map((y, x) => ({ x, y })));
  about(fitted?.slope, 0.8);
  // The line gives 1, 1.8, 2.6, 3.4, 4.2, so that the squared errors add up to .8; t is 3.1824 at 3 degrees.
  const margin = 3.1824 * Math.sqrt(0.8 / 3 / 10);
  about(fitted?.interval[0], 0.8 - margin, 0.003);
  about(fitted?.interval[1], 0.8 + margin, 0.003);
});

test('differences of neighbours are not the spread', () => {
  about(successiveDifference([0, 1, 0, 1]), 1);
  about(successiveDifference([0, 0, 1, 1]), Math.sqrt(1 / 3));
  assert.is(successiveDifference([0.5]), null);
});

test('no analyses give nulls, zeros and empty lists', () => {
  const empty = trajectoryOf([]);
  assert.equal(empty, {
    trajectory: [],
    baseline_valence: null,
    valence_std: null,
    baseline_arousal: null,
    arousal_std: null,
    trend: null,
    trend_slope: null,
    trend_slope_interval: null,
    volatility: null,
    dominant_emotions: [],
    data_points: 0,
    days_analyzed: 0,
  });
  trajectorySchema.parse(empty);
});

test('one analysis has a level and no spread', () => {
  const one = trajectoryOf([point(0, 0.5)]);
  assert.is(one.baseline_valence, 0.5);
  assert.is(one.valence_std, null);
  assert.is(one.volatility, null);
  assert.equal(one.dominant_emotions, [{ emotion: 'joy', count: 1, percentage: 100 }]);
});

test('the figures of four analyses are those computed by hand', () => {
  const result = trajectoryOf([
    point(0, 0.4, { arousal: 0.2 }),
    point(0.1, -0.2, { arousal: 0.4 }),
    point(1, 0.6, { arousal: 0.6 }),
    point(2, 0.0, { arousal: 0.8, primary_emotion: 'neutral' }),
  ]);
  about(result.baseline_valence, 0.2);
  about(result.valence_std, Math.sqrt(0.4 / 3));
  about(result.baseline_arousal, 0.5);
  about(result.arousal_std, Math.sqrt(0.2 / 3));
  about(result.volatility, Math.sqrt((0.36 + 0.64 + 0.36) / 3));
  assert.is(result.trend, null);
  assert.is(result.days_analyzed, 3);
  assert.equal(result.dominant_emotions, [
    { emotion: 'joy', count: 2, percentage: 50 },
    { emotion: 'neutral', count: 1, percentage: 25 },
    { emotion: 'sadness', count: 1, percentage: 25 },
  ]);
});

test('seven falling days decline, rising ones improve, by their slope per day', () => {
  const falling = [0.8, 0.6, 0.45, 0.2, 0.0, -0.3, -0.5].map((valence, day) => point(day, valence));
  const down = trajectoryOf(falling);
  assert.is(down.trend, 'declining');
  about(down.trend_slope, -6.15 / 28);
  const up = trajectoryOf(falling.map((entry) => ({ ...entry, valence: -entry.valence })));
  assert.is(up.trend, 'improving');
  about(up.trend_slope, 6.15 / 28);
});

test('six falling days are too few for a trend', () => {
  const six = trajectoryOf([0.8, 0.6, 0.4, 0.2, 0, -0.2].map((valence, day) => point(day, valence)));
  assert.is(six.trend, null);
  assert.is(six.trend_slope, null);
});

test('a slope whose interval holds 0 is stable', () => {
  const noisy = [0.5, -0.4, 0.6, -0.5, 0.4, -0.6, 0.5, -0.5].map((valence, day) => point(day, valence));
  const { trend, trend_slope_interval } = trajectoryOf(noisy);
  assert.is(trend, 'stable');
  const [low = 1, high = -1] = trend_slope_interval ?? [];
  assert.ok(low < 0 && high > 0);
  assert.is(trajectoryOf(Array.from({ length: 9 }, (_, day) => point(day, 0.3))).trend, 'stable');
});

test('time counts, not the number of messages', () => {
  const quick = [0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0].map((valence, hour) => point(hour / 24, valence));
  about(trajectoryOf(quick).trend_slope, -2.4);
});

test('analyses of one moment have no slope', () => {
  const { trend, trend_slope } = trajectoryOf(Array.from({ length: 8 }, (_, index) => point(0, index / 10)));
  assert.is(trend, null);
  assert.is(trend_slope, null);
});

const anyPoint: fc.Arbitrary<EmotionPoint> = fc.record({
  at: fc.date({ min: new Date('2020-01-01'), max: new Date('2030-01-01'), noInvalidDate: true }),
  valence: fc.double({ min: -1, max: 1, noNaN: true }),
  arousal: fc.double({ min: 0, max: 1, noNaN: true }),
  intensity: fc.double({ min: 0, max: 1, noNaN: true }),
  primary_emotion: fc.constantFrom('joy', 'sadness', 'anger', 'neutral'),
});

test('any analyses give what the schema says, and no NaN', () => {
  fc.assert(
    fc.property(fc.array(anyPoint, { maxLength: 30 }), (points) => {
      const result = trajectorySchema.parse(trajectoryOf(points));
      assert.not.match(JSON.stringify(result.trend_slope_interval), 'NaN');
      assert.is(result.data_points, points.length);
      assert.ok(result.days_analyzed <= points.length);
      assert.ok(result.dominant_emotions.reduce((sum, { percentage }) => sum + percentage, 0) <= 100.2);
    }),
  );
});

test('the order in which analyses come does not matter', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyPoint, { maxLength: 20, selector: ({ at }) => at.getTime() }), (points) =>
      assert.equal(trajectoryOf(points.toReversed()), trajectoryOf(points)),
    ),
  );
});

test('moved valences move the level and nothing else', () => {
  const points = fc.array(anyPoint, { minLength: 7, maxLength: 20 });
  fc.assert(
    fc.property(points, (given) => {
      const moved = trajectoryOf(given.map((entry) => ({ ...entry, valence: entry.valence / 2 + 0.25 })));
      const half = trajectoryOf(given.map((entry) => ({ ...entry, valence: entry.valence / 2 })));
      about(moved.baseline_valence, (half.baseline_valence ?? 0) + 0.25, 2e-6);
      about(moved.volatility, half.volatility ?? 0, 2e-6);
      about(moved.valence_std, half.valence_std ?? 0, 2e-6);
    }),
  );
});

test.run();
