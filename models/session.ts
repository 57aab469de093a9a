// The one file that knows ONNX Runtime: a loaded graph, and a run of a micro-batch through it.
// `run()` blocks its thread under its promise (onnxruntime 1.30), so only processes that renew no lock import this.

import { InferenceSession, Tensor } from 'onnxruntime-node';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readProcessorFlags, sumsMaySaturate } from '../shared/processor.ts';
import type { Row } from './analyzer.ts';

export interface ModelSession {
  /** Where the graph runs, as it is and not as it was wished: `cpu` or `cuda:<number>`. */
  readonly provider: string;
  /**
   * Runs one micro-batch.
   * @param sequences token ids; padded here to the longest
   * @returns a row per sequence with the named outputs, padding cut off
   */
  readonly run: (sequences: readonly (readonly number[])[], outputs: readonly string[]) => Promise<Row[]>;
  readonly close: () => Promise<void>;
}

/**
 * @param device `cpu` or `cuda:<number>`
 * @throws Error if the file is no graph that this runtime can load, or if the device cannot be used: then it says what
 * is missing. No other device is tried.
 */
export async function loadSession(modelPath: string, threads: number, device = 'cpu'): Promise<ModelSession> {
  const gpu = readGpu(device);
  const session = await InferenceSession.create(modelPath, {
    executionProviders: gpu === undefined ? ['cpu'] : [{ name: 'cuda', deviceId: gpu }],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    extra: {
      session: {
        // Threads that spin for work take the core from the process beside this one: 1.6 times the CPU per text.
        intra_op: { allow_spinning: '0' },
        // Unsigned weights, whose sums never saturate. The runtime would take them on every x86, at 2.6 times the CPU
        // where AMX serves signed ones.
        x64quantprecision: sumsMaySaturate(readProcessorFlags()) ? '1' : '0',
      },
      // Fused, addition and normalization take six times as long as the two steps one after the other.
      optimization: { disable_specified_optimizers: 'SkipLayerNormFusion' },
    },
  }).catch((cause: unknown) => {
    if (gpu === undefined) throw cause;
    throw new Error(explainGpu(gpu, cause), { cause });
  });
  return {
    provider: device,
    run: async (sequences, outputs) => {
      const feeds = pad(sequences);
      const result = await session.run(feeds, outputs);
      return sequences.map((sequence, index) => sliceRow(result, outputs, index, sequence.length));
    },
    close: () => session.release(),
  };
}

function readGpu(device: string): number | undefined {
  const number = /^cuda:(\d+)$/.exec(device)?.[1];
  return number === undefined ? undefined : Number(number);
}

/** What this machine lacks for CUDA, as far as it can be seen, and the runtime's own words. */
function explainGpu(gpu: number, cause: unknown): string {
  const libraries = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
  const missing = libraries.filter((name) => !existsSync(join(runtimeFolder(), name)));
  const reasons = [
    ...(existsSync(`/dev/nvidia${gpu}`) ? [] : [`there is no /dev/nvidia${gpu}`]),
    ...(missing.length === 0 ? [] : [`onnxruntime-node has no CUDA libraries here (${missing.join(', ')})`]),
    `ONNX Runtime says: ${cause instanceof Error ? cause.message : String(cause)}`,
  ];
  return `cuda:${gpu} cannot be used: ${reasons.join('; ')}`;
}

/** Where onnxruntime-node keeps the libraries for this machine. */
function runtimeFolder(): string {
  const main = createRequire(import.meta.url).resolve('onnxruntime-node');
  return join(dirname(main), '..', 'bin', 'napi-v6', process.platform, process.arch);
}

/** `input_ids` and `attention_mask`, int64 `[sequences, longest]`; the padding id is 0. */
function pad(sequences: readonly (readonly number[])[]): Record<string, Tensor> {
  const longest = Math.max(...sequences.map((sequence) => sequence.length));
  const shape = [sequences.length, longest];
  const ids = new BigInt64Array(sequences.length * longest);
  const mask = new BigInt64Array(sequences.length * longest);
  sequences.forEach((sequence, row) => {
    sequence.forEach((id, column) => {
      ids[row * longest + column] = BigInt(id);
      mask[row * longest + column] = 1n;
    });
  });
  return { input_ids: new Tensor('int64', ids, shape), attention_mask: new Tensor('int64', mask, shape) };
}

function sliceRow(
  result: InferenceSession.OnnxValueMapType,
  outputs: readonly string[],
  index: number,
  tokens: number,
): Row {
  return Object.fromEntries(
    outputs.map((name) => {
      const tensor = result[name];
      if (tensor === undefined || !(tensor.data instanceof Float32Array)) {
        throw new Error(`the graph has no float output ${name}`);
      }
      const perRow = tensor.data.length / (tensor.dims[0] ?? 1);
      const perToken = tensor.dims.length === 3 ? (tensor.dims[2] ?? 1) : 0;
      const kept = perToken === 0 ? perRow : tokens * perToken;
      return [name, tensor.data.slice(index * perRow, index * perRow + kept)];
    }),
  );
}
