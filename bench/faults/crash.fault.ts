// `npm run faults`: workers killed, Redis emptied, workers rolled, each under load, then the audit of every job.
// FAULT_JOBS and FAULT_SEED make it smaller or different. The books are written to bench/results/faults.json.

import { z } from 'zod';
import { childEnv } from '../../shared/config.ts';
import { startReport, writeReport } from '../report.ts';
import { runCrashes, runRoll } from './harness.ts';

const settings = z
  .object({
    FAULT_JOBS: z.coerce.number().int().min(100).default(10_000),
    FAULT_SEED: z.coerce.number().int().default(20_261_124),
  })
  .parse(childEnv({}));

const jobs = settings.FAULT_JOBS;
const seed = settings.FAULT_SEED;
const kills = 5;

const started = startReport();
const crashes = await runCrashes({ jobs, kills, seed });
console.log(crashes);
const rollJobs = Math.ceil(jobs / 5);
const roll = await runRoll({ jobs: rollJobs, seed });
console.log(roll);

const exactly = (name: string, value: number, bound: number) =>
  [
    { name, value, bound, holds: 'at least' },
    { name, value, bound, holds: 'at most' },
  ] as const;
const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;

const met = writeReport(started, {
  part: 'faults',
  seed,
  kind: 'emotion',
  settings: { jobs, kills, flushes: crashes.flushes, workers: 2, roll_jobs: rollJobs },
  rounds: { crashes, roll },
  summary: { crashes: crashes.audit, roll: roll.audit },
  figures: [
    ...exactly('jobs accepted', crashes.audit.accepted, jobs),
    ...exactly('workers killed', crashes.kills, kills),
    none('jobs lost', crashes.audit.lost),
    none('jobs failed', crashes.audit.failed),
    none('jobs without exactly one terminal event', crashes.audit.withoutOneTerminalEvent),
    none('items not analysed exactly once', crashes.audit.itemsNotAnalysedOnce),
    none('jobs that the API shows otherwise', crashes.audit.shownOtherwise),
    {
      name: 'slowest return to work after a kill, s',
      value: crashes.audit.slowestRecoverySeconds,
      bound: 30,
      holds: 'at most',
    },
    none('roll: jobs lost', roll.audit.lost),
    none('roll: jobs run again', roll.audit.reExecuted),
    none('roll: stalled dispatches', roll.stalled),
    none('roll: stops with an error', roll.stops.filter(({ code }) => code !== 0).length),
    {
      name: 'roll: slowest stop, s',
      value: Math.max(...roll.stops.map(({ seconds }) => seconds)),
      bound: 25,
      holds: 'at most',
    },
  ],
});
process.exitCode = met ? 0 : 1;
