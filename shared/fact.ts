// What an analysis states about a person's world, in the form in which the graph is built from it.

import { z } from 'zod';

/** `causes` joins two concepts; `mentions` and `feels` start at the person. */
export const factTypes = ['causes', 'mentions', 'feels'] as const;

/** Longest name of a concept; what is longer is cut. */
export const conceptCharactersMax = 120;

/** The node of the person whose graph it is. */
export const selfKey = 'person:self';

/** An edge that one analysis gives evidence for. Keys are `<type>:<name>`; strength is 0..1. */
export const factSchema = z.object({
  type: z.enum(factTypes),
  source: z.string(),
  target: z.string(),
  relation: z.string().nullable(),
  strength: z.number().min(0).max(1),
});

export type Fact = Readonly<z.infer<typeof factSchema>>;

/**
 * The key of a concept: lower case, without articles in front, punctuation around and white space beyond one blank,
 * so that "The rain" and "rain," are one node. Undefined if nothing is left.
 */
export function conceptKey(text: string): string | undefined {
  const name = text
    .toLowerCase()
    .replace(/\s+/gu, ' ')
    .replace(/^[\s\p{P}]+|[\s\p{P}]+$/gu, '')
    .replace(/^(the|a|an|that|this|these|those|my|our|your|his|her|their|its) /u, '')
    .slice(0, conceptCharactersMax)
    .trim();
  return name === '' ? undefined : `concept:${name}`;
}

/** The type and name in a key. */
export function readKey(key: string): { type: string; name: string } {
  const colon = key.indexOf(':');
  return { type: key.slice(0, colon), name: key.slice(colon + 1) };
}
