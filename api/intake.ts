// Group commit: the submits of a few milliseconds are recorded by one statement and share one fsync. Measured
// against one statement and one queue call per request, that is several times the requests for the same CPU.

import { isUnavailable, type Pool } from '../db/client.ts';
import { insertJobs, listIdempotencyKeys, type NewJob } from '../db/submissions.ts';
import type { Config } from '../shared/config.ts';
import { priorities } from '../shared/job.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { ProblemError } from '../shared/problem.ts';
import type { PlannedDispatch } from '../shared/queues.ts';
import type { Enqueuer } from './enqueue.ts';

/** What became of a submit: recorded under its own id, or the same as one before with the same key. */
export type SubmitResult =
  | { readonly outcome: 'recorded' }
  | { readonly outcome: 'replayed'; readonly jobId: string };

export interface Intake {
  /**
   * Resolves once the job's row is committed.
   * @throws ProblemError `overloaded` or `ledger_unavailable` (503), `idempotency_key_reused` (422)
   */
  readonly submit: (job: NewJob) => Promise<SubmitResult>;
  /** Whether the job is the repeat of one that was recorded under its idempotency key; false if nobody can say. */
  readonly knows: (job: NewJob) => Promise<boolean>;
  /** Resolves when nothing is pending. */
  readonly drain: () => Promise<void>;
}

interface Pending {
  readonly job: NewJob;
  readonly resolve: (result: SubmitResult) => void;
  readonly reject: (error: unknown) => void;
}

