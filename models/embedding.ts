// Kind `embedding`: a vector in which texts of like meaning are near (all-MiniLM-L6-v2, mean-pooled, normalised).

import { z } from 'zod';
import type { Analyzer } from './analyzer.ts';
import { straightenQuotes } from './normalize.ts';
import { loadTokenizer } from './tokenizer.ts';

const dimensions = 384;

const outputSchema = z.object({
  embedding: z
    .array(z.number())
    .length(dimensions)
    .describe('Length 1, so that the dot product is the cosine'),
  tokens: z.int().describe('Tokens that the model read'),
  truncated: z.boolean().describe('True if the text is longer than the model reads'),
});

export const embedding: Analyzer = {
  kind: 'embedding',
  input: 'texts',
  summary: 'A sentence vector of 384 numbers and length 1.',
  optionsSchema: z.strictObject({}),
  outputSchema,
  load: ({ manifest, tokenizerFolder }) => {
    const tokenizer = loadTokenizer(tokenizerFolder);
    return {
      outputs: ['embedding'],
      prepare: (text) => {
        const { ids, truncated } = tokenizer.encode(straightenQuotes(text), manifest.tokenizer.max_tokens);
        return {
          sequences: [ids],
          finish: ([row]) => ({ embedding: toVector(row?.['embedding']), tokens: ids.length, truncated }),
        };
      },
    };
  },
};

/** Six digits: the INT8 model differs from FP32 in the third. */
function toVector(values: Float32Array | undefined): number[] {
  if (values?.length !== dimensions || values.some(Number.isNaN)) throw new Error('the model gave no vector');
  return Array.from(values, (value) => Math.round(value * 1e6) / 1e6);
}
