// `npm run bench [-- part...]`: the whole system measured from outside, part by part, into bench/results/. Each part
// runs in a process of its own under scripts/services.ts, which brings it an empty Postgres and Redis.

import { spawn } from 'node:child_process';
import { packageRoot } from '../shared/config.ts';
import { readOptions } from './options.ts';
import { isPartName, onDemand, type PartName, partNames } from './part-names.ts';

/** Whoever stops one part wants no other. */
let stopped = false;

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const { parts: wanted } = readOptions(args);
  const unknown = wanted.find((name) => name !== 'all' && !isPartName(name));
  if (unknown !== undefined) {
    const list = Object.entries(partNames).map(([name, what]) => `  ${name.padEnd(12)} ${what}`);
    throw new Error(`no part ${unknown}; the parts are\n${list.join('\n')}`);
  }
  const settings = args.filter((arg) => !wanted.includes(arg));
  const all = wanted.length === 0 || wanted.includes('all');
  const missed: PartName[] = [];
  for (const name of Object.keys(partNames).filter(isPartName)) {
    if (stopped) break;
    if (!wanted.includes(name) && (!all || onDemand.includes(name))) continue;
    console.log(`== ${name}: ${partNames[name]}`);
    if ((await runPart([name, ...settings])) !== 0) missed.push(name);
  }
  if (missed.length > 0) console.log(`missed or failed: ${missed.join(', ')}`);
  return missed.length === 0 ? 0 : 1;
}

function runPart(args: readonly string[]): Promise<number> {
  const command = ['dist/scripts/services.js', process.execPath, 'dist/bench/part.js', ...args];
  const child = spawn(process.execPath, command, { cwd: packageRoot, stdio: 'inherit' });
  const pass = (signal: NodeJS.Signals): void => {
    stopped = true;
    child.kill(signal);
  };
  process.on('SIGINT', pass).on('SIGTERM', pass);
  return new Promise<number>((resolve, reject) => {
    child.once('error', reject).once('exit', (code) => resolve(code ?? 1));
  }).finally(() => process.off('SIGINT', pass).off('SIGTERM', pass));
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  },
);
