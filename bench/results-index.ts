// `npm run bench:report`: writes bench/results/README.md, the table of all figures, and bench/results/report.html, one
// page with all charts that needs nothing else, from the result files that are there. Every part does it at its end.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatValue, renderReport } from './html-report.ts';
import { isPartName } from './part-names.ts';
import { readResults, resultsFolder, type StoredResult } from './results-files.ts';

/** Of results that are no parts of `npm run bench`. */
const commands: Readonly<Record<string, string>> = {
  'backfill-faults': 'npm run faults:backfill',
  contract: 'npm run contract',
  erasure: 'npm run faults:erasure',
  events: 'npm run faults -- events',
  faults: 'npm run faults',
  'faults-hosts': 'npm run faults:hosts',
  'faults-webhooks': 'npm run faults:webhooks',
  'first-result': 'npm run bench:first-result',
  graph: 'npm run bench:graph',
  idempotency: 'npm run faults -- idempotency',
  peers: 'npm run bench:peers',
  quality: 'npm run bench:quality',
};

export function writeIndex(): void {
  const results = readResults();
  writeFileSync(join(resultsFolder, 'README.md'), renderTable(results));
  writeFileSync(join(resultsFolder, 'report.html'), renderReport(results));
}

/** @throws Error if nothing makes such results */
function commandOf(part: string): string {
  if (isPartName(part)) return `npm run bench -- ${part}`;
  const command = commands[part];
  if (command === undefined) throw new Error(`nothing makes bench/results/${part}.json`);
  return command;
}

/** The figures as a Markdown table. */
export function renderTable(results: readonly StoredResult[]): string {
  const rows = results.flatMap(
    ({ part, figures, commit, dirty, machine, load_before: load, started_at: day }) =>
      figures.map(({ name, value, holds, bound, aim, met, aim_met: aimMet }) => {
        const must = bound === undefined ? '' : `${holds} ${bound}${met ? '' : ' **missed**'}`;
        const wish = aim === undefined ? '' : `${aim}${aimMet === true ? '' : ' (no)'}`;
        const source = [
          day.slice(0, 10),
          `${commit.slice(0, 7)}${dirty ? ' and changes' : ''}`,
          `load ${load.toFixed(1)}`,
          ...(machine.int8 === undefined ? [] : [machine.int8]),
        ].join(', ');
        const command = commandOf(part);
        return `| ${[name, formatValue(value), must, wish, `\`${command}\``, source].join(' | ')} |`;
      }),
  );
  return [
    '# Results',
    '',
    'Generated from the JSON files in this folder by `npm run bench:report`, which also writes [report.html](report.html) with the charts. Load is that of the minute before the run: much above 0, and somebody else was computing. Behind it, where it is known, what the processor multiplies 8-bit numbers with: with VNNI the models are far faster than without.',
    '',
    '| figure | measured | must be | aim | command | run |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

if (import.meta.filename === process.argv[1]) {
  writeIndex();
  console.log('written to bench/results/README.md and bench/results/report.html');
}
