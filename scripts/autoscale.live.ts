// `npm start -- --autoscale`: a worker comes when work waits too long, goes when none waits, and nothing is run twice.

import { randomBytes } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createPool } from '../db/client.ts';
import { allowedCores } from '../shared/allowed-cores.ts';
import { packageRoot } from '../shared/config.ts';
import { freePort } from './free-port.ts';
import { spawnGuarded } from './guarded-process.ts';
import { createDatabase, until } from './live-system.ts';

const name = `soma_test_${randomBytes(6).toString('hex')}`;
const database = await createDatabase(name);
const owner = createPool(database.url, { role: 'owner', max: 1 });
test.after(async () => {
  await owner.end();
  await database.drop();
});

const jobs = 30;
const texts = Array.from(
  { length: 100 },
  (_, index) => `I am glad that you came ${'again and '.repeat(index % 9)}`,
);

async function readCounts(): Promise<{
  ended: number;
  succeeded: number;
  attempts: number;
}> {
  const { rows } = await owner.query(
    `SELECT count(*) FILTER (WHERE ended_at IS NOT NULL)::integer AS ended,
       count(*) FILTER (WHERE status = 'succeeded')::integer AS succeeded,
       coalesce(max(attempt), 0) AS attempts FROM jobs`,
  );
  const row = z.object({
    ended: z.number(),
    succeeded: z.number(),
    attempts: z.number(),
  });
  return row.parse(rows[0]);
}

test('adds a worker under load, drains it when idle, and runs every job once', async () => {
  const lines: string[] = [];
  const port = await freePort();
  const cores = allowedCores().slice(0, 2);
  const pinned = cores.length === 0 ? [] : ['--cpus', cores.join(',')];
  const args = ['--autoscale', '1..2', ...pinned];
  const launcher = spawnGuarded({
    name: 'start',
    command: [process.execPath, 'dist/scripts/start.js', ...args, '--port', String(port)],
    cwd: packageRoot,
    env: {
      DATABASE_URL: database.url,
      QUEUE_PREFIX: `{${name}}`,
      AUTOSCALE_AGE_MS: '200',
      AUTOSCALE_IDLE_MS: '3000',
      RESULT_CACHE_MB: '0',
    },
    deathSignal: 'TERM',
    onLine: (line) => lines.push(line),
  });
  const seen = (pattern: RegExp) =>
    until(`${pattern}`, () => Promise.resolve(lines.find((line) => pattern.test(line))), 120_000).catch(
      (cause: unknown) => {
        throw new Error(`${String(cause)}:\n${lines.slice(-20).join('\n')}`);
      },
    );
  await seen(/ready in /);
  assert.not.ok(lines.some((line) => line.includes('starting analysis.2')));
  for (let number = 0; number < jobs; number++) {
    const response = await fetch(`http://127.0.0.1:${port}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ kind: 'emotion', input: { texts } }),
      signal: AbortSignal.timeout(30_000),
    });
    assert.is(response.status, 202);
  }
  await seen(/the first in line has waited \d+ ms: adding analysis\.2/);
  if (cores.length > 0)
    await seen(new RegExp(`starting analysis\\.2 \\(core ${cores[1 % cores.length]}[,)]`));
  await until(
    'the end of all jobs',
    async () => ((await readCounts()).ended === jobs ? true : undefined),
    240_000,
  );
  await seen(/nothing waits: draining analysis\.2/);
  await seen(/analysis\.2 has ended/);
  const { succeeded, attempts } = await readCounts();
  assert.equal([succeeded, attempts], [jobs, 1]);
  assert.not.ok(lines.some((line) => line.includes('ended unexpectedly')));
  assert.is((await launcher.stop('SIGTERM', 60_000)).code, 0);
});

test.run();
