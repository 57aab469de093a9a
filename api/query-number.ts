// Numbers in a query string: as JSON writes them, and nothing else that JavaScript would take for one.

import { z } from 'zod';

/** A whole number from `min` to `max`, in decimal digits: not empty, no spaces, no exponent, no other base. */
export function queryInteger(min: number, max: number) {
  return z.preprocess(
    numberIf(/^-?\d{1,15}$/),
    z.number({ error: 'Needs a whole number, in digits' }).int().min(min).max(max),
  );
}

/** A number from `min` to `max`: not empty, no spaces, no other base. */
export function queryNumber(min: number, max: number) {
  return z.preprocess(numberIf(/^-?\d{1,15}(\.\d{1,30})?([eE][+-]?\d{1,3})?$/), z.number().min(min).max(max));
}

function numberIf(pattern: RegExp): (value: unknown) => unknown {
  return (value) => (typeof value === 'string' && pattern.test(value) ? Number(value) : value);
}
