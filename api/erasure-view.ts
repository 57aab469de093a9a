// The receipt of an erasure, as a client sees it when it asks for one and whenever it looks later.

import type { Response } from 'express';
import { z } from 'zod';
import { asTenant } from '../db/client.ts';
import { type ErasureName, type ErasureRow, getErasure, receiptDaysMax } from '../db/erasures.ts';
import { formatJobId } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';
import type { Context } from './context.ts';

export const erasureSchema = z.object({
  id: z.string().describe('era_ and a UUIDv7'),
  object: z.literal('erasure'),
  job_id: z.string().nullable().describe('The job that was erased; null if it was a person'),
  user_id: z
    .string()
    .nullable()
    .describe(
      'The person, while the erasure is pending; null from then on, when nothing says whom it was about',
    ),
  status: z.enum(['pending', 'completed']),
  requested_at: z.iso.datetime(),
  completed_at: z.iso.datetime().nullable(),
  counts: z.object({ jobs: z.int(), texts: z.int() }).describe('What is erased so far'),
  links: z.object({
    self: z.string().describe(`Readable for ${receiptDaysMax} days after it was completed`),
  }),
});

/** A receipt for the documentation. */
export const erasureExample: z.output<typeof erasureSchema> = {
  id: 'era_01990a6e-7c00-7000-8000-000000000002',
  object: 'erasure',
  job_id: null,
  user_id: null,
  status: 'completed',
  requested_at: '2026-11-24T18:00:00.000Z',
  completed_at: '2026-11-24T18:00:00.120Z',
  counts: { jobs: 1, texts: 1 },
  links: { self: '/v1/erasures/era_01990a6e-7c00-7000-8000-000000000002' },
};

const idPattern = /^era_([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})$/;

/** The UUID inside a receipt's id, or undefined if `id` is none. */
export function parseErasureId(id: string): string | undefined {
  return idPattern.exec(id)?.[1];
}

/** @throws ProblemError `erasure_not_found` */
export async function findErasure({ readers }: Context, name: ErasureName): Promise<ErasureRow> {
  const found = await asTenant(readers, name.tenantId, (reader) => getErasure(reader, name));
  if (found === undefined) throw erasureNotFound();
  return found;
}

export function erasureNotFound(): ProblemError {
  return new ProblemError('erasure_not_found', 'There is no such receipt, or it is too old');
}

export function sendErasure(response: Response, row: ErasureRow, status: 200 | 202): void {
  const view: z.output<typeof erasureSchema> = {
    id: `era_${row.id}`,
    object: 'erasure',
    job_id: row.jobId === null ? null : formatJobId(row.jobId),
    user_id: row.userId,
    status: row.completedAt === null ? 'pending' : 'completed',
    requested_at: row.requestedAt.toISOString(),
    completed_at: row.completedAt?.toISOString() ?? null,
    counts: { jobs: row.jobsErased, texts: row.textsErased },
    links: { self: `/v1/erasures/era_${row.id}` },
  };
  if (row.completedAt === null) response.setHeader('Retry-After', '1');
  response.status(status).json(view);
}
