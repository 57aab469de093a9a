// Which of the dispatcher's steps have something to do, in one statement: so an idle system costs a look a few times a
// second, and not a statement for each step.

import { z } from 'zod';
import { batchesToEnd, jobsToCount } from './batch-counting.ts';
import { batchesToSweep } from './batch-control.ts';
import { batchesToRead } from './batch-intake.ts';
import type { Tx } from './client.ts';
import { dueJobs, lateJobs, waitingJobs } from './dispatch.ts';

const dispatcherSteps = ['topUp', 'queueDue', 'expire', 'count', 'sweep', 'readFiles'] as const;
export type DispatcherStep = (typeof dispatcherSteps)[number];

// The limit keeps the order by which each condition is found in its index, whatever the table's statistics say.
const has = (...found: readonly string[]): string =>
  found.map((rows) => `EXISTS (SELECT FROM (SELECT ${rows} LIMIT 1) AS first)`).join(' OR ');

const findDueSql = `SELECT ${has(waitingJobs)} AS "topUp", ${has(dueJobs)} AS "queueDue", ${has(lateJobs)} AS expire,
  ${has(jobsToCount, batchesToEnd)} AS count, ${has(batchesToSweep)} AS sweep, ${has(batchesToRead('$1'))} AS "readFiles"`;

const dueRows = z.tuple([z.record(z.enum(dispatcherSteps), z.boolean())]);

/** @param readerIdleMs how long the reader of a file has said nothing when another takes its place */
export async function findDueSteps(tx: Tx, readerIdleMs: number): Promise<DispatcherStep[]> {
  const { rows } = await tx.query({ name: 'find_due_steps', text: findDueSql, values: [readerIdleMs] });
  const [due] = dueRows.parse(rows);
  return dispatcherSteps.filter((step) => due[step]);
}