export function createIntake(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly pool: Pool;
  readonly enqueuer: Pick<Enqueuer, 'plan' | 'send'>;
}): Intake {
  const { config, log, pool, enqueuer } = options;
  let pending: Pending[] = [];
  let inFlight = 0;
  let timer: NodeJS.Timeout | undefined;

  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    while (inFlight < config.INTAKE_GROUPS_IN_FLIGHT_MAX && pending.length >= groupJobsMin(inFlight)) {
      const { group, rest } = takeGroup(pending, config.INTAKE_GROUP_JOBS_MAX);
      pending = rest;
      inFlight += 1;
      void recordGroup(group).finally(() => {
        inFlight -= 1;
        metrics.intakePending.set(pending.length);
        flush();
      });
    }
  };

  /** Beside a group that is being committed only a large one sets off: what waits for it shares the next commit. */
  const groupJobsMin = (others: number): number => (others === 0 ? 1 : config.INTAKE_GROUP_JOBS_MAX / 2);

  const recordGroup = async (group: readonly Pending[]): Promise<void> => {
    try {
      await record(group);
    } catch (error) {
      if (group.length === 1 || (isUnavailable(error) && !isLockTimeout(error)))
        return rejectAll(group, error);
      log.warn({ err: error, jobs: group.length }, 'a group failed and is recorded row by row');
      for (const one of group) await record([one]).catch((cause: unknown) => rejectAll([one], cause));
    }
  };

  const record = async (group: readonly Pending[]): Promise<void> => {
    const started = performance.now();
    const planned = enqueuer.plan(group.map(({ job }) => job));
    const dispatchIds = new Map(
      planned.flatMap(({ id, dispatch }) => dispatch.jobIds.map((jobId) => [jobId, id])),
    );
    const jobs = group.map(({ job }) => ({ ...job, dispatchId: dispatchIds.get(job.id) ?? null }));
    const recorded = await insertJobs(pool, jobs);
    metrics.intakeCommitSeconds.observe((performance.now() - started) / 1000);
    metrics.intakeGroupJobs.observe(group.length);
    void enqueuer.send(planned.flatMap((dispatch) => keepRecorded(dispatch, recorded)));
    const others = group.filter(({ job }) => !recorded.has(job.id));
    for (const { job, resolve } of group) {
      if (!recorded.has(job.id)) continue;
      metrics.jobsSubmitted.inc({ kind: job.kind, class: priorities[job.class] ?? '' });
      resolve({ outcome: 'recorded' });
    }
    if (others.length > 0) await replay(others);
  };

  /** Submits whose key already belongs to a job: the same body gets that job, another body is refused. */
  const replay = async (group: readonly Pending[]): Promise<void> => {
    const keys = group.flatMap(({ job }) =>
      job.idempotency === null ? [] : [{ tenantId: job.tenantId, ...job.idempotency }],
    );
    const known = new Map(
      (await listIdempotencyKeys(pool, keys)).map((row) => [`${row.tenantId} ${row.route} ${row.key}`, row]),
    );
    for (const { job, resolve, reject } of group) {
      const row = known.get(`${job.tenantId} ${job.idempotency?.route} ${job.idempotency?.key}`);
      if (row === undefined) reject(unavailable('The key was being released'));
      else if (isSame(row.fingerprint, job.idempotency?.fingerprint))
        resolve({ outcome: 'replayed', jobId: row.jobId });
      else
        reject(
          new ProblemError('idempotency_key_reused', 'This Idempotency-Key came with another body before'),
        );
    }
  };

  return {
    knows: async ({ tenantId, idempotency }) => {
      if (idempotency === null) return false;
      const found = await listIdempotencyKeys(pool, [{ tenantId, ...idempotency }]).catch(() => []);
      return found.some((row) => isSame(row.fingerprint, idempotency.fingerprint));
    },
    submit: (job) => {
      if (pending.length >= config.INTAKE_PENDING_JOBS_MAX) {
        return Promise.reject(
          new ProblemError('overloaded', 'Too many submits wait to be recorded', {
            headers: { 'Retry-After': '1' },
          }),
        );
      }
      return new Promise<SubmitResult>((resolve, reject) => {
        const late = setTimeout(() => {
          pending = pending.filter((entry) => entry !== own);
          reject(unavailable('The ledger did not answer in time'));
        }, config.INTAKE_TIMEOUT_MS + 300);
        const settled =
          <T>(settle: (value: T) => void) =>
          (value: T): void => {
            clearTimeout(late);
            settle(value);
          };
        const own = { job, resolve: settled(resolve), reject: settled(reject) };
        pending.push(own);
        metrics.intakePending.set(pending.length);
        if (pending.length >= config.INTAKE_GROUP_JOBS_MAX) flush();
        else timer ??= setTimeout(flush, config.INTAKE_WINDOW_MS);
      });
    },
    drain: async () => {
      while (pending.length > 0 || inFlight > 0) {
        flush();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}

/** Of an erased job the fingerprint is erased too. */
function isSame(stored: string, given: string | undefined): boolean {
  return stored === '' || stored === given;
}

/** Up to `max` submits in order; an idempotency key stands in a group once, its repeats go with the next. */
function takeGroup(pending: readonly Pending[], max: number): { group: Pending[]; rest: Pending[] } {
  const keys = new Set<string>();
  const group: Pending[] = [];
  const rest: Pending[] = [];
  for (const entry of pending) {
    const { idempotency, tenantId } = entry.job;
    const key = idempotency === null ? undefined : `${tenantId} ${idempotency.route} ${idempotency.key}`;
    if (group.length >= max || (key !== undefined && keys.has(key))) rest.push(entry);
    else group.push(entry);
    if (key !== undefined) keys.add(key);
  }
  return { group, rest };
}

/** A dispatch without the jobs that were not recorded. */
function keepRecorded({ id, dispatch }: PlannedDispatch, recorded: ReadonlySet<string>): PlannedDispatch[] {
  const kept = dispatch.jobIds.flatMap((jobId, index) => (recorded.has(jobId) ? [index] : []));
  if (kept.length === 0) return [];
  const pick = <T>(values: readonly T[]): T[] => kept.flatMap((index) => values[index] ?? []);
  const { jobIds, items, characters } = dispatch;
  return [
    { id, dispatch: { ...dispatch, jobIds: pick(jobIds), items: pick(items), characters: pick(characters) } },
  ];
}

function rejectAll(group: readonly Pending[], error: unknown): void {
  const problem = isUnavailable(error) ? unavailable('The ledger is away', error) : error;
  for (const { reject } of group) reject(problem);
}

function unavailable(detail: string, cause?: unknown): ProblemError {
  return new ProblemError(
    'ledger_unavailable',
    `${detail}; send the request again, with an Idempotency-Key to be safe`,
    {
      headers: { 'Retry-After': '2' },
      cause,
    },
  );
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03';
}
