// The settings that an operator keeps beside package.json. Only the commands that an operator runs read them: a test
// run must never meet the database that a checkout's `.env` points to.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';

/** Adds what `.env` holds to the environment; what is set there already wins. */
export function loadEnvFile(): void {
  const path = join(packageRoot, '.env');
  if (existsSync(path)) process.loadEnvFile(path);
}
