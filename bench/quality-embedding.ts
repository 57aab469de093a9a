// Kind embedding: how near the served vectors are to FP32. The manifest measured 1,000 texts; here the texts of the
// golden file, whose FP32 vectors are stored, go through the inference process again.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { openStable, serve } from './quality-served.ts';
import type { QualityPart } from './quality-table.ts';

const cosineMin = 0.99;

const manifestSchema = z.looseObject({
  measured: z.looseObject({
    dev: z.object({
      n: z.number(),
      cosine_mean: z.number(),
      cosine_min: z.number(),
      same_nearest_text: z.number(),
    }),
  }),
});
const goldenSchema = z.array(z.looseObject({ text: z.string(), embedding_fp32: z.array(z.number()) }));
const outputSchema = z.looseObject({ embedding: z.array(z.number()) });

export async function measureEmbedding(): Promise<QualityPart> {
  const { manifest, modelPath } = openStable('embedding');
  const { dev } = manifestSchema.parse(manifest).measured;
  const path = join(dirname(modelPath), 'golden.json');
  const golden = goldenSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  const served = await serve(
    'embedding',
    golden.map(({ text }) => text),
  );
  const cosines = served.map((output, index) =>
    cosine(outputSchema.parse(output).embedding, golden[index]?.embedding_fp32 ?? []),
  );
  const mean = cosines.reduce((sum, value) => sum + value, 0) / cosines.length;
  const bound = { value: cosineMin, holds: 'at least' } as const;
  const row = { head: 'embedding', fp32: 1, former: 'not offered', bound } as const;
  return {
    rows: [
      {
        ...row,
        data: 'GoEmotions dev (manifest)',
        n: dev.n,
        metric: 'mean cosine with FP32',
        served: { value: dev.cosine_mean },
      },
      {
        ...row,
        data: 'golden texts (this run)',
        n: golden.length,
        metric: 'mean cosine with stored FP32',
        served: { value: mean },
      },
    ],
    details: { manifest: dev, goldenCosineMin: Math.min(...cosines) },
  };
}

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, index) => sum + value * (y[index] ?? Number.NaN), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
