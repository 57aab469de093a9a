// A worker runs its models where it was told to, or says what is missing; what it runs on is what it reports.
// With a GPU and its libraries the same answers come from there; without, that test says that it was skipped.

import { existsSync } from 'node:fs';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { readConfig } from '../shared/config.ts';
import { type Inference, startInference } from './inference.ts';
import { createRegistry } from './registry.ts';

const modelsDir = readConfig().MODELS_DIR;
const model = createRegistry(modelsDir).resolve('emotion');
if (model === undefined) throw new Error('no emotion model');
const { kind, version } = model;

function start(device: string, deviceFallback: 'none' | 'cpu'): Promise<Inference> {
  return startInference({
    modelsDir,
    models: [{ kind, version }],
    threads: 1,
    device,
    deviceFallback,
    faultInjection: false,
    microBatchItemsMax: 64,
    timeoutMs: 30_000,
    onRestart: () => undefined,
  });
}

/** The primary emotion of each text. */
async function ask(inference: Inference, texts: readonly string[]): Promise<string[]> {
  const labels: string[] = [];
  await inference.predict({
    kind,
    version,
    items: texts.map((text) => ({ text, options: {} })),
    onResults: (results) => {
      for (const { index, output } of results) {
        labels[index] = z
          .object({ primary_emotion: z.string() })
          .parse(JSON.parse(output ?? '')).primary_emotion;
      }
    },
  });
  return labels;
}

const texts = Array.from(
  { length: 100 },
  (_, index) => `I am ${index % 2 ? 'so happy' : 'so angry'} ${index}`,
);
const refusal = await start('cuda:0', 'none').then(
  async (inference) => {
    await inference.close();
    return undefined;
  },
  (error: unknown) => (error instanceof Error ? error.message : String(error)),
);

test('runs on the GPU, or refuses to start and says what is missing', async () => {
  if (refusal === undefined) return;
  assert.match(refusal, 'cuda:0 cannot be used: ');
  if (!existsSync('/dev/nvidia0')) assert.match(refusal, 'there is no /dev/nvidia0');
  assert.match(refusal, 'ONNX Runtime says: ');
});

test('refuses a GPU that no machine has', async () => {
  await start('cuda:63', 'none').then(
    () => assert.unreachable('it started'),
    (error: unknown) => assert.match(String(error), 'cuda:63 cannot be used: there is no /dev/nvidia63'),
  );
});

test('falls back to the CPU only where it may, and reports the CPU', async () => {
  const inference = await start('cuda:63', 'cpu');
  assert.is(inference.provider(kind, version), 'cpu');
  assert.equal(
    inference.models().map(({ provider }) => provider),
    ['cpu'],
  );
  const labels = await ask(inference, texts.slice(0, 4));
  assert.is(labels.length, 4);
  await inference.close();
});

if (refusal === undefined) {
  test('gives the answers of the CPU on the GPU, a hundred at once', async () => {
    const [gpu, cpu] = await Promise.all([start('cuda:0', 'none'), start('cpu', 'none')]);
    assert.is(gpu.provider(kind, version), 'cuda:0');
    assert.equal(await ask(gpu, texts), await ask(cpu, texts));
    await Promise.all([gpu.close(), cpu.close()]);
  });
} else {
  console.log(`skipped: gives the answers of the CPU on the GPU (${refusal.slice(0, 120)})`);
}

test.run();
