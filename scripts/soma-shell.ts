// A running system with keys asked for, and `soma` at a shell before it: what the tests of the command line share.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { childEnv, packageRoot } from '../shared/config.ts';
import { createLiveSystem, type LiveSystem } from './live-system.ts';

/** The compiled program. */
export const somaProgram = join(packageRoot, 'dist/scripts/soma.js');

/** How a command ended and what it wrote, without white space around it. */
export interface SomaRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface SomaShell {
  readonly system: LiveSystem;
  /** With it the environment of a command is whole: address and key. */
  readonly env: Readonly<Record<string, string>>;
  readonly key: string;
  readonly soma: (args: readonly string[], input?: string, env?: Record<string, string>) => SomaRun;
}

const runMsMax = 60_000;

export async function openSomaShell(): Promise<SomaShell> {
  const system = await createLiveSystem({ AUTH: 'on' });
  const [api] = await Promise.all([
    system.start('api'),
    system.start('dispatcher'),
    system.start('analysis'),
    system.start('webhooks'),
  ]);
  const run = (args: readonly string[], input: string, env: Readonly<Record<string, string>>): SomaRun => {
    const ended = spawnSync(process.execPath, [somaProgram, ...args], {
      cwd: packageRoot,
      env: childEnv(env),
      encoding: 'utf8',
      input,
      timeout: runMsMax,
    });
    return { code: ended.status, out: ended.stdout.trim(), err: ended.stderr.trim() };
  };
  const address = { ...system.env, SOMA_URL: api.address };
  const create = ['keys', 'create', '--tenant', 'acme', '--tier', 'premium'];
  const { out: key } = run([...create, '--scopes', 'jobs:write,jobs:read'], '', address);
  const env = { ...address, SOMA_API_KEY: key };
  return {
    system,
    env,
    key,
    soma: (args, input = '', changes = {}) => run(args, input, { ...env, ...changes }),
  };
}
