// What is wrong with a value from outside, as faults with a JSON pointer each; the value itself is never repeated.

import { z } from 'zod';
import type { Fault } from './problem.ts';

const depthMax = 16;

/** RFC 6901: `~` and `/` inside a pointer's segment. */
export function escapePointer(segment: string): string {
  return segment.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** @param at pointer of the value in the request, e.g. '' for the body */
export function toFaults(issue: z.core.$ZodIssue, at = ''): Fault[] {
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

/** Keys that reach for a prototype, and nesting that no request needs: the first such fault. */
export function findTrap(value: unknown, pointer = '', depth = 0): Fault | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > depthMax) return { pointer, code: 'too_deep', detail: `Nested deeper than ${depthMax} levels` };
  for (const [key, child] of Object.entries(value)) {
    const childPointer = `${pointer}/${escapePointer(key)}`;
    if (key === '__proto__')
      return { pointer: childPointer, code: 'unknown_field', detail: 'This field is not accepted' };
    const trap = findTrap(child, childPointer, depth + 1);
    if (trap !== undefined) return trap;
  }
  return undefined;
}

/** Where `JSON.parse` stopped; V8 quotes the input in its message, of which only the place is safe to repeat. */
export function placeOf(error: unknown): string {
  const place =
    error instanceof Error ? /position \d+( \(line \d+ column \d+\))?/.exec(error.message)?.[0] : undefined;
  return place === undefined ? '' : `: see ${place}`;
}
