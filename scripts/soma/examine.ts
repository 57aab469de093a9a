// The checks of `soma doctor` in their order. Apart from the command, since they need the whole system's code, which
// nobody should wait for who only submits a text.

import { childEnv, type Config, packageRoot, readClientConfig } from '../../shared/config.ts';
import { describeError } from '../describe-error.ts';
import { readOperatorConfig } from '../operator-config.ts';
import { checkApi } from './check-api.ts';
import {
  checkAuth,
  checkDisk,
  checkEnvFile,
  checkModels,
  checkNode,
  checkPrograms,
  checkRuntime,
} from './check-machine.ts';
import { checkLedger, checkNeo4j, checkRedis } from './check-servers.ts';
import { fail, type Finding } from './finding.ts';

/** From what all else stands on to what stands on it. */
export async function* examine(url: string): AsyncGenerator<Finding, void, undefined> {
  yield checkNode(process.version);
  yield checkEnvFile();
  yield checkDisk(packageRoot);
  yield await checkRuntime();
  const config = readSettings();
  if ('state' in config) return yield config;
  yield checkAuth(config);
  yield* checkModels(config.MODELS_DIR);
  yield checkPrograms({ redisGiven: Boolean(childEnv({})['REDIS_URL']) });
  yield* await checkRedis(config);
  yield* await checkLedger(config);
  yield await checkNeo4j(config);
  yield* await checkApi(url, readClientConfig().SOMA_API_KEY);
}

function readSettings(): Config | Finding {
  try {
    return readOperatorConfig();
  } catch (error) {
    return fail('settings', describeError(error), 'Mend it in .env or the environment; see .env.example');
  }
}
