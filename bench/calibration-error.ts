// How far confidences are from how often they are right. Pure.

/** A probability that was given, and whether the thing was so. */
export interface Forecast {
  readonly confidence: number;
  readonly hit: boolean;
}

/** Expected calibration error: mean |accuracy - confidence| over 15 bins of equal width (Guo et al. 2017). */
export function calibrationError(forecasts: readonly Forecast[], bins = 15): number {
  const binned = Map.groupBy(forecasts, ({ confidence }) =>
    Math.min(bins - 1, Math.floor(confidence * bins)),
  );
  let gaps = 0;
  for (const bin of binned.values()) {
    const hits = bin.filter(({ hit }) => hit).length;
    gaps += Math.abs(hits - bin.reduce((sum, { confidence }) => sum + confidence, 0));
  }
  return gaps / Math.max(1, forecasts.length);
}
