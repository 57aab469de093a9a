// Checks a value against a schema and says of everything that is wrong where it is and why.

import { z } from 'zod';
import { type Fault, ProblemError } from '../shared/problem.ts';
import { escapePointer } from './read-json.ts';

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

function toFaults(issue: z.core.$ZodIssue, at: string): Fault[] {
  const pointer = at + issue.path.map((segment) => `/${escapePointer(String(segment))}`).join('');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: `${pointer}/${escapePointer(key)}`,
      code: 'unknown_field',
      detail: 'This field is not accepted',
    }));
  }
  const params: unknown = issue.code === 'custom' ? issue.params?.['code'] : undefined;
  return [{ pointer, code: typeof params === 'string' ? params : issue.code, detail: issue.message }];
}
