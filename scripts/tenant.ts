// `npm run tenant -- <name> --anomaly-flags on|off`: whether a tenant's histories flag unusual values.

import { parseArgs } from 'node:util';
import { createPool } from '../db/client.ts';
import { setAnomalyFlags } from '../db/tenant-settings.ts';
import { describeError } from './describe-error.ts';
import { readOperatorConfig } from './operator-config.ts';

const usage = 'usage: npm run tenant -- <name> --anomaly-flags on|off';

async function main(): Promise<string> {
  const options = { 'anomaly-flags': { type: 'string' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const [name] = positionals;
  const wanted = values['anomaly-flags'];
  if (name === undefined || (wanted !== 'on' && wanted !== 'off')) throw new Error(usage);
  const pool = createPool(readOperatorConfig().DATABASE_URL, { role: 'owner', max: 1 });
  try {
    if (!(await setAnomalyFlags(pool, name, wanted === 'on'))) throw new Error(`there is no tenant ${name}`);
    return `anomaly flags of ${name} are ${wanted}`;
  } finally {
    await pool.end();
  }
}

try {
  console.log(await main());
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
