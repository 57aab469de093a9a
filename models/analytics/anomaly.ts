// Whether an analysis is far from what is usual for a person. A statement about numbers, never about health; made only
// for tenants that asked for it.

import { z } from 'zod';
import type { EmotionPoint } from './trajectory.ts';
import { roundSix } from './statistics.ts';

/** A person's usual state, from analyses before the one in question. */
export interface Baseline {
  readonly baseline_valence: number | null;
  readonly valence_std: number | null;
  readonly baseline_arousal: number | null;
  readonly arousal_std: number | null;
  readonly data_points: number;
}

/** Fewer analyses make no baseline. */
export const baselinePointsMin = 7;
/** Distances beyond this are unusual: one in 80 if the values were normally distributed. */
const unusualDistance = 2.5;
/** Someone whose texts were all alike so far would else be unusual at the first other word. */
const deviationMin = 0.05;

const deviationSchema = z.object({
  z: z.number().describe('Distance from the usual value, in standard deviations; negative below'),
  direction: z.enum(['above_usual', 'below_usual', 'usual']),
});

export const anomalySchema = z.object({
  unusual: z
    .boolean()
    .describe('Whether valence or arousal is more than 2.5 standard deviations from the usual'),
  valence: deviationSchema,
  arousal: deviationSchema,
  note: z.string().describe('The finding in neutral words'),
});

export type Anomaly = z.output<typeof anomalySchema>;
type Deviation = z.output<typeof deviationSchema>;

/**
 * z = (x - mean) / (s * sqrt(1 + 1 / n)): the distance of a new value from the mean of n earlier ones, whose mean is
 * itself uncertain. Undefined unless `optedIn`, and for a baseline of fewer than 7 analyses.
 */
export function findAnomaly(
  point: Pick<EmotionPoint, 'valence' | 'arousal'>,
  baseline: Baseline,
  { optedIn }: { readonly optedIn: boolean },
): Anomaly | undefined {
  if (!optedIn || baseline.data_points < baselinePointsMin) return undefined;
  const valence = deviate(
    point.valence,
    baseline.baseline_valence,
    baseline.valence_std,
    baseline.data_points,
  );
  const arousal = deviate(
    point.arousal,
    baseline.baseline_arousal,
    baseline.arousal_std,
    baseline.data_points,
  );
  if (valence === undefined || arousal === undefined) return undefined;
  const notes = [describe('Valence', valence), describe('Arousal', arousal)].filter(
    (note) => note !== undefined,
  );
  return {
    unusual: notes.length > 0,
    valence,
    arousal,
    note: notes.length > 0 ? notes.join(' ') : 'Within the usual range of this person.',
  };
}

function deviate(
  value: number,
  mean: number | null,
  deviation: number | null,
  count: number,
): Deviation | undefined {
  if (mean === null || deviation === null) return undefined;
  const z = roundSix((value - mean) / (Math.max(deviation, deviationMin) * Math.sqrt(1 + 1 / count)));
  if (Math.abs(z) <= unusualDistance) return { z, direction: 'usual' };
  return { z, direction: z > 0 ? 'above_usual' : 'below_usual' };
}

function describe(name: string, { z, direction }: Deviation): string | undefined {
  if (direction === 'usual') return undefined;
  const side = direction === 'above_usual' ? 'above' : 'below';
  return `${name} is ${Math.abs(z).toFixed(1)} standard deviations ${side} what is usual for this person.`;
}
