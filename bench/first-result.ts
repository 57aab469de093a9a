// What somebody who comes to the repository lives through: clone, `npm ci`, `npm start`, and the curl that it prints, in
// seconds to the first result; then kill -9 of the launcher, and what is still running. `npm run bench:first-result`.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { childEnv, packageRoot } from '../shared/config.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import { freePort } from './system.ts';

const rounds = 3;
const goneMsMax = 15_000;

interface Round {
  /** Until the line with the curl came. */
  readonly invitationSeconds: number;
  readonly resultSeconds: number;
  readonly status: string;
  readonly processes: number;
  /** Processes that outlived the launcher by `goneMsMax`. */
  readonly left: readonly string[];
  /** Until the last of them was gone. */
  readonly goneSeconds: number;
}

async function main(): Promise<boolean> {
  const started = startReport();
  const folder = mkdtempSync(join(tmpdir(), 'soma-clone-'));
  const found: Round[] = [];
  try {
    const clone = join(folder, 'soma');
    run('git', ['clone', '--quiet', packageRoot, clone], folder);
    run('npm', ['ci', '--no-audit', '--no-fund'], clone);
    for (let number = 0; number < rounds; number++) {
      run('git', ['clean', '-fdxq', '-e', 'node_modules'], clone);
      found.push(await measureStart(clone));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  printTable(
    [
      'npm start',
      'invitation s',
      'first result s',
      'status',
      'processes',
      'left after kill -9',
      'gone after s',
    ],
    found.map((one, index) => [
      index + 1,
      one.invitationSeconds,
      one.resultSeconds,
      one.status,
      one.processes,
      one.left.length,
      one.goneSeconds,
    ]),
  );
  const slowest = Math.max(...found.map(({ resultSeconds }) => resultSeconds));
  const left = found.reduce((sum, one) => sum + one.left.length, 0);
  const failed = found.filter(({ status }) => status !== 'succeeded').length;
  return writeReport(started, {
    part: 'first-result',
    seed: 0,
    kind: 'emotion',
    settings: {
      rounds,
      goneMsMax,
      counted: 'npm start, with its build, to the end of the curl; npm ci is not',
    },
    rounds: found,
    summary: { slowest },
    figures: [
      { name: 'npm start to the first result, slowest, s', value: slowest, bound: 60, holds: 'at most' },
      { name: 'first results that are none', value: failed, bound: 0, holds: 'at most' },
      { name: 'processes left after kill -9 of the launcher', value: left, bound: 0, holds: 'at most' },
    ],
  });
}

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, [...args], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function measureStart(clone: string): Promise<Round> {
  const port = await freePort();
  const startedMs = performance.now();
  const since = (): number => round((performance.now() - startedMs) / 1000, 1);
  const npm = spawn('npm', ['start', '--', '--port', String(port)], {
    cwd: clone,
    env: childEnv({ DATABASE_URL: '', REDIS_URL: '' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  process.once('exit', () => npm.kill('SIGKILL'));
  const ended = once(npm, 'exit');
  const lines = createInterface({ input: npm.stdout });
  const invitation = await firstLine(lines, /^curl -s /);
  const invitationSeconds = since();
  const answer = execFileSync('sh', ['-c', invitation], { encoding: 'utf8' });
  const resultSeconds = since();
  const { status } = z.object({ status: z.string() }).parse(JSON.parse(answer));
  const family = listFamily(npm.pid ?? 0, clone);
  const launcher = family.find(({ command }) => command.includes('dist/scripts/start.js'));
  if (launcher === undefined) throw new Error('no launcher among the processes of npm start');
  const killedMs = performance.now();
  process.kill(launcher.pid, 'SIGKILL');
  await ended;
  const left = await untilGone(family, clone);
  return {
    invitationSeconds,
    resultSeconds,
    status,
    processes: family.length,
    left,
    goneSeconds: round((performance.now() - killedMs) / 1000, 1),
  };
}

async function firstLine(lines: AsyncIterable<string>, pattern: RegExp): Promise<string> {
  for await (const line of lines) if (pattern.test(line)) return line;
  throw new Error(`npm start ended without a line like ${pattern}`);
}

/** Processes that were there and still are, or that work in the clone, in words. */
async function untilGone(family: readonly Process[], clone: string): Promise<readonly string[]> {
  const known = new Set(family.map(({ pid, startedAt }) => `${pid} ${startedAt}`));
  for (const deadline = performance.now() + goneMsMax; ; await delay(100)) {
    const left = listProcesses().filter(
      ({ pid, startedAt, folder }) => known.has(`${pid} ${startedAt}`) || folder.startsWith(clone),
    );
    if (left.length === 0 || performance.now() > deadline)
      return left.map(({ pid, command }) => `${pid} ${command}`);
  }
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  /** In ticks since the boot: with the id it names a process for ever. */
  readonly startedAt: string;
  readonly command: string;
  readonly folder: string;
}

/** A process, all that it started, and all that works in the clone. */
function listFamily(root: number, clone: string): readonly Process[] {
  const all = listProcesses();
  const below = (parent: number): readonly Process[] =>
    all.filter((one) => one.parent === parent).flatMap((child) => [child, ...below(child.pid)]);
  const own = [...all.filter(({ pid }) => pid === root), ...below(root)];
  const others = all.filter((one) => one.folder.startsWith(clone) && !own.includes(one));
  return [...own, ...others];
}

function listProcesses(): readonly Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => readProcess(Number(name)) ?? []);
}

/** Undefined for one that has ended, a zombie among them. */
function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    const folder = readlinkSync(`/proc/${pid}/cwd`);
    return { pid, parent: Number(fields[1]), startedAt: fields[19] ?? '', command, folder };
  } catch {
    return undefined;
  }
}

main().then(
  (met) => process.exit(met ? 0 : 1),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
