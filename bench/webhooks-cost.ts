// What webhooks cost a tenant that has none: the statements of a job's life with the trigger that makes deliveries and
// without it, in turns, on the same connection.

import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { completeJobs, startJobs } from '../db/attempts.ts';
import { createPool, inTransaction, type Tx } from '../db/client.ts';
import { insertJobs } from '../db/submissions.ts';
import { newJob } from '../scripts/live-system.ts';
import { median, round } from './report.ts';
import { createWebhookSystem } from './webhooks-system.ts';

const poolJobs = 256;
const turns = 30;

/** Milliseconds of one pool's statements, and CPU of their backend over all turns of a side. */
interface Side {
  readonly insert: number[];
  readonly start: number[];
  readonly complete: number[];
  cpuTicks: number;
}

export interface TriggerCost {
  /** With the trigger, of that without: medians of the time of each statement, and the backend's CPU in all. */
  readonly ratios: {
    readonly insert: number;
    readonly start: number;
    readonly complete: number;
    readonly cpu: number;
  };
  readonly medianMs: { readonly with: Record<string, number>; readonly without: Record<string, number> };
  readonly pools: number;
}

export async function measureTriggerCost(): Promise<TriggerCost> {
  const { system, close } = await createWebhookSystem();
  // One connection, whose CPU is that of its backend. Another tenant has webhooks, so that the tables are in use.
  const pool = createPool(system.databaseUrl, { role: 'worker', max: 1 });
  const sides = { with: newSide(), without: newSide() };
  try {
    for (let turn = 0; turn < turns + 2; turn++) {
      for (const name of turn % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const)) {
        const how = name === 'with' ? 'ENABLE' : 'DISABLE';
        await system.owner.query(`ALTER TABLE job_events ${how} TRIGGER record_deliveries`);
        const side = turn < 2 ? newSide() : sides[name];
        await inTransaction(pool, async (tx) => live(tx, side));
      }
    }
  } finally {
    await pool.end();
    await close();
  }
  return {
    ratios: {
      insert: ratio(sides.with.insert, sides.without.insert),
      start: ratio(sides.with.start, sides.without.start),
      complete: ratio(sides.with.complete, sides.without.complete),
      cpu: round(sides.with.cpuTicks / sides.without.cpuTicks, 3),
    },
    medianMs: { with: medians(sides.with), without: medians(sides.without) },
    pools: turns,
  };
}

const output = JSON.stringify({ primary_emotion: 'joy', scores: Array.from({ length: 28 }, () => 0.5) });

/** A pool of jobs from submit to result. */
async function live(tx: Tx, side: Side): Promise<void> {
  const { rows } = await tx.query('SELECT pg_backend_pid() AS pid');
  const { pid } = z.tuple([z.object({ pid: z.number() })]).parse(rows)[0];
  const ticksBefore = readTicks(pid);
  const jobs = Array.from({ length: poolJobs }, () => newJob({ texts: ['Good news'] }));
  side.insert.push(await time(() => insertJobs(tx, jobs)));
  const named = jobs.map(({ tenantId, id, dispatchId }) => ({ tenantId, id, dispatchId: dispatchId ?? '' }));
  const args = { jobs: named, worker: 'bench', leaseMs: 60_000, attemptsMax: 5 };
  side.start.push(await time(() => startJobs(tx, args)));
  const completions = jobs.map(({ tenantId, id }) => ({
    tenantId,
    id,
    attempt: 1,
    kind: 'emotion',
    modelVersion: '1',
    userId: null,
    results: [{ index: 0, output }],
    facts: [],
    timing: { batch_wait: 1, tokenize: 1, inference: 1 },
    execution: {},
  }));
  side.complete.push(await time(() => completeJobs(tx, completions)));
  side.cpuTicks += readTicks(pid) - ticksBefore;
}

function newSide(): Side {
  return { insert: [], start: [], complete: [], cpuTicks: 0 };
}

async function time(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** User and system time of a process so far, in hundredths of a second (proc(5), fields 14 and 15 of stat). */
export function readTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

function ratio(a: readonly number[], b: readonly number[]): number {
  return round(median(a) / median(b), 3);
}

function medians({ insert, start, complete }: Side): Record<string, number> {
  return {
    insert: round(median(insert), 2),
    start: round(median(start), 2),
    complete: round(median(complete), 2),
  };
}
