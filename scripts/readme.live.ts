// The commands and programs of the README's sections on command line, client and backfill, run as they are written,
// in a folder that looks like a checkout.

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot } from '../shared/config.ts';
import { findOnPath } from './find-on-path.ts';
import { spawnGuarded } from './guarded-process.ts';
import { createLiveSystem } from './live-system.ts';
import { topLevel } from './source-files.ts';

const system = await createLiveSystem();
const [api] = await Promise.all([system.start('api'), system.start('dispatcher'), system.start('analysis')]);
const folder = mkdtempSync(join(tmpdir(), 'soma-readme-'));
for (const name of [...topLevel(), 'node_modules']) symlinkSync(join(packageRoot, name), join(folder, name));
// Copied, since `npm run` builds: what other tests run at the moment must not be written anew under them.
cpSync(join(packageRoot, 'dist'), join(folder, 'dist'), { recursive: true });
test.after(async () => {
  await system.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The fenced blocks of `language` in a section. */
function blocksOf(section: string, language: string): readonly string[] {
  const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
  const body = readme.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm');
  const blocks = [...body.matchAll(fence)].map(([, block = '']) => block);
  assert.ok(blocks.length > 0, `README: ${section} has no ${language} block`);
  return blocks;
}

/** @throws Error with what it printed if it fails. @returns its output */
async function run(command: readonly string[]): Promise<string> {
  const lines: string[] = [];
  const child = spawnGuarded({
    name: command.join(' '),
    command,
    cwd: folder,
    env: {
      ...system.env,
      SOMA_URL: api.address,
      npm_config_cache: join(folder, '.npm'),
      npm_config_update_notifier: 'false',
    },
    deathSignal: 'KILL',
    onLine: (line) => lines.push(line),
  });
  const { code } = await child.exited;
  assert.is(code, 0, `${command.join(' ')}\n${lines.join('\n')}`);
  return lines.join('\n');
}

async function runBash(section: string): Promise<void> {
  for (const block of blocksOf(section, 'bash')) await run(['bash', '-euo', 'pipefail', '-c', block]);
}

test('runs every command of Command line', () => runBash('Command line'));

test('runs every command of Backfill, and has its results where the README says', async () => {
  await system.owner.query(`CREATE TABLE posts AS SELECT 1 AS id, 'I love it!' AS body`);
  await runBash('Backfill');
  assert.match(
    readFileSync(join(folder, 'results.jsonl'), 'utf8'),
    /^\{"row":1,"id":"a","status":"succeeded"/,
  );
  assert.match(readFileSync(join(folder, 'more.jsonl'), 'utf8'), /"status":"succeeded"/);
  const { rows } = await system.owner.query('SELECT id, status FROM post_emotions');
  assert.equal(rows, [{ id: '1', status: 'succeeded' }]);
});

test('compiles and runs the TypeScript of Client', async () => {
  mkdirSync(join(folder, 'example'));
  const names = blocksOf('Client', 'ts').map((block, index) => {
    const name = `example/client-${index}`;
    writeFileSync(join(folder, `${name}.mts`), block);
    return name;
  });
  const strict = ['--strict', '--exactOptionalPropertyTypes', '--module', 'nodenext', '--target', 'es2023'];
  const files = names.map((name) => `${name}.mts`);
  await run(['npx', '--no-install', 'tsc', '--ignoreConfig', ...strict, '--types', 'node', ...files]);
  const [first = ''] = names;
  assert.match(await run([process.execPath, `${first}.mjs`]), /job\.succeeded[\s\S]*1 succeeded/);
});

test('runs the Python of Client, ten lines', async () => {
  const [block = ''] = blocksOf('Client', 'python');
  assert.is(block.trimEnd().split('\n').length, 10);
  const python = findOnPath('python3');
  if (python === undefined) {
    console.log('skipped: there is no python3 on the PATH');
    return;
  }
  assert.match(await run([python, '-c', block]), /^succeeded \{'items': /);
});

test.run();
