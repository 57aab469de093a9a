// The configuration of the commands that an operator runs on the server's machine: the environment, then `.env`, then
// the servers of an `npm start` that runs beside them.

import { childEnv, type Config, readConfig } from '../shared/config.ts';
import { loadEnvFile } from './load-env-file.ts';
import { findRunningServices } from './running-services.ts';

/** @throws Error naming every variable that is missing or out of range. */
export function readOperatorConfig(): Config {
  loadEnvFile();
  return readConfig(childEnv({ ...findRunningServices(childEnv({})) }));
}
