// What a batch is to every process: its states, its bounds, its ids, and the shape of its lines.

import { z } from 'zod';
import { limits } from './job.ts';
import { boundedText, itemText, metadata } from './text-schema.ts';

/** States of a batch; the last is terminal, and `batchEndReasons` says why. */
export const batchStatuses = ['validating', 'in_progress', 'canceling', 'ended'] as const;
export type BatchStatus = (typeof batchStatuses)[number];

export const batchEndReasons = ['completed', 'canceled', 'expired', 'invalid', 'error'] as const;

/** What a line that cannot run does to the others: nothing runs, or they run without it. */
export const invalidLinePolicies = ['reject', 'skip'] as const;
export type InvalidLinePolicy = (typeof invalidLinePolicies)[number];

/** How lines are written: in our own form or in OpenAI's (openai-lines.ts). */
export const dialects = ['soma', 'openai'] as const;
export type Dialect = (typeof dialects)[number];

export const batchLimits = {
  linesMax: 100_000,
  /** Items of a batch that comes as one JSON body; the body's own limit is usually met first. */
  inlineItemsMax: 10_000,
  /** A text of 10,000 characters, each escaped as a surrogate pair, has 120,000 bytes; the labels take the rest. */
  lineBytesMax: 262_144,
  /** Bad lines that are told one by one. */
  badLinesToldMax: 1000,
  filenameCharactersMax: 255,
  /** A quarter of a pool and half a dispatch: jobs of this size fill both, and keep a shared pool within its bound. */
  itemsPerJobMax: 64,
} as const;

/** One line: a text under a label that no other line of the batch has. */
export const batchLineSchema = z.strictObject({
  custom_id: boundedText(1, limits.customIdCharactersMax).describe('Yours; once in a batch'),
  text: itemText,
  user_id: boundedText(1, limits.userIdCharactersMax)
    .optional()
    .describe('Whose text this is; else the `user_id` of the batch'),
  metadata: metadata.optional().describe('Comes back with the result'),
});
export type BatchLine = z.output<typeof batchLineSchema>;

/** What is wrong with a line. Lines are counted from 1, as editors count them. Never the input itself. */
export interface LineFault {
  readonly line: number;
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

export function formatBatchId(uuid: string): string {
  return `batch_${uuid}`;
}

export function formatFileId(uuid: string): string {
  return `file_${uuid}`;
}

const uuidV7 = '([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})';
export const batchIdPattern = new RegExp(`^batch_${uuidV7}$`);
export const fileIdPattern = new RegExp(`^file_${uuidV7}$`);

/** The UUID inside a batch id, or undefined if `id` is none. */
export function parseBatchId(id: string): string | undefined {
  return batchIdPattern.exec(id)?.[1];
}

/** The UUID inside a file id, or undefined if `id` is none. */
export function parseFileId(id: string): string | undefined {
  return fileIdPattern.exec(id)?.[1];
}
