// The texts and labels that a client may send, in a request or in a line of a batch: the API and whoever reads a file
// check them by the same schemas.

import { z } from 'zod';
import { limits } from './job.ts';

/** Whether there are more than `max` characters; a text with twice as many units has, whatever they are. */
const isLonger = (text: string, max: number): boolean =>
  text.length > max && (text.length > 2 * max || Array.from(text).length > max);

/**
 * Text that Postgres can store and a client can have meant: no NUL, no half of a surrogate pair. Characters are code
 * points, as JSON Schema counts them. `min` is 0 or 1.
 */
export function boundedText(min: 0 | 1, max: number): z.ZodString {
  return z
    .string()
    .refine((value) => !value.includes('\0'), {
      error: 'Contains U+0000',
      params: { code: 'contains_nul' },
      abort: true,
    })
    .refine((value) => value.isWellFormed(), {
      error: 'Contains half of a surrogate pair',
      params: { code: 'ill_formed_unicode' },
      abort: true,
    })
    .refine((value) => value.length >= min, {
      error: `Needs at least ${min} character${min === 1 ? '' : 's'}`,
      params: { code: 'too_small' },
      abort: true,
    })
    .refine((value) => !isLonger(value, max), {
      error: `Has more than ${max.toLocaleString('en')} characters`,
      params: { code: 'too_big' },
    })
    .meta({ minLength: min, maxLength: max, pattern: '^[^\\u0000]*$' });
}

/** A moment that JavaScript and Postgres both can hold: 1970 to 9999. */
export const moment = z.iso.datetime({ offset: true }).refine(
  (value) => {
    const time = Date.parse(value);
    return time >= 0 && time < Date.UTC(10_000, 0);
  },
  { error: 'Is not between the years 1970 and 9999', params: { code: 'out_of_range' } },
);

/** The text of one item. */
export const itemText = boundedText(1, limits.itemCharactersMax)
  .refine((value) => value.trim() !== '', { error: 'Has nothing but white space', params: { code: 'blank' } })
  .meta({
    minLength: 1,
    maxLength: limits.itemCharactersMax,
    pattern: '\\S',
    not: { pattern: '\\u0000' },
  });

/** Whose texts they are. */
export const userId = boundedText(1, limits.userIdCharactersMax);

/** Up to 16 labels of the client's own. */
export const metadata = z
  .record(boundedText(1, limits.metadataKeyCharactersMax), boundedText(0, limits.metadataValueCharactersMax))
  .refine((value) => Object.keys(value).length <= limits.metadataPairsMax, {
    error: `Has more than ${limits.metadataPairsMax} pairs`,
    params: { code: 'too_big' },
  })
  .meta({
    maxProperties: limits.metadataPairsMax,
    propertyNames: { minLength: 1, maxLength: limits.metadataKeyCharactersMax, pattern: '^[^\\u0000]*$' },
  });
