// `--cpus` on real processes: workers, their threads and their model processes stay on the cores that were named.

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { allowedCores } from '../shared/allowed-cores.ts';
import { packageRoot } from '../shared/config.ts';
import { spawnGuarded } from './guarded-process.ts';
import { createDatabase, until } from './live-system.ts';

const name = `soma_test_${randomBytes(6).toString('hex')}`;
const database = await createDatabase(name);
test.after(database.drop);

/** The last first, which is not the order in which they are used by default. */
const cores = allowedCores().slice(0, 2).reverse();
const limitMs = 90_000;

function start(script: string, args: readonly string[]) {
  const lines: string[] = [];
  const started = spawnGuarded({
    name: script,
    command: [process.execPath, `dist/${script}.js`, ...args],
    cwd: packageRoot,
    env: { DATABASE_URL: database.url, QUEUE_PREFIX: `{${name}}`, LOG_LEVEL: 'info' },
    deathSignal: 'TERM',
    onLine: (line) => lines.push(line),
  });
  const seen = (pattern: RegExp) =>
    until(
      `${pattern} from ${script}:\n${lines.join('\n')}`,
      () =>
        Promise.resolve(lines.map((line) => pattern.exec(line)).find((match) => match !== null) ?? undefined),
      limitMs,
    );
  return { ...started, seen };
}

/** Where each thread of the process may run, and each of its model process, which alone steps back, as the kernel has it. */
function coresOf(pid: number): readonly string[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  assert.is(children.length, 1, 'one model process');
  const lists = [pid, ...children].flatMap((one) =>
    readdirSync(`/proc/${one}/task`).map((task) => readFileSync(`/proc/${one}/task/${task}/status`, 'utf8')),
  );
  assert.is(getPriority(pid), getPriority(), 'the worker does not step back');
  assert.ok(children.every((one) => getPriority(one) >= 10));
  return [...new Set(lists.map((status) => /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? ''))];
}

test('the launcher gives its workers the cores in turn', async () => {
  if (cores.length === 0) return;
  const formation = 'api=0,dispatcher=0,profile=0,webhooks=0,analysis=2';
  const launcher = start('scripts/start', ['--formation', formation, '--cpus', cores.join(',')]);
  for (const [index, number] of [1, 2].entries()) {
    const ready = await launcher.seen(new RegExp(`^analysis\\.${number} +\\| .*"pid":(\\d+).*"ready"`));
    assert.equal(coresOf(Number(ready[1])), [String(cores[index % cores.length])]);
  }
  assert.is((await launcher.stop('SIGTERM', limitMs)).code, 0);
});

test('a worker alone ties itself to what it is given', async () => {
  if (cores.length === 0) return;
  const worker = start('workers/analysis', ['--cpus', String(cores[0])]);
  const ready = await worker.seen(/"pid":(\d+).*"ready"/);
  assert.equal(coresOf(Number(ready[1])), [String(cores[0])]);
  assert.is((await worker.stop('SIGTERM', limitMs)).code, 0);
});

test('a core that is not there is refused by name, and nothing starts', async () => {
  if (cores.length === 0) return;
  for (const script of ['scripts/start', 'workers/analysis']) {
    const refused = start(script, ['--cpus', '0,999']);
    await refused.seen(/--cpus: not ours to use: .*999; we may run on/);
    assert.is((await refused.exited).code, 1);
  }
});

test.run();
