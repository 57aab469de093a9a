// A backfill that is killed again and again, beside one that is left alone: the same rows must come out of both, and
// no row may have been given to a worker twice.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { freePort } from '../../scripts/free-port.ts';
import { spawnGuarded, type GuardedProcess } from '../../scripts/guarded-process.ts';
import { createLiveSystem, type LiveSystem, until } from '../../scripts/live-system.ts';
import { packageRoot } from '../../shared/config.ts';
import { createRandom, pickIndex } from '../random.ts';
import { generateTexts } from '../texts.ts';

export interface BackfillKills {
  readonly rows: number;
  /** SIGKILLs that hit a backfill at work. */
  readonly kills: number;
  /** How often the API was killed meanwhile. */
  readonly apiKills: number;
  readonly undisturbed: Outcome;
  readonly killed: Outcome;
  /** Items that the ledger has for the killed run: as many as rows if none was submitted twice. */
  readonly itemsSubmitted: number;
  readonly seconds: number;
}

interface Outcome {
  readonly rows: number;
  /** Rows that are in the output more than once. */
  readonly doubled: number;
  /** Over number, id, state and main result of every row in order. */
  readonly checksum: string;
  readonly exitCode: number;
}

interface Options {
  readonly rows: number;
  readonly kills: number;
  readonly apiKills: number;
  readonly chunk: number;
  readonly seed: number;
}

/** What a chunk may take on a machine that is busy with others. */
const lifeMsMax = 120_000;
const user = 'killed';

export async function killBackfills(options: Options): Promise<BackfillKills> {
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'soma-backfill-'));
  const system = await createLiveSystem();
  try {
    const port = String(await freePort());
    let [api] = await Promise.all([
      system.start('api', { PORT: port }),
      system.start('dispatcher'),
      system.start('analysis'),
    ]);
    const restartApi = async (): Promise<void> => {
      await api.kill();
      api = await system.start('api', { PORT: port });
    };
    const spawn = (name: string, input: string) =>
      startBackfill({ url: api.address, input, output: join(folder, name), chunk: options.chunk });
    const quiet = spawn('undisturbed', writeRows(folder, options, 'left alone'));
    const quietExit = await quiet.exited;
    const undisturbed = readOutcome(join(folder, 'undisturbed'), quietExit.code);
    const input = writeRows(folder, options, user);
    const size = statSync(join(folder, 'undisturbed')).size;
    const output = join(folder, 'killed');
    const kills = await killAtRandom({
      ...options,
      size,
      output,
      restartApi,
      spawn: () => spawn('killed', input),
    });
    const last = await spawn('killed', input).exited;
    return {
      rows: options.rows,
      kills,
      apiKills: options.apiKills,
      undisturbed,
      killed: readOutcome(output, last.code),
      itemsSubmitted: await countItems(system),
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await system.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same rows for every user, so that the outputs can be compared and the jobs told apart. */
function writeRows(folder: string, { rows, seed }: Options, userId: string): string {
  const path = join(folder, `${userId}.jsonl`);
  const lines = generateTexts(rows, seed).map((text, index) =>
    // Some rows cannot run: they must be in the output as well, once.
    JSON.stringify({ id: `r${index}`, text: index % 97 === 0 ? ' ' : text, user_id: userId }),
  );
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

function startBackfill(options: {
  readonly url: string;
  readonly input: string;
  readonly output: string;
  readonly chunk: number;
}): GuardedProcess {
  const { url, input, output, chunk } = options;
  const settings = ['--output', output, '--chunk', String(chunk), '--resume', '--quiet', '--url', url];
  return spawnGuarded({
    name: 'backfill',
    command: [process.execPath, 'dist/scripts/backfill.js', input, ...settings],
    cwd: packageRoot,
    deathSignal: 'KILL',
  });
}

/** Kills at random sizes of the output and a random while behind each, so that every step of a chunk is hit. */
async function killAtRandom(options: {
  readonly kills: number;
  readonly apiKills: number;
  readonly seed: number;
  readonly size: number;
  readonly output: string;
  readonly spawn: () => GuardedProcess;
  readonly restartApi: () => Promise<void>;
}): Promise<number> {
  const { kills, apiKills, size, output, spawn, restartApi } = options;
  const random = createRandom(options.seed);
  const points = Array.from({ length: kills }, () => pickIndex(random, Math.floor(size * 0.8))).sort(
    (a, b) => a - b,
  );
  const apiPoints = Array.from({ length: apiKills }, () => pickIndex(random, kills));
  let killed = 0;
  for (const [index, point] of points.entries()) {
    if (apiPoints.includes(index)) await restartApi();
    // One that gave up by itself, because the API was away as it began, is no kill: another takes its place.
    while (!(await killOne(spawn(), { output, point, delayMs: random() * 400 }))) continue;
    killed += 1;
  }
  return killed;
}

/** @returns false if it ended by itself */
async function killOne(
  child: GuardedProcess,
  { output, point, delayMs }: { readonly output: string; readonly point: number; readonly delayMs: number },
): Promise<boolean> {
  let code: number | undefined;
  void child.exited.then((exit) => {
    code = exit.code;
  });
  const reached = async () => (code !== undefined || sizeOf(output) >= point ? true : undefined);
  await until(`the output to have ${point} bytes`, reached, lifeMsMax);
  await delay(delayMs);
  const atWork = code === undefined;
  await child.stop('SIGKILL', 0);
  // All rows done before the kill: the input is too small for these kills.
  if (!atWork && code === 0) throw new Error(`the backfill was done before it had ${point} bytes`);
  return atWork;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

const lineSchema = z.object({
  row: z.number(),
  id: z.string(),
  status: z.string(),
  output: z.object({ primary_emotion: z.string() }).optional(),
  error: z.object({ code: z.string() }).optional(),
});

/** @throws Error if a line is torn or rows are not in their order. */
function readOutcome(path: string, exitCode: number): Outcome {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  const rows = lines.map((line) => lineSchema.parse(JSON.parse(line)));
  const hash = createHash('sha256');
  for (const { row, id, status, output, error } of rows)
    hash.update(JSON.stringify([row, id, status, output?.primary_emotion ?? error?.code]));
  return {
    rows: rows.length,
    doubled: rows.length - new Set(rows.map(({ row }) => row)).size,
    checksum: hash.digest('hex'),
    exitCode,
  };
}

async function countItems(system: LiveSystem): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    'SELECT coalesce(sum(item_count), 0)::integer AS count FROM jobs WHERE user_id = $1',
    [user],
  );
  return rows[0]?.count ?? 0;
}
