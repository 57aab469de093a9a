// An option of a kind as it is given on a command line. Apart, since two commands take such options.

import { z } from 'zod';

/** `key=value`, where the value is JSON if it reads as JSON and a text if not. */
export const optionPair = z
  .string()
  .regex(/^\w+=/, 'is <name>=<value>')
  .transform((text): [string, unknown] => {
    const at = text.indexOf('=');
    const value = text.slice(at + 1);
    try {
      return [text.slice(0, at), JSON.parse(value)];
    } catch {
      return [text.slice(0, at), value];
    }
  });
