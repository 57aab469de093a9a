// The job that repeats another: the same texts and wishes, a new id, now.

import { createHash } from 'node:crypto';
import { v7 } from 'uuid';
import { z } from 'zod';
import type { JobRow } from '../db/jobs.ts';
import type { NewJob } from '../db/submissions.ts';
import type { Registry } from '../models/registry.ts';
import { isTerminal, jobStatuses, uuidTime } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';

/**
 * The model is the one that the job had, or the kind's stable one if that is no longer there. Times that the job was
 * bound to are over; how long it is kept counts from now.
 * @throws ProblemError `job_not_finished`, `input_not_stored` (409)
 */
export function toRetry(
  {
    job,
    texts,
    webhook,
  }: {
    readonly job: JobRow;
    readonly texts: readonly (string | null)[];
    readonly webhook: NewJob['webhook'];
  },
  registry: Registry,
  idempotencyKey: string | undefined,
): NewJob {
  const status = z.enum(jobStatuses).parse(job.status);
  if (!isTerminal(status)) {
    const headers = { 'Retry-After': '1' };
    throw new ProblemError('job_not_finished', `The job is ${status}`, { headers });
  }
  const kept = texts.filter((text) => text !== null);
  if (!job.storeInput || kept.length < texts.length)
    throw new ProblemError('input_not_stored', 'The job was submitted with store_input: false');
  const model = registry.resolve(job.kind, `${job.kind}@${job.modelVersion}`) ?? registry.resolve(job.kind);
  const id = v7();
  const createdAt = uuidTime(id);
  return {
    tenantId: job.tenantId,
    id,
    retryOf: job.id,
    webhook,
    kind: job.kind,
    modelVersion: model?.version ?? job.modelVersion,
    modelDigest: model?.digest ?? job.modelDigest,
    class: job.class,
    status: 'queued',
    userId: job.userId,
    customId: job.customId,
    metadata: z.record(z.string(), z.string()).parse(job.metadata),
    tags: job.tags,
    options: z.record(z.string(), z.unknown()).parse(job.options),
    storeInput: true,
    texts: kept,
    characterCount: job.characterCount,
    dispatchId: null,
    notBefore: null,
    deadlineAt: null,
    createdAt: createdAt.toISOString(),
    expiresAt: new Date(
      createdAt.getTime() + job.expiresAt.getTime() - job.createdAt.getTime(),
    ).toISOString(),
    idempotency:
      idempotencyKey === undefined
        ? null
        : {
            route: 'POST /v1/jobs/{id}/retry',
            key: idempotencyKey,
            fingerprint: createHash('sha256').update(job.id).digest('hex'),
          },
  };
}
