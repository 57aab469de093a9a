// `npm run faults [-- part...]`: the system broken on purpose in full size, part by part, and the books afterwards, each
// in bench/results/. FAULT_JOBS and FAULT_SEED make it smaller or different; the tests run the same in small.

import { z } from 'zod';
import { childEnv } from '../../shared/config.ts';
import { startReport, writeReport } from '../report.ts';
import { runEvents } from './events.ts';
import { atLeast, atMost, exactly, none } from './figures.ts';
import { runCrashes, runRoll } from './harness.ts';
import { runIdempotency } from './idempotency.ts';

const settings = z
  .object({
    FAULT_JOBS: z.coerce.number().int().min(100).default(10_000),
    FAULT_SEED: z.coerce.number().int().default(20_261_124),
  })
  .parse(childEnv({}));
const seed = settings.FAULT_SEED;

const parts: readonly (readonly [name: string, run: () => Promise<boolean>])[] = [
  ['crash', crash],
  ['events', events],
  ['idempotency', idempotency],
];

/** Workers killed, Redis emptied, workers rolled, each under load, then the audit of every job. */
async function crash(): Promise<boolean> {
  const started = startReport();
  const jobs = settings.FAULT_JOBS;
  const kills = 5;
  const crashes = await runCrashes({ jobs, kills, seed });
  console.log(crashes);
  const rollJobs = Math.ceil(jobs / 5);
  const roll = await runRoll({ jobs: rollJobs, seed });
  console.log(roll);
  return writeReport(started, {
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
      atMost('slowest return to work after a kill, s', crashes.audit.slowestRecoverySeconds, 30),
      none('roll: jobs lost', roll.audit.lost),
      none('roll: jobs run again', roll.audit.reExecuted),
      none('roll: stalled dispatches', roll.stalled),
      none('roll: stops with an error', roll.stops.filter(({ code }) => code !== 0).length),
      atMost('roll: slowest stop, s', Math.max(...roll.stops.map(({ seconds }) => seconds)), 25),
    ],
  });
}

/** Event streams cut at chosen places, and the API killed under them. */
async function events(): Promise<boolean> {
  const started = startReport();
  const options = { jobs: 50, attempts: 20, cuts: 100, kills: 3, seed };
  const run = await runEvents(options);
  console.log(run);
  return writeReport(started, {
    part: 'events',
    seed,
    kind: 'emotion',
    settings: options,
    rounds: [run],
    summary: run,
    figures: [
      ...exactly('events received', run.received, run.events),
      ...exactly('events in the ledger', run.events, options.jobs * (1 + 2 * options.attempts)),
      atLeast('streams cut', run.cuts, options.cuts),
      ...exactly('API processes killed', run.kills, options.kills),
      atLeast('streams that a kill broke', run.streamsKilled, options.kills),
      none('gaps', run.gaps),
      none('repeats', run.repeats),
      none('jobs with other events than the ledger has', run.different),
    ],
  });
}

/** Submits repeated under their key while the API is killed. */
async function idempotency(): Promise<boolean> {
  const started = startReport();
  const options = { sameKey: 50, posts: 1000, kills: 10, seed };
  const run = await runIdempotency(options);
  console.log(run);
  return writeReport(started, {
    part: 'idempotency',
    seed,
    kind: 'emotion',
    settings: options,
    rounds: [run],
    summary: run,
    figures: [
      ...exactly('50 posts of one key: jobs', run.sameKey.jobs, 1),
      ...exactly('50 posts of one key: replays', run.sameKey.replays, options.sameKey - 1),
      ...exactly('posts of a key each: jobs', run.jobs, options.posts),
      ...exactly('posts of a key each: ids answered', run.ids, options.posts),
      none('answers that name another job than the ledger', run.wrongAnswers),
      ...exactly('API processes killed', run.kills, options.kills),
      atLeast('jobs committed by a process that died before their 202', run.committedUnanswered, 1),
    ],
  });
}

const wanted = process.argv.slice(2);
const names = parts.map(([name]) => name);
const unknown = wanted.find((name) => !names.includes(name));
if (unknown !== undefined) throw new Error(`no part ${unknown}; the parts are ${names.join(', ')}`);
for (const [name, run] of parts) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.log(`== ${name}`);
  if (!(await run())) process.exitCode = 1;
}
