// `npm run migrate`: brings the database of DATABASE_URL up to date, for deployments that do not use `npm start`.

import { migrate } from '../db/migrate.ts';
import { readConfig } from '../shared/config.ts';
import { describeError } from './describe-error.ts';
import { loadEnvFile } from './load-env-file.ts';

try {
  loadEnvFile();
  await migrate(readConfig().DATABASE_URL);
  console.log('the database is up to date');
} catch (error) {
  console.error(`the database was not brought up to date: ${describeError(error)}`);
  process.exitCode = 1;
}
