// Which job a request is about, and which version of it the client has: what every route under a job's path reads.

import type { Request } from 'express';
import { z } from 'zod';
import type { JobVersion } from '../db/jobs.ts';
import { parseJobId } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';
import { tenantOf } from './authenticate.ts';

export interface JobName {
  readonly tenantId: string;
  readonly id: string;
}

/** @throws ProblemError `job_not_found` if the path has no job id */
export function readJobName(request: Request): JobName {
  const id = parseJobId(z.string().parse(request.params['id']));
  if (id === undefined) throw new ProblemError('job_not_found', 'A job id is job_ and a UUIDv7');
  return { tenantId: tenantOf(request), id };
}

export function jobNotFound(): ProblemError {
  return new ProblemError('job_not_found', 'There is no such job, or it was deleted');
}

/** The entity tag of a job's view (RFC 9110, section 8.8.3): it changes whenever the job does. */
export function toEntityTag({ status, eventSequence }: JobVersion): string {
  return `"${status}-${eventSequence}"`;
}

/** True if `If-None-Match` names the tag; comparison is weak, as RFC 9110 section 13.1.2 wants it. */
export function hasEntityTag(request: Request, tag: string): boolean {
  const given = (request.get('If-None-Match') ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
  return given.includes(tag) || given.includes('*');
}
