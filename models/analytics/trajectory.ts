// How a person's emotions went over time: their usual level, their spread, and whether they rise or fall. Computed
// from stored analyses; nothing here reads a store or a clock.

import { z } from 'zod';
import {
  countBy,
  deviationOf,
  fitSlope,
  meanOf,
  roundOrNull,
  roundSix,
  type Slope,
  successiveDifference,
} from './statistics.ts';

/** What of a stored emotion analysis counts here; `at` is when its job was made. */
export interface EmotionPoint {
  readonly at: Date;
  /** -1..1 */
  readonly valence: number;
  /** 0..1 */
  readonly arousal: number;
  /** 0..1 */
  readonly intensity: number;
  readonly primary_emotion: string;
}

/** Fewer points tell no trend. */
export const trendPointsMin = 7;
const dominantEmotionsMax = 3;
const dayMs = 86_400_000;

const number = z.number();

export const trajectorySchema = z.object({
  trajectory: z
    .array(
      z.object({
        timestamp: z.iso.datetime(),
        valence: number,
        arousal: number,
        primary_emotion: z.string(),
        intensity: number,
      }),
    )
    .describe('The analyses in order of time'),
  baseline_valence: number.nullable().describe('Mean valence, -1..1; null for no analyses'),
  valence_std: number.nullable().describe('Sample standard deviation of valence; null for fewer than two'),
  baseline_arousal: number.nullable().describe('Mean arousal, 0..1'),
  arousal_std: number.nullable(),
  trend: z
    .enum(['improving', 'declining', 'stable'])
    .nullable()
    .describe(
      'Of valence: improving or declining if the 95 % interval of the slope excludes 0, else stable; null for fewer than 7 analyses or all at one time',
    ),
  trend_slope: number
    .nullable()
    .describe('Valence per day, by least squares over the real times; null as trend'),
  trend_slope_interval: z.array(number).length(2).nullable().describe('Its 95 % confidence interval'),
  volatility: number
    .nullable()
    .describe(
      'Root mean square of the differences of valence between neighbouring analyses; null for fewer than two',
    ),
  dominant_emotions: z
    .array(z.object({ emotion: z.string(), count: z.int(), percentage: number }))
    .max(dominantEmotionsMax)
    .describe('The most frequent primary emotions; percentage is of all analyses, 0..100'),
  data_points: z.int(),
  days_analyzed: z.int().describe('Days (UTC) with at least one analysis'),
});

export type Trajectory = z.output<typeof trajectorySchema>;

/** @param points in any order; no analyses give nulls, zeros and empty lists. */
export function trajectoryOf(points: readonly EmotionPoint[]): Trajectory {
  const ordered = points.toSorted((a, b) => a.at.getTime() - b.at.getTime());
  const times = ordered.map(({ at }) => at.toISOString());
  const valences = ordered.map(({ valence }) => valence);
  const arousals = ordered.map(({ arousal }) => arousal);
  const slope = slopePerDay(ordered);
  return {
    trajectory: ordered.map(({ valence, arousal, primary_emotion, intensity }, index) => ({
      timestamp: times[index] ?? '',
      valence,
      arousal,
      primary_emotion,
      intensity,
    })),
    baseline_valence: roundOrNull(meanOf(valences)),
    valence_std: roundOrNull(deviationOf(valences)),
    baseline_arousal: roundOrNull(meanOf(arousals)),
    arousal_std: roundOrNull(deviationOf(arousals)),
    trend: slope === undefined ? null : trendOf(slope),
    trend_slope: slope === undefined ? null : roundSix(slope.slope),
    trend_slope_interval:
      slope === undefined ? null : [roundSix(slope.interval[0]), roundSix(slope.interval[1])],
    volatility: roundOrNull(successiveDifference(valences)),
    dominant_emotions: dominantEmotions(ordered),
    data_points: ordered.length,
    days_analyzed: new Set(times.map((time) => time.slice(0, 10))).size,
  };
}

/** Time counts from the first point, so that large numbers do not eat digits. */
function slopePerDay(ordered: readonly EmotionPoint[]): Slope | undefined {
  const first = ordered[0]?.at.getTime() ?? 0;
  if (ordered.length < trendPointsMin) return undefined;
  return fitSlope(ordered.map(({ at, valence }) => ({ x: (at.getTime() - first) / dayMs, y: valence })));
}

/** A slope that six digits do not tell from 0 is none, however narrow its interval. */
function trendOf({ slope, interval: [low, high] }: Slope): NonNullable<Trajectory['trend']> {
  if (roundSix(slope) === 0) return 'stable';
  if (low > 0) return 'improving';
  return high < 0 ? 'declining' : 'stable';
}

function dominantEmotions(points: readonly EmotionPoint[]): Trajectory['dominant_emotions'] {
  return countBy(points.map(({ primary_emotion }) => primary_emotion))
    .slice(0, dominantEmotionsMax)
    .map(({ key, count }) => ({
      emotion: key,
      count,
      percentage: Math.round((count / points.length) * 1000) / 10,
    }));
}
