// The one file that knows ONNX Runtime: a loaded graph, and a run of a micro-batch through it.
// `run()` blocks its thread under its promise (onnxruntime 1.30), so only processes that renew no lock import this.

import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Row } from './analyzer.ts';

export interface ModelSession {
  readonly provider: string;
  /**
   * Runs one micro-batch.
   * @param sequences token ids; padded here to the longest
   * @returns a row per sequence with the named outputs, padding cut off
   */
  readonly run: (sequences: readonly (readonly number[])[], outputs: readonly string[]) => Promise<Row[]>;
  readonly close: () => Promise<void>;
}

/** @throws Error if the file is no graph that this runtime can load. */
export async function loadSession(modelPath: string, threads: number): Promise<ModelSession> {
  const session = await InferenceSession.create(modelPath, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Threads that spin for work take the core from the process beside this one: 1.6 times the CPU per text.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  return {
    provider: 'cpu',
    run: async (sequences, outputs) => {
      const feeds = pad(sequences);
      const result = await session.run(feeds, outputs);
      return sequences.map((sequence, index) => sliceRow(result, outputs, index, sequence.length));
    },
    close: () => session.release(),
  };
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
