// What can be chosen on the command line of `npm run bench`.

import { parseArgs } from 'node:util';
import { z } from 'zod';
import { devRows } from './texts.ts';

const optionsSchema = z.object({
  /** Rounds, and seconds of load in each; every part has its own defaults, which keep it within three minutes. */
  rounds: z.coerce.number().int().min(1).optional(),
  seconds: z.coerce.number().int().min(2).max(86_400).optional(),
  /** Dev texts of a throughput round. */
  texts: z.coerce.number().int().min(100).max(devRows).default(devRows),
  /** Lines of the large batch; a tenth of them are sent twice. */
  lines: z.coerce.number().int().min(1000).max(100_000).default(100_000),
  seed: z.coerce.number().int().min(0).default(20_261_124),
  /** Users of the shapes. */
  users: z.coerce.number().int().min(10).max(100_000).default(1000),
  /** How much longer than by default the stages of a shape take; 4 gives the former suite's lengths. */
  stretch: z.coerce.number().min(0.1).max(1000).default(1),
  /** Where a Python environment is made or found, for what is measured against Python or made by it. */
  venv: z.string().default('.venv'),
});

export type BenchOptions = z.infer<typeof optionsSchema>;

/** @throws Error naming what is wrong with the arguments. */
export function readOptions(args: readonly string[]): { parts: readonly string[]; options: BenchOptions } {
  const names = Object.keys(optionsSchema.shape);
  const known = Object.fromEntries(names.map((name) => [name, { type: 'string' } as const]));
  const { values, positionals } = parseArgs({ args: [...args], options: known, allowPositionals: true });
  const parsed = optionsSchema.safeParse(values);
  if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
  return { parts: positionals, options: parsed.data };
}
