// `npm start` as its user meets it: an invitation that works, deaths that are mended, and an end that leaves nothing.

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { freePort } from './free-port.ts';
import { type GuardedProcess, limit, spawnGuarded } from './guarded-process.ts';
import { createDatabase, until } from './live-system.ts';
import { whenGone } from './when-gone.ts';

const name = `soma_test_${randomBytes(6).toString('hex')}`;
const database = await createDatabase(name);
test.after(database.drop);

const waitMsMax = 60_000;

interface Launch {
  readonly launcher: GuardedProcess;
  /** Resolves to what `pattern` matched, in a line already printed or still to come. */
  readonly seen: (pattern: RegExp) => Promise<RegExpExecArray>;
}

function launch(args: readonly string[], env: Record<string, string> = {}): Launch {
  const lines: string[] = [];
  const launcher = spawnGuarded({
    name: 'start',
    command: [process.execPath, 'dist/scripts/start.js', ...args],
    cwd: packageRoot,
    env: { DATABASE_URL: database.url, QUEUE_PREFIX: `{${name}}`, LOG_LEVEL: 'info', ...env },
    deathSignal: 'TERM',
    onLine: (line) => lines.push(line),
  });
  const find = (pattern: RegExp) => lines.map((line) => pattern.exec(line)).find((match) => match !== null);
  const seen = (pattern: RegExp) =>
    until(
      `${pattern} from npm start:\n${lines.join('\n')}`,
      () => Promise.resolve(find(pattern) ?? undefined),
      waitMsMax,
    );
  return { launcher, seen };
}

/** The process id that the log lines of `label` bear. */
async function pidOf({ seen }: Launch, label: string): Promise<number> {
  const match = await seen(new RegExp(`^${label.replace('.', '\\.')} +\\| .*"pid":(\\d+).*"ready"`));
  return Number(match[1]);
}

const answerSchema = z.object({ status: z.string() });

test('invites to a request that works, mends a death, and stops everything when told to', async () => {
  const started = launch(['--formation', 'analysis=1', '--port', String(await freePort())]);
  const [, url = '', body = ''] = await started.seen(/^curl -s (\S+) .*-H 'Prefer: wait=10' -d '(.*)'$/);
  const headers = { 'content-type': 'application/json', prefer: 'wait=10' };
  const response = await fetch(url, {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(waitMsMax),
  });
  assert.is(response.status, 200);
  assert.is(answerSchema.parse(await response.json()).status, 'succeeded');

  const analysis = await pidOf(started, 'analysis.1');
  process.kill(analysis, 'SIGKILL');
  await started.seen(/!!! analysis\.1 ended unexpectedly \(killed by SIGKILL\)/);

  const others = await Promise.all(['api.1', 'dispatcher.1'].map((label) => pidOf(started, label)));
  const exit = await started.launcher.stop('SIGTERM', waitMsMax);
  assert.is(exit.code, 0, exit.text);
  await Promise.all(others.map((pid) => whenGone(pid, waitMsMax)));
});

test('leaves nothing running after a kill -9 of the launcher', async () => {
  if (process.platform !== 'linux') return;
  const started = launch(['--formation', 'api=0,analysis=0']);
  const dispatcher = await pidOf(started, 'dispatcher.1');
  await started.launcher.stop('SIGKILL', 1000);
  await whenGone(dispatcher, waitMsMax);
});

test('gives up on a process that will not stay up, says so, and exits with 1', async () => {
  const started = launch(['--formation', 'api=0,analysis=1,dispatcher=0'], { MODELS_DIR: 'nowhere' });
  await started.seen(/analysis\.1 died 5 times in a row/);
  assert.is((await started.launcher.exited).code, 1);
});

test('names the port that is taken and how to choose another, before anything starts', async () => {
  const port = await freePort();
  const holder = createServer().listen(port, '127.0.0.1');
  const started = launch(['--port', String(port)]);
  assert.is((await started.launcher.exited).code, 1);
  await started.seen(new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken .*--port ${port + 1}`));
  holder.close();
});

test('says which option is wrong', async () => {
  const started = launch(['--formation', 'worker=1']);
  const end = await Promise.race([started.launcher.exited, limit(waitMsMax)]);
  assert.is(end === 'late' ? end : end.code, 1);
  await started.seen(/--formation: "worker=1" is not/);
});

test.run();
