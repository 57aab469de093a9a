// `npm run keys -- create|list|revoke`: API keys for tenants, for who has no `soma` on the PATH. A key is shown once,
// when it is made; only its hash is kept.

import { parseArgs } from 'node:util';
import { scopes } from '../shared/api-key.ts';
import { tiers } from '../shared/tenant.ts';
import { describeError } from './describe-error.ts';
import { describeKey, listTenantKeys, makeTenantKey, revokeTenantKey } from './tenant-keys.ts';

const usage = `usage:
  npm run keys -- create --tenant <name> --scopes <scope>[,<scope>...] [--tier ${tiers.join('|')}] [--expires <time>]
  npm run keys -- list [--tenant <name>]
  npm run keys -- revoke <key id>
scopes: ${scopes.join(', ')}`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      tenant: { type: 'string' },
      scopes: { type: 'string' },
      tier: { type: 'string' },
      expires: { type: 'string' },
    },
  });
  const [command, id, ...more] = positionals;
  if (command === 'create' && id === undefined) await create(values);
  else if (command === 'list' && id === undefined) {
    for (const key of await listTenantKeys(values.tenant)) console.log(describeKey(key));
  } else if (command === 'revoke' && id !== undefined && more.length === 0) {
    console.log(`key ${await revokeTenantKey(id)} is revoked; every API process refuses it within 5 seconds`);
  } else throw new Error(usage);
}

/** The key alone goes to standard output, so that a script can take it. */
async function create(wanted: Parameters<typeof makeTenantKey>[0]): Promise<void> {
  const key = await makeTenantKey(wanted);
  console.error(`key ${key.id} of ${key.tenant}; it is shown this once:`);
  console.log(key.text);
}

main().catch((error: unknown) => {
  console.error(describeError(error));
  process.exitCode = 1;
});
