// Where the servers of a running `npm start` are: it takes free ports, and the commands beside it must find them.

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { isAlive } from './folder-owner.ts';

const path = join(packageRoot, '.services', 'running.json');
const fileSchema = z.object({ pid: z.number(), env: z.record(z.string(), z.string()) });

/** Leaves word of the servers that this process has started; the last one that was started wins. */
export function announceServices(env: Readonly<Record<string, string>>): void {
  writeFileSync(path, JSON.stringify({ pid: process.pid, env }), { mode: 0o600 });
}

/** Takes back what this process has left. */
export function withdrawServices(): void {
  if (readFile()?.pid === process.pid) rmSync(path, { force: true });
}

/**
 * The URLs of the servers of the `npm start` that runs beside us; none if `given` names one of them: the servers of two
 * systems must not be mixed.
 */
export function findRunningServices(given: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const found = readFile();
  if (found === undefined || !isAlive(found.pid)) return {};
  return Object.keys(found.env).some((name) => given[name]) ? {} : found.env;
}

function readFile(): z.output<typeof fileSchema> | undefined {
  try {
    return fileSchema.safeParse(JSON.parse(readFileSync(path, 'utf8'))).data;
  } catch {
    return undefined;
  }
}
