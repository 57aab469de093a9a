// From a model's score to the probability that it is right, by the monotone map measured on held-out data.

import type { Calibration } from './repository.ts';

/**
 * Linear between the knots of an isotonic regression, constant outside them (Zadrozny & Elkan 2002).
 * @param score the raw score, 0..1
 * @returns the calibrated probability, 0..1
 */
export function calibrate({ x, y }: Calibration, score: number): number {
  const after = x.findIndex((knot) => knot >= score);
  const last = y.at(-1) ?? score;
  if (after === -1) return last;
  const [x1 = 0, y1 = 0] = [x[after], y[after]];
  const [x0, y0] = [x[after - 1], y[after - 1]];
  if (x0 === undefined || y0 === undefined || x1 === x0) return y1;
  return y0 + ((score - x0) / (x1 - x0)) * (y1 - y0);
}
