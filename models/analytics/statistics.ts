// The few statistics that the analytics share. Pure; every function says what it gives for too little data.

/** Mean; null for nothing. */
export function meanOf(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample standard deviation (n - 1); null for fewer than two values. */
export function deviationOf(values: readonly number[]): number | null {
  const mean = meanOf(values);
  if (mean === null || values.length < 2) return null;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

/**
 * Root mean square of successive differences: how much a series jumps from one value to the next, which the standard
 * deviation does not tell (von Neumann et al. 1941; for emotions Jahng, Wood & Trull 2008). Null for fewer than two.
 */
export function successiveDifference(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const squares = values.slice(1).map((value, index) => (value - (values[index] ?? value)) ** 2);
  return Math.sqrt(meanOf(squares) ?? 0);
}

/** A line's slope and its two-sided 95 % interval. */
export interface Slope {
  readonly slope: number;
  readonly interval: readonly [low: number, high: number];
}

/**
 * Ordinary least squares: slope b = Sxy / Sxx, interval b -+ t(0.975, n - 2) * sqrt(SSE / (n - 2) / Sxx). The interval
 * takes the residuals as independent; moods of neighbouring days are not quite, so it is rather too narrow. Undefined
 * for fewer than three points or if all x are equal.
 */
export function fitSlope(points: readonly { readonly x: number; readonly y: number }[]): Slope | undefined {
  const meanX = meanOf(points.map(({ x }) => x)) ?? 0;
  const meanY = meanOf(points.map(({ y }) => y)) ?? 0;
  const sum = (term: (dx: number, dy: number) => number): number =>
    points.reduce((total, { x, y }) => total + term(x - meanX, y - meanY), 0);
  const sxx = sum((dx) => dx * dx);
  if (points.length < 3 || sxx === 0) return undefined;
  const slope = sum((dx, dy) => dx * dy) / sxx;
  const squaredError = sum((dx, dy) => (dy - slope * dx) ** 2);
  const freedom = points.length - 2;
  const margin = studentQuantile(freedom) * Math.sqrt(squaredError / freedom / sxx);
  return { slope, interval: [slope - margin, slope + margin] };
}

/** The standard normal's 0.975 quantile. */
const z = 1.959963984540054;

/**
 * Student's t, 0.975 quantile: exact for 1 and 2 degrees of freedom, else by the expansion of Abramowitz & Stegun
 * (1964), 26.7.5, whose error is below 0.01 at 3 degrees and below 0.0005 from 5 on.
 */
export function studentQuantile(freedom: number): number {
  if (freedom === 1) return 12.706204736174694;
  if (freedom === 2) return 4.302652729749462;
  return (
    z +
    (z ** 3 + z) / (4 * freedom) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3) +
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / (92160 * freedom ** 4)
  );
}

/** Six digits: more than the data hold, and the same text for the same figures. */
export function roundSix(value: number): number {
  return Math.round(value * 1e6) / 1e6 + 0;
}

/** `roundSix` that lets null be. */
export function roundOrNull(value: number | null): number | null {
  return value === null ? null : roundSix(value);
}

/** How often each key occurs, the most frequent first, ties by name. */
export function countBy(keys: readonly string[]): { readonly key: string; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return [...counts]
    .map(([key, count]) => ({ key, count }))
    .sort((a, b) => b.count - a.count || (a.key < b.key ? -1 : 1));
}
