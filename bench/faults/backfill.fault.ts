// `npm run faults:backfill`: a backfill killed at 20 random points, the API twice, against one that was left alone.
// FAULT_ROWS and FAULT_SEED make it smaller or different. The books are written to bench/results/backfill-faults.json.

import { z } from 'zod';
import { childEnv } from '../../shared/config.ts';
import { startReport, writeReport } from '../report.ts';
import { killBackfills } from './backfill-kills.ts';

const { FAULT_ROWS: rows, FAULT_SEED: seed } = z
  .object({
    FAULT_ROWS: z.coerce.number().int().min(500).default(4000),
    FAULT_SEED: z.coerce.number().int().default(20_261_125),
  })
  .parse(childEnv({}));
const settings = { rows, kills: 20, apiKills: 2, chunk: 40, seed };

const started = startReport();
const run = await killBackfills(settings);
console.log(run);
const exactly = (name: string, value: number, bound: number) =>
  [
    { name, value, bound, holds: 'at least' },
    { name, value, bound, holds: 'at most' },
  ] as const;
const runnable = rows - Math.ceil(rows / 97);
const met = writeReport(started, {
  part: 'backfill-faults',
  seed,
  kind: 'emotion',
  settings,
  rounds: run,
  summary: { same: run.undisturbed.checksum === run.killed.checksum },
  figures: [
    ...exactly('kills that hit a backfill at work', run.kills, settings.kills),
    ...exactly('rows undisturbed', run.undisturbed.rows, rows),
    ...exactly('rows after the kills', run.killed.rows, rows),
    ...exactly('rows doubled', run.killed.doubled, 0),
    ...exactly('outputs that differ', run.undisturbed.checksum === run.killed.checksum ? 0 : 1, 0),
    ...exactly('texts submitted', run.itemsSubmitted, runnable),
  ],
});
process.exitCode = met ? 0 : 1;
