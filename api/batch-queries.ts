// The queries of the routes under /v1/batches and /v1/files, as they are checked and documented.

import { z } from 'zod';
import { batchIdPattern, batchLimits, batchStatuses, fileIdPattern } from '../shared/batch.ts';
import { limits } from '../shared/job.ts';
import { boundedText } from '../shared/text-schema.ts';
import { queryInteger } from './query-number.ts';

/** An id of a batch or a file; `code` says in an error which. */
const idOf = (pattern: RegExp, code: string) =>
  z
    .string()
    .refine((id) => pattern.test(id), { error: `Is no ${code.replace('_', ' ')}`, params: { code } })
    .meta({ pattern: pattern.source });

export const batchId = idOf(batchIdPattern, 'batch_id');
export const fileId = idOf(fileIdPattern, 'file_id');

const pageOf = (id: z.ZodString) => ({
  limit: queryInteger(1, limits.pageJobsMax).default(limits.pageJobsDefault),
  after: id.optional().describe('Older than this one: the `last_id` of the page before'),
  before: id.optional().describe('Newer than this one, next to it: the `first_id` of the page behind'),
});

const oneDirection = (query: { after?: string | undefined; before?: string | undefined }): boolean =>
  query.after === undefined || query.before === undefined;
const oneDirectionRule = { error: 'Needs either after or before, not both', params: { code: 'one_of' } };

export const batchListQuerySchema = z
  .strictObject({
    ...pageOf(batchId),
    status: z.enum(batchStatuses).optional(),
    kind: boundedText(1, 64).optional(),
  })
  .refine(oneDirection, oneDirectionRule);

export const fileListQuerySchema = z.strictObject(pageOf(fileId)).refine(oneDirection, oneDirectionRule);

export const batchLookQuerySchema = z.strictObject({
  wait: queryInteger(0, limits.waitSecondsMax)
    .optional()
    .describe('Seconds to wait for the batch to end; an event wakes the answer'),
});

export const resultsQuerySchema = z.strictObject({
  after: queryInteger(0, batchLimits.linesMax)
    .optional()
    .describe('Go on behind this result: the `index` of the last line that you have, in the same order'),
  order: z
    .enum(['completion', 'input'])
    .default('completion')
    .describe('`completion` gives each result as it is ready; `input` waits for the next line of the batch'),
});

export const fileUploadQuerySchema = z.strictObject({
  filename: boundedText(1, batchLimits.filenameCharactersMax).default('batch.jsonl'),
  retention_seconds: queryInteger(60, limits.retentionSecondsMax).default(limits.retentionSecondsDefault),
});
