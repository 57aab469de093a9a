// The lines of OpenAI's batch files, and which of our kinds each of its endpoints stands for: those whose request is one
// `input` and whose answer is about it.

import { z } from 'zod';
import { type BatchLine, batchLineSchema } from './batch.ts';

/** Where a kind is at home in that dialect. */
export const openaiEndpoints = {
  embedding: '/v1/embeddings',
  emotion: '/v1/moderations',
  reasoning: '/v1/responses',
} as const;
export type OpenaiKind = keyof typeof openaiEndpoints;

/** The kind of an endpoint; undefined if we have none. */
export function kindOfEndpoint(endpoint: string): OpenaiKind | undefined {
  return openaiKinds.find((kind) => openaiEndpoints[kind] === endpoint);
}

const openaiKinds = ['embedding', 'emotion', 'reasoning'] as const;

const { custom_id: customId, text, user_id: user, metadata } = batchLineSchema.shape;

/** Reads a line of a batch of `kind` as one of ours. Its model must be ours, and its endpoint that of the batch. */
export function openaiLineSchema(kind: string): z.ZodType<BatchLine> {
  const known = openaiKinds.find((one) => one === kind) ?? 'embedding';
  return z
    .strictObject({
      custom_id: customId,
      method: z.literal('POST'),
      url: z.literal(openaiEndpoints[known]),
      body: z.strictObject({
        model: z.enum([known, `${known}@stable`]),
        input: text,
        encoding_format: z.literal('float').optional(),
        user,
        metadata,
      }),
    })
    .transform(
      ({ custom_id, body }): BatchLine => ({
        custom_id,
        text: body.input,
        ...(body.user === undefined ? {} : { user_id: body.user }),
        ...(body.metadata === undefined ? {} : { metadata: body.metadata }),
      }),
    );
}
