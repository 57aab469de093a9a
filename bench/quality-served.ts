// Texts through a fresh inference process, exactly as a worker runs it; and a copy of the models in which the
// reasoning heads answer for every sentence, so that spans and scores can be measured apart from the thresholds.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startInference } from '../models/inference.ts';
import { createRegistry } from '../models/registry.ts';
import { type Artifact, openArtifact } from '../models/repository.ts';
import { readConfig } from '../shared/config.ts';

/** The artifact that a job of this kind gets when it asks for none. */
export function openStable(kind: string): Artifact {
  const { MODELS_DIR } = readConfig();
  const version = createRegistry(MODELS_DIR).resolve(kind)?.version ?? '';
  return openArtifact(MODELS_DIR, kind, version);
}

/**
 * One output per text, in order.
 * @throws Error if the process had to be replaced or an item failed.
 */
export async function serve(
  kind: string,
  texts: readonly string[],
  options: { readonly modelsDir?: string; readonly microBatchItems?: number } = {},
): Promise<readonly unknown[]> {
  const config = readConfig();
  const { version } = openStable(kind).manifest;
  const inference = await startInference({
    modelsDir: options.modelsDir ?? config.MODELS_DIR,
    models: [{ kind, version }],
    threads: 1,
    device: 'cpu',
    deviceFallback: 'none',
    faultInjection: false,
    microBatchItemsMax: options.microBatchItems ?? config.MICRO_BATCH_ITEMS_MAX,
    timeoutMs: config.INFERENCE_TIMEOUT_MS,
    onRestart: (reason) => {
      throw new Error(`the inference process had to be replaced: ${reason}`);
    },
  });
  const outputs: unknown[] = [];
  for (let start = 0; start < texts.length; start += config.POOL_ITEMS_MAX) {
    const items = texts.slice(start, start + config.POOL_ITEMS_MAX).map((text) => ({ text, options: {} }));
    await inference.predict({
      kind,
      version,
      items,
      onResults: (results) => {
        for (const { index, output, error } of results) {
          if (error !== undefined) throw new Error(`${kind}: ${error.code}: ${error.detail}`);
          outputs[start + index] = JSON.parse(output);
        }
      },
    });
  }
  await inference.close();
  return outputs;
}

/** Like `serve` for kind reasoning, but with both sentence thresholds at 0: same weights, same decoding. */
export async function serveEverySentence(texts: readonly string[]): Promise<readonly unknown[]> {
  const { MODELS_DIR } = readConfig();
  const { manifest, modelPath } = openStable('reasoning');
  const modelsDir = mkdtempSync(join(tmpdir(), 'soma-quality-'));
  try {
    for (const name of readdirSync(MODELS_DIR)) {
      if (name !== 'reasoning') symlinkSync(join(MODELS_DIR, name), join(modelsDir, name));
    }
    const folder = join(modelsDir, 'reasoning', manifest.version);
    mkdirSync(folder, { recursive: true });
    symlinkSync(modelPath, join(folder, manifest.model.file));
    const opened = { ...manifest, thresholds: { causal: 0, counterfactual: 0 } };
    writeFileSync(join(folder, 'manifest.json'), JSON.stringify(opened));
    return await serve('reasoning', texts, { modelsDir });
  } finally {
    rmSync(modelsDir, { recursive: true });
  }
}
