// The texts and labels that a client may send, in a request or in a line of a batch: the API and whoever reads a file
// check them by the same schemas.

import { z } from 'zod';
import { limits } from './job.ts';

const charactersOf = (text: string): number =>
  text.length <= 2 * 10_000 ? Array.from(text).length : text.length;

/** Text that Postgres can store and a client can have meant: no NUL, no half of a surrogate pair. */
export function boundedText(min: number, max: number): z.ZodString {
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
    .refine((value) => charactersOf(value) >= min, {
      error: `Needs at least ${min} character${min === 1 ? '' : 's'}`,
      params: { code: 'too_small' },
      abort: true,
    })
    .refine((value) => charactersOf(value) <= max, {
      error: `Has more than ${max.toLocaleString('en')} characters`,
      params: { code: 'too_big' },
    });
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
export const itemText = boundedText(1, limits.itemCharactersMax).refine((value) => value.trim() !== '', {
  error: 'Has nothing but white space',
  params: { code: 'blank' },
});

/** Up to 16 labels of the client's own. */
export const metadata = z
  .record(boundedText(1, limits.metadataKeyCharactersMax), boundedText(0, limits.metadataValueCharactersMax))
  .refine((value) => Object.keys(value).length <= limits.metadataPairsMax, {
    error: `Has more than ${limits.metadataPairsMax} pairs`,
    params: { code: 'too_big' },
  });
