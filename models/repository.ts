// The weights on disk: which versions of a kind there are, what each manifest says, and whether the file is the
// one that the manifest means.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const calibrationSchema = z.object({
  method: z.literal('isotonic'),
  x: z.array(z.number()).min(1),
  y: z.array(z.number()).min(1),
});

const weightsSchema = z.looseObject({
  file: z.string(),
  sha256: z.string(),
  bytes: z.number(),
  precision: z.string(),
});

/** What every manifest says; kinds read further fields with a schema of their own. */
const manifestSchema = z.looseObject({
  format: z.literal(1),
  kind: z.string(),
  version: z.string(),
  model: weightsSchema,
  /** The same model as a GPU wants it: FP16 or FP32, since INT8 saves nothing there. */
  gpu_model: weightsSchema.optional(),
  tokenizer: z.object({ version: z.string(), max_tokens: z.number().int(), normalization: z.string() }),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type Calibration = z.infer<typeof calibrationSchema>;
export { calibrationSchema };

/** A version of a kind on disk. */
export interface Artifact {
  readonly manifest: Manifest;
  /** The weights for the device that was asked for, and their digest. */
  readonly modelPath: string;
  readonly sha256: string;
  readonly tokenizerFolder: string;
}

/** The versions of a kind in `modelsDir`, newest last. A version is compared number by number. */
export function listVersions(modelsDir: string, kind: string): string[] {
  const folder = join(modelsDir, kind);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((version) => existsSync(join(folder, version, 'manifest.json')))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
}

/**
 * Reads a version's manifest. A device other than `cpu` gets the manifest's `gpu_model`, if it names one.
 * @throws Error if it is missing or malformed, naming the file.
 */
export function openArtifact(modelsDir: string, kind: string, version: string, device = 'cpu'): Artifact {
  const folder = join(modelsDir, kind, version);
  const path = join(folder, 'manifest.json');
  const parsed = manifestSchema.safeParse(JSON.parse(readFileSync(path, 'utf8')));
  if (!parsed.success) throw new Error(`${path}: ${z.prettifyError(parsed.error)}`);
  const manifest = parsed.data;
  const weights = device === 'cpu' ? manifest.model : (manifest.gpu_model ?? manifest.model);
  return {
    manifest,
    modelPath: join(folder, weights.file),
    sha256: weights.sha256,
    tokenizerFolder: join(modelsDir, 'tokenizer', manifest.tokenizer.version),
  };
}

/** @throws Error if the weights are not those that the manifest was measured with. */
export function verifyArtifact(artifact: Artifact): void {
  const actual = createHash('sha256').update(readFileSync(artifact.modelPath)).digest('hex');
  if (actual !== artifact.sha256) {
    throw new Error(`${artifact.modelPath}: sha256 is ${actual}, the manifest says ${artifact.sha256}`);
  }
}
