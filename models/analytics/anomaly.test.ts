import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { anomalySchema, findAnomaly } from './anomaly.ts';

const baseline = {
  baseline_valence: 0.6,
  valence_std: 0.2,
  baseline_arousal: 0.5,
  arousal_std: 0.1,
  data_points: 24,
};
const optedIn = true;

test('says nothing unless asked to', () => {
  assert.is(findAnomaly({ valence: -1, arousal: 0.5 }, baseline, { optedIn: false }), undefined);
});

test('says nothing without a baseline of seven analyses', () => {
  assert.is(
    findAnomaly({ valence: -1, arousal: 0.5 }, { ...baseline, data_points: 6 }, { optedIn }),
    undefined,
  );
  assert.is(
    findAnomaly({ valence: -1, arousal: 0.5 }, { ...baseline, valence_std: null }, { optedIn }),
    undefined,
  );
});

test('a value far below is unusual, with the distance computed by hand', () => {
  const found = findAnomaly({ valence: -0.58, arousal: 0.45 }, baseline, { optedIn });
  const z = -1.18 / (0.2 * Math.sqrt(25 / 24));
  assert.ok(found?.unusual);
  assert.ok(Math.abs(found.valence.z - z) < 1e-6);
  assert.is(found.valence.direction, 'below_usual');
  assert.is(found.arousal.direction, 'usual');
  assert.is(found.note, 'Valence is 5.8 standard deviations below what is usual for this person.');
});

test('a value within 2.5 standard deviations is usual', () => {
  const found = findAnomaly({ valence: 0.2, arousal: 0.6 }, baseline, { optedIn });
  assert.is(found?.unusual, false);
  assert.is(found?.note, 'Within the usual range of this person.');
});

test('someone who was always alike is not unusual at a slight change', () => {
  const steady = { ...baseline, valence_std: 0, arousal_std: 0 };
  assert.is(findAnomaly({ valence: 0.65, arousal: 0.5 }, steady, { optedIn })?.unusual, false);
});

test('words stay neutral, and above mirrors below', () => {
  const value = fc.double({ min: 0, max: 0.4, noNaN: true });
  fc.assert(
    fc.property(value, (distance) => {
      const about = { ...baseline, baseline_valence: 0 };
      const up = findAnomaly({ valence: distance, arousal: 0.5 }, about, { optedIn });
      const down = findAnomaly({ valence: -distance, arousal: 0.5 }, about, { optedIn });
      assert.is(Math.abs(up?.valence.z ?? 1), Math.abs(down?.valence.z ?? 2));
      assert.is(up?.unusual, down?.unusual);
      anomalySchema.parse(up);
      assert.not.match(`${up?.note} ${down?.note}`, /alert|wellness|health|risk|concern|depress/i);
    }),
  );
});

test.run();
