// What can be chosen on the command line of `npm run bench`.

import { parseArgs } from 'node:util';
import { z } from 'zod';
import { devRows } from './texts.ts';

const optionsSchema = z.object({
  rounds: z.coerce.number().int().min(1).default(5),
  /** Seconds of load per round. */
  seconds: z.coerce.number().int().min(2).default(6),
  /** Dev texts of a throughput round. */
  texts: z.coerce.number().int().min(100).max(devRows).default(devRows),
  /** Lines of the large batch; a tenth of them are sent twice. */
  lines: z.coerce.number().int().min(1000).max(100_000).default(100_000),
  seed: z.coerce.number().int().min(0).default(20_261_124),
});

export type BenchOptions = z.infer<typeof optionsSchema>;

/** @throws Error naming what is wrong with the arguments. */
export function readOptions(args: readonly string[]): { parts: readonly string[]; options: BenchOptions } {
  const number = { type: 'string' } as const;
  const known = { rounds: number, seconds: number, texts: number, lines: number, seed: number };
  const { values, positionals } = parseArgs({ args: [...args], options: known, allowPositionals: true });
  const parsed = optionsSchema.safeParse(values);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  return { parts: positionals, options: parsed.data };
}
