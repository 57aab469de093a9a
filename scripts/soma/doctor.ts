// `soma doctor`: looks at everything that a newcomer may have wrong, and says of each fault what to do about it.

import type { Command } from 'commander';
import { type Cli, exitCodes } from './cli.ts';
import type { Finding } from './finding.ts';
import type { Act } from './submit.ts';

export function addDoctor(program: Command, act: Act): void {
  program
    .command('doctor')
    .summary('look for what may be wrong, with remedies')
    .description(
      'Checks this machine, the configuration, the servers, the processes and the API. Fails if something is wrong that keeps texts from being analysed.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ soma doctor\n  $ soma doctor --json | jq -r \'select(.state != "ok")\'',
    )
    .action(act(doctor));
}

async function doctor({ terminal, json, url }: Cli): Promise<number> {
  const counts = { ok: 0, warn: 0, fail: 0, skip: 0 };
  const { examine } = await import('./examine.ts');
  for await (const finding of examine(url)) {
    counts[finding.state] += 1;
    await terminal.data(json ? JSON.stringify(finding) : showFinding(finding));
  }
  terminal.note(
    counts.fail > 0
      ? `${counts.fail} of these must be mended`
      : `nothing is wrong${counts.warn > 0 ? `, ${counts.warn} to look at` : ''}`,
  );
  return counts.fail > 0 ? exitCodes.failed : exitCodes.ok;
}

export function showFinding({ state, check, detail, remedy }: Finding): string {
  const line = `${state.padEnd(4)}  ${check.padEnd(18)} ${detail}`;
  return remedy === undefined ? line : `${line}\n      ${' '.repeat(18)} -> ${remedy}`;
}
