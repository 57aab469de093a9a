// `soma keys`: API keys, made and revoked in the server's ledger, not over HTTP: who may make keys is who may reach
// the database.

import type { Command } from 'commander';
import { z } from 'zod';
import { scopes } from '../../shared/api-key.ts';
import { tiers } from '../../shared/tenant.ts';
import { type Cli, exitCodes, reading } from './cli.ts';
import type { Act } from './submit.ts';

export function addKeys(program: Command, act: Act): void {
  const keys = program
    .command('keys')
    .summary('make, list and revoke API keys')
    .description(
      'Works on the ledger of DATABASE_URL, or of the `npm start` that runs here. Keys are asked for where the server has AUTH=on.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ export SOMA_API_KEY=$(soma keys create --tenant acme --scopes jobs:write,jobs:read)
  $ soma keys list --tenant acme
  $ soma keys revoke 3fJ0aXkP2mQz`,
    );
  keys
    .command('create')
    .description('Makes a key and prints it, this once.')
    .requiredOption('--tenant <name>', 'whose key; the tenant is made if it is new')
    .requiredOption('--scopes <scopes>', `what it may do, by commas: ${scopes.join(', ')}`)
    .option('--tier <tier>', `quotas of the tenant: ${tiers.join(', ')}`, reading(z.enum(tiers)))
    .action(act(create));
  keys
    .command('list')
    .description('Lists keys, without their secrets.')
    .option('--tenant <name>', 'of this tenant only')
    .action(act(list));
  keys
    .command('revoke')
    .description('Revokes a key; every API process refuses it within 5 seconds.')
    .argument('<key>', 'its id, or the whole key')
    .action(act(revoke));
}

const createSchema = z.object({ tenant: z.string(), scopes: z.string(), tier: z.string().optional() });

/** Brings the database's code, which no other subcommand should wait for. */
const load = () => import('../tenant-keys.ts');

async function create({ terminal, json }: Cli, _args: readonly string[], given: unknown): Promise<number> {
  const { makeTenantKey } = await load();
  const key = await makeTenantKey(createSchema.parse(given));
  terminal.note(`key ${key.id} of ${key.tenant}; it is shown this once:`);
  await terminal.data(json ? JSON.stringify(key) : key.text);
  return exitCodes.ok;
}

async function list({ terminal, json }: Cli, _args: readonly string[], given: unknown): Promise<number> {
  const { tenant } = z.object({ tenant: z.string().optional() }).parse(given);
  const { describeKey, listTenantKeys } = await load();
  for (const key of await listTenantKeys(tenant))
    await terminal.data(json ? JSON.stringify(key) : describeKey(key));
  return exitCodes.ok;
}

async function revoke({ terminal, json }: Cli, [id = '']: readonly string[]): Promise<number> {
  const { revokeTenantKey } = await load();
  const keyId = await revokeTenantKey(id);
  await terminal.data(
    json ? JSON.stringify({ id: keyId, revoked: true }) : `${keyId} is refused everywhere within 5 s`,
  );
  return exitCodes.ok;
}
