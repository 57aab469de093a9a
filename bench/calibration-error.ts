// How far confidences are from how often they are right. Pure.

/** A probability that was given, and whether the thing was so. */
export interface Forecast {
  readonly confidence: number;
  readonly hit: boolean;
}

/** Expected calibration error: mean |accuracy - confidence| over 15 bins of equal width (Guo et al. 2017). */
export function calibrationError(forecasts: readonly Forecast[], bins = 15): number {
  const surplus = new Float64Array(bins);
  for (const { confidence, hit } of forecasts) {
    const bin = Math.min(bins - 1, Math.floor(confidence * bins));
    surplus[bin] = (surplus[bin] ?? 0) + (hit ? 1 : 0) - confidence;
  }
  const gaps = surplus.reduce((sum, gap) => sum + Math.abs(gap), 0);
  return gaps / Math.max(1, forecasts.length);
}
