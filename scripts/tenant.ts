// `npm run tenant -- <name>`: whether a tenant's histories flag unusual values (`--anomaly-flags on|off`), and how many
// of its items may be in flight (`--in-flight <items>|tier`).

import { parseArgs } from 'node:util';
import { z } from 'zod';
import { createPool, type Pool } from '../db/client.ts';
import { setAnomalyFlags, setItemsInFlightMax } from '../db/tenant-settings.ts';
import { describeError } from './describe-error.ts';
import { readOperatorConfig } from './operator-config.ts';

const usage = 'usage: npm run tenant -- <name> [--anomaly-flags on|off] [--in-flight <items>|tier]';

const settingsSchema = z.strictObject({
  'anomaly-flags': z.enum(['on', 'off']).optional(),
  'in-flight': z.union([z.literal('tier'), z.coerce.number().int().min(1).max(1_000_000)]).optional(),
});

async function main(): Promise<string> {
  const text = { type: 'string' } as const;
  const options = { 'anomaly-flags': text, 'in-flight': text };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name] = positionals;
  const settings = settingsSchema.safeParse(values);
  if (name === undefined || !settings.success || Object.keys(values).length === 0) throw new Error(usage);
  const pool = createPool(readOperatorConfig().DATABASE_URL, { role: 'owner', max: 1 });
  try {
    return (await apply(pool, name, settings.data)).join('\n');
  } finally {
    await pool.end();
  }
}

async function apply(pool: Pool, name: string, settings: z.infer<typeof settingsSchema>): Promise<string[]> {
  const { 'anomaly-flags': flags, 'in-flight': inFlight } = settings;
  const done: string[] = [];
  const missing = new Error(`there is no tenant ${name}`);
  if (flags !== undefined) {
    if (!(await setAnomalyFlags(pool, name, flags === 'on'))) throw missing;
    done.push(`anomaly flags of ${name} are ${flags}`);
  }
  if (inFlight !== undefined) {
    if (!(await setItemsInFlightMax(pool, name, inFlight === 'tier' ? null : inFlight))) throw missing;
    done.push(
      `items of ${name} in flight: ${inFlight === 'tier' ? 'as its tier has' : `at most ${inFlight}`}`,
    );
  }
  return done;
}

try {
  console.log(await main());
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
