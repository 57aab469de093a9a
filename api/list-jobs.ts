// The list of a tenant's jobs: what a client may ask for, and a page of it.

import type { Request, Response } from 'express';
import { z } from 'zod';
import { asTenant } from '../db/client.ts';
import { listJobPage } from '../db/job-pages.ts';
import { jobIdPattern, jobStatuses, limits, parseJobId } from '../shared/job.ts';
import { tenantOf } from './authenticate.ts';
import type { Context } from './context.ts';
import { boundedText, userId } from '../shared/text-schema.ts';
import { jobViewSchema, toJobView } from './job-view.ts';
import { toListPage } from './list-page.ts';
import { validate } from './validate.ts';
import { queryInteger } from './query-number.ts';

const jobId = z
  .string()
  .refine((id) => parseJobId(id) !== undefined, { error: 'Is no job id', params: { code: 'job_id' } })
  .meta({ pattern: jobIdPattern.source });

const moment = z.iso
  .datetime({ offset: true })
  .refine((value) => Date.parse(value) >= 0, { error: 'Is before the year 1970' });

export const listQuerySchema = z
  .strictObject({
    limit: queryInteger(1, limits.pageJobsMax).default(limits.pageJobsDefault),
    after: jobId.optional().describe('Jobs older than this one: the `last_id` of the page before'),
    before: jobId
      .optional()
      .describe('Jobs newer than this one, next to it: the `first_id` of the page behind'),
    status: z.enum(jobStatuses).optional(),
    kind: boundedText(1, 64).optional(),
    user_id: userId.optional(),
    tag: boundedText(1, limits.tagCharactersMax).optional(),
    custom_id: boundedText(1, limits.customIdCharactersMax).optional(),
    created_after: moment.optional().describe('Submitted then or later'),
    created_before: moment.optional().describe('Submitted before then'),
  })
  .refine((query) => query.after === undefined || query.before === undefined, {
    error: 'Needs either after or before, not both',
    params: { code: 'one_of' },
  });

export const jobPageSchema = z.object({
  object: z.literal('list'),
  data: z.array(jobViewSchema.omit({ result: true })).describe('Newest first; results are at `links.result`'),
  has_more: z.boolean().describe('Whether there are more in the direction that was asked for'),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
});

/** Answers with a page of jobs. @throws ProblemError `invalid_request` */
export async function showJobs(
  { readers, forecast }: Context,
  request: Request,
  response: Response,
): Promise<void> {
  const query = validate(listQuerySchema, request.query, '?');
  const toDate = (value: string | undefined) => (value === undefined ? undefined : new Date(value));
  const filter = {
    status: query.status,
    kind: query.kind,
    userId: query.user_id,
    tag: query.tag,
    customId: query.custom_id,
    createdAfter: toDate(query.created_after),
    createdBefore: toDate(query.created_before),
  };
  const place = {
    limit: query.limit,
    after: query.after && parseJobId(query.after),
    before: query.before && parseJobId(query.before),
  };
  const { jobs, hasMore } = await asTenant(readers, tenantOf(request), (reader) =>
    listJobPage(reader, tenantOf(request), filter, place),
  );
  const page: z.input<typeof jobPageSchema> = toListPage(
    jobs.map((job) => {
      const { result: _, ...view } = toJobView(job, [], forecast.place);
      return view;
    }),
    hasMore,
  );
  response.json(page);
}
