// The part of the OpenAPI document that is about a person's rights: the export, the erasure and its receipt.

import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { receiptDaysMax } from '../db/erasures.ts';
import type { ProblemCode } from '../shared/problem.ts';
import { erasureExample, erasureSchema } from './erasure-view.ts';
import { exportLineSchema } from './export-view.ts';
import type { Paths } from './openapi-security.ts';
import { personParams } from './openapi-users.ts';

const problems: readonly ProblemCode[] = ['invalid_request', 'internal_error', 'ledger_unavailable'];
const params = personParams;

/** @param answers the problem answers of an operation, by their codes */
export function registerPerson(
  paths: Paths,
  answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'],
): void {
  registerExport(paths, answers);
  const receipt = (description: string, example: object) => ({
    description,
    content: { 'application/json': { schema: erasureSchema, example } },
  });
  paths.registerPath({
    method: 'delete',
    path: '/v1/users/{user_id}',
    operationId: 'erasePerson',
    tags: ['Users'],
    summary: 'Erase a person',
    description:
      "Erases everything that is stored about the person: jobs in any state with their texts, results, events and labels, history, facts, graph (in Neo4j too), profiles, and the person. A worker that has one of the jobs can store nothing of it. What is submitted after this call stays. Little is erased at once (200); much in steps (202), which go on whatever crashes; look at the receipt. While it is pending, asking again gives the same receipt and reaches up to that moment. A person of whom nothing is stored gets a receipt as well. The receipt's `user_id` is null once it is completed.",
    request: { params },
    responses: {
      200: receipt('Nothing is left', erasureExample),
      202: receipt('It is being erased; `Location` is the receipt', {
        ...erasureExample,
        user_id: 'ada',
        status: 'pending',
        completed_at: null,
      }),
      ...answers(problems),
    },
  });
  paths.registerPath({
    method: 'get',
    path: '/v1/erasures/{id}',
    operationId: 'getErasure',
    tags: ['Users'],
    summary: 'The receipt of an erasure, of a job or of a person',
    description: `Kept for ${receiptDaysMax} days after the erasure was completed.`,
    request: { params: z.object({ id: z.string().meta({ example: erasureExample.id }) }) },
    responses: {
      200: receipt('The receipt', erasureExample),
      ...answers([...problems, 'erasure_not_found']),
    },
  });
}

const line = exportLineSchema.meta({ id: 'ExportLine' });
const exportExample = `{"type":"person","user_id":"ada","first_seen_at":null,"exported_at":"2026-11-24T18:00:00.000Z"}
{"type":"end","counts":{"jobs":0,"texts":0,"profiles":0,"nodes":0,"edges":0}}
`;

function registerExport(
  paths: Paths,
  answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'],
): void {
  paths.registerPath({
    method: 'get',
    path: '/v1/users/{user_id}/export',
    operationId: 'exportPerson',
    tags: ['Users'],
    summary: 'Everything that is stored about a person',
    description:
      'A stream of lines, each a JSON object with a `type`: one `person`; each `job` with its texts, results, events and facts, those of batches with their lines, oldest first; each `profile`; each `node` and `edge` of the graph; one `end` with the counts. An answer without the `end` was cut off: ask again. Each group of lines is as it was when it was sent. A job of a batch belongs to the `user_id` of its lines. Batches and files themselves, keys, quotas and receipts belong to the tenant and are not in it; an erasure takes the lines of the person out of files all the same.',
    request: { params },
    responses: {
      200: {
        description: 'The export; the schema is that of each line',
        content: { 'application/x-ndjson': { schema: line, example: exportExample } },
      },
      ...answers(problems),
    },
  });
}
