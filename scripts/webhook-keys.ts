// The key that seals webhook secrets, for `npm start` where none is given: made once, kept with the embedded servers'
// data, since secrets that are stored cannot be read without it.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, packageRoot } from '../shared/config.ts';

/** @returns the environment for the processes: empty if the configuration has keys */
export function keepWebhookKeys(
  { WEBHOOK_KEYS: given }: Pick<Config, 'WEBHOOK_KEYS'>,
  folder = join(packageRoot, '.services'),
): Record<string, string> {
  if (given !== '') return {};
  const path = join(folder, 'webhook-keys');
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(path, `start:${randomBytes(32).toString('base64')}`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
  return { WEBHOOK_KEYS: readFileSync(path, 'utf8').trim() };
}
