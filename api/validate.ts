// Checks a value against a schema and says of everything that is wrong where it is and why.

import type { z } from 'zod';
import { toFaults } from '../shared/faults.ts';
import { type Fault, ProblemError } from '../shared/problem.ts';

/**
 * @param at pointer of `value` in the request, e.g. '' for the body
 * @throws ProblemError `invalid_request` with a fault per problem; the input itself is not repeated.
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  at = '',
): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(parsed.error.issues.flatMap((issue) => toFaults(issue, at)));
}

/** The 422 for these faults; its detail is the first of them. */
export function invalidRequest(errors: readonly Fault[]): ProblemError {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  const where = first === undefined || first.pointer === '' ? 'the body' : first.pointer;
  return new ProblemError('invalid_request', `${where}: ${first?.detail ?? 'invalid'}${more}`, { errors });
}
