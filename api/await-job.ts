// Recording a job and waiting for its end: what every route that submits or looks does in the same way.

import type { Response } from 'express';
import type { NewJob } from '../db/submissions.ts';
import { isTerminal } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';
import type { Charge } from './admit.ts';
import type { Context } from './context.ts';
import { type JobName, toEntityTag } from './job-name.ts';
import { type JobView, toJobRow, toJobView } from './job-view.ts';
import { expectLong } from './measure-requests.ts';
import type { Watch } from './wait.ts';

/** How long a client waits: not at all if undefined; it may hang up before. */
export interface Patience {
  readonly waitSeconds: number | undefined;
  readonly signal: AbortSignal;
}

/** A job as the client sees it, and the entity tag of what it sees. */
export interface SeenJob {
  readonly view: JobView;
  readonly tag: string;
}

/**
 * Records a job and waits for its end; the charge is given back if nothing new is recorded. Interest is taken before the job exists, so that no change is missed.
 * @returns the job as it is at the end of the wait; `replayed` if its idempotency key had made it before
 * @throws ProblemError as `Intake.submit` does
 */
export async function recordAndWait(
  context: Context,
  job: NewJob,
  { charge, ...patience }: Patience & { readonly charge: Charge },
): Promise<{ view: JobView; replayed: boolean }> {
  const watch = patience.waitSeconds === undefined ? undefined : context.watcher.watch(job.id);
  try {
    const result = await context.intake.submit(job).catch(async (error: unknown) => {
      if (isReused(error)) await charge.giveBack();
      throw error;
    });
    if (result.outcome === 'replayed') {
      await charge.giveBack();
      const seen = await findAndWait(context, { tenantId: job.tenantId, id: result.jobId }, patience);
      if (seen === undefined)
        throw new ProblemError('job_not_found', 'The job of this Idempotency-Key was deleted');
      return { view: seen.view, replayed: true };
    }
    context.forecast.recorded(job);
    // The job is recorded: whatever happens from here on, the client must learn its id.
    const waited =
      watch &&
      (await waitForEnd(context, watch, job, patience).catch((error: unknown) => {
        context.log.warn({ err: error, job: job.id }, 'waiting for a recorded job failed');
        return undefined;
      }));
    return { view: waited?.view ?? toJobView(toJobRow(job), [], context.forecast.place), replayed: false };
  } finally {
    watch?.close();
  }
}

/** Only this error says for certain that nothing was recorded. */
function isReused(error: unknown): boolean {
  return error instanceof ProblemError && error.code === 'idempotency_key_reused';
}

/** The tenant's job as it is once it has ended or the wait is over; undefined if there is none, or the client is gone. */
export async function findAndWait(
  context: Context,
  name: JobName,
  patience: Patience,
): Promise<SeenJob | undefined> {
  const watch = patience.waitSeconds === undefined ? undefined : context.watcher.watch(name.id);
  try {
    const now = await loadJob(context, name);
    if (watch === undefined || now === undefined || isTerminal(now.view.status)) return now;
    return await waitForEnd(context, watch, name, patience);
  } finally {
    watch?.close();
  }
}

/** For a client that waits `waitSeconds`, or does not wait; whether it hangs up matters only while it waits. */
export function patienceOf(response: Response, waitSeconds: number | undefined): Patience {
  return { waitSeconds, signal: waitSeconds === undefined ? nobodyWaits : hangUp(response) };
}

const nobodyWaits = new AbortController().signal;

/** Aborted when the client hangs up. Who asks this keeps the client waiting, so the time counts apart. */
export function hangUp(response: Response): AbortSignal {
  expectLong(response);
  const gone = new AbortController();
  // A response that was sent is closed too, and an abort costs a stack trace.
  response.on('close', () => response.writableEnded || gone.abort('the client hung up'));
  return gone.signal;
}

/** Sleeps until the job changed, looks, and sleeps again: the job as it is at the end; undefined if nobody waits. */
async function waitForEnd(
  context: Context,
  watch: Watch,
  name: JobName,
  { waitSeconds = 0, signal }: Patience,
): Promise<SeenJob | undefined> {
  const deadlineMs = performance.now() + waitSeconds * 1000;
  const either = AbortSignal.any([signal, context.stopping]);
  while (await watch.changed(deadlineMs, either)) {
    const seen = await loadJob(context, name);
    if (seen === undefined || isTerminal(seen.view.status)) return seen;
  }
  return signal.aborted ? undefined : loadJob(context, name);
}

async function loadJob(
  { loader, forecast }: Context,
  { tenantId, id }: JobName,
): Promise<SeenJob | undefined> {
  const found = await loader.load(tenantId, id);
  return found && { view: toJobView(found.job, found.results, forecast.place), tag: toEntityTag(found.job) };
}
