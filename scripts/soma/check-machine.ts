// What `soma doctor` looks at on this machine: Node, programs, disk, settings, model files.

import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { createRegistry } from '../../models/registry.ts';
import { openArtifact, verifyArtifact } from '../../models/repository.ts';
import { clientConfigSchema, type Config, configSchema, packageRoot } from '../../shared/config.ts';
import { describeError } from '../describe-error.ts';
import { findOnPath } from '../find-on-path.ts';
import { spawnGuarded } from '../guarded-process.ts';
import { fail, type Finding, ok, skip, warn } from './finding.ts';

const diskBytes = { fail: 500e6, warn: 2e9 } as const;
const loadLimitMs = 20_000;

/** @param version as `process.version` has it */
export function checkNode(version: string): Finding {
  const schema = z.object({ engines: z.object({ node: z.string() }) });
  const wanted = schema.parse(readJson('package.json')).engines.node.replace('>=', '');
  const detail = `Node ${version}, needs ${wanted} or newer`;
  return version.slice(1).localeCompare(wanted, 'en', { numeric: true }) >= 0
    ? ok('node', detail)
    : fail('node', detail, `Install Node ${wanted}; .nvmrc names the version: nvm install`);
}

/** Names in `.env` that no setting has: a typing error there is silent otherwise. */
export function checkEnvFile(): Finding {
  const path = join(packageRoot, '.env');
  if (!existsSync(path)) return ok('.env', 'none: the defaults hold, see .env.example');
  return judgeEnvFile(readFileSync(path, 'utf8'));
}

export function judgeEnvFile(text: string): Finding {
  const known = { ...configSchema.shape, ...clientConfigSchema.shape };
  const names = [...text.matchAll(/^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=/gm)].map(([, name = '']) => name);
  const unknown = names.filter((name) => !(name in known));
  return unknown.length === 0
    ? ok('.env', `${names.length} settings`)
    : warn('.env', `no setting is called ${unknown.join(', ')}`, 'Compare the names with .env.example');
}

export function checkAuth({ AUTH, HOST }: Config): Finding {
  return AUTH === 'on'
    ? ok('auth', 'AUTH=on: every request brings a key')
    : ok('auth', `AUTH=off: one tenant and no key, on ${HOST} alone`);
}

export function checkDisk(folder: string): Finding {
  const { bavail, bsize } = statfsSync(folder);
  return judgeDisk(bavail * bsize);
}

export function judgeDisk(freeBytes: number): Finding {
  const detail = `${(freeBytes / 1e9).toFixed(1)} GB free`;
  const remedy = 'Free some: Postgres stops when the disk is full. `.services/` holds what npm start keeps';
  if (freeBytes < diskBytes.fail) return fail('disk', detail, remedy);
  return freeBytes < diskBytes.warn ? warn('disk', detail, remedy) : ok('disk', detail);
}

/** Each weights file against the digest of its manifest: a cut download or a Git LFS pointer looks like a file. */
export function checkModels(modelsDir: string): readonly Finding[] {
  const remedy = 'Take the files of the repository again: git checkout -- models/artifacts';
  try {
    return createRegistry(modelsDir)
      .models.filter(({ digest }) => digest !== '')
      .map(({ kind, version }) => {
        const name = `model ${kind}`;
        try {
          const artifact = openArtifact(modelsDir, kind, version);
          verifyArtifact(artifact);
          const megabytes = (artifact.manifest.model.bytes / 1e6).toFixed(1);
          return ok(name, `${version}, ${megabytes} MB, sha256 as in its manifest`);
        } catch (error) {
          return fail(name, describeError(error), remedy);
        }
      });
  } catch (error) {
    return [fail('models', describeError(error), remedy)];
  }
}

/** In a process of its own: a native library that does not fit may take its process with it. */
export async function checkRuntime(): Promise<Finding> {
  const child = spawnGuarded({
    name: 'onnxruntime',
    // It imports the library and does nothing by itself.
    command: [process.execPath, 'dist/models/session.js'],
    cwd: packageRoot,
    deathSignal: 'KILL',
  });
  const timer = setTimeout(() => void child.stop('SIGKILL', 0), loadLimitMs);
  const exit = await child.exited;
  clearTimeout(timer);
  const why = /^.*Error:? .*$/m.exec(child.lastLines())?.[0] ?? exit.text;
  return exit.code === 0
    ? ok('onnxruntime', 'loads')
    : fail('onnxruntime', why, 'npm ci; it has binaries for glibc Linux, macOS and Windows on x64 and arm64');
}

/** Which programs `npm start` would need for the servers that are not given. */
export function checkPrograms(config: { readonly redisGiven: boolean }): Finding {
  if (config.redisGiven) return skip('redis-server', 'not needed: REDIS_URL is set');
  const found = findOnPath('redis-server', 'valkey-server');
  return found !== undefined
    ? ok('redis-server', found)
    : warn(
        'redis-server',
        'not on the PATH',
        'apt-get install redis-server, brew install redis, or set REDIS_URL',
      );
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(packageRoot, path), 'utf8'));
}
