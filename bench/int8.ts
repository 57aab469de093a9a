// What the batch-invariant INT8 graphs save: CPU per text against the same graphs in 32-bit floats, in the same runtime
// with the same options, on the same micro-batches, one after the other on every core.
// The float graphs are made from the INT8 ones (bench/int8/float_graph.py says why), so this compares arithmetic; what
// quantizing costs in quality is measured by `npm run bench:quality`.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRegistry } from '../models/registry.ts';
import { openArtifact } from '../models/repository.ts';
import { readConfig } from '../shared/config.ts';
import { type CeilingRound, startCeiling } from './ceiling.ts';
import { allowedCores } from './machine.ts';
import { uniqueTexts } from './mix-texts.ts';
import type { BenchOptions } from './options.ts';
import { ensurePython, run } from './python-env.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';

const kinds = [
  { kind: 'emotion', bound: 2, aim: 2.4 },
  { kind: 'reasoning', bound: 1.5, aim: 2 },
] as const;
const textsMax = 1000;

interface KindRounds {
  readonly kind: string;
  readonly int8: readonly CeilingRound[];
  readonly float: readonly CeilingRound[];
  /** Median of the ratios of neighbouring rounds. */
  readonly ratio: number;
}

/** @returns whether INT8 is as much cheaper as it must be, for both kinds. */
export async function measureInt8(options: BenchOptions): Promise<boolean> {
  const { seed, rounds: count = 5 } = options;
  const textCount = Math.min(options.texts, textsMax);
  const started = startReport();
  const bin = ensurePython(options.venv, ['bench/int8/requirements.txt']);
  const folder = mkdtempSync(join(tmpdir(), 'soma-floats-'));
  const found: KindRounds[] = [];
  try {
    for (const { kind } of kinds) found.push(await compare(kind, { bin, folder, seed, count, textCount }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  printTable(
    ['CPU µs per text', 'INT8', 'float', 'ratio'],
    found.map(({ kind, int8, float, ratio }) => [
      kind,
      median(int8.map((one) => one.cpuMicrosecondsPerText)),
      median(float.map((one) => one.cpuMicrosecondsPerText)),
      ratio,
    ]),
  );
  return writeReport(started, {
    part: 'int8',
    seed,
    kind: 'emotion',
    settings: {
      rounds: count,
      texts: textCount,
      float: 'made from the INT8 graph: same weights, no rounding',
    },
    rounds: found,
    summary: { ratios: found.map(({ kind, ratio }) => ({ kind, ratio })) },
    figures: kinds.map(({ kind, bound, aim }) => ({
      name: `CPU per text in floats / in INT8, ${kind}`,
      value: found.find((one) => one.kind === kind)?.ratio ?? Number.NaN,
      bound,
      aim,
      holds: 'at least',
    })),
  });
}

async function compare(
  kind: 'emotion' | 'reasoning',
  options: { bin: string; folder: string; seed: number; count: number; textCount: number },
): Promise<KindRounds> {
  const source = uniqueTexts(options.seed);
  const texts = Array.from({ length: options.textCount }, () => source[kind]());
  const cores = allowedCores().slice(0, 2);
  const modelsDir = readConfig().MODELS_DIR;
  const { modelPath } = openArtifact(modelsDir, kind, createRegistry(modelsDir).resolve(kind)?.version ?? '');
  const floatPath = join(options.folder, `${kind}.onnx`);
  run(join(options.bin, 'python'), ['bench/int8/float_graph.py', modelPath, floatPath]);
  const int8 = await startCeiling({ kind, texts, cores });
  const float = await startCeiling({ kind, texts, cores, modelPath: floatPath });
  const rounds = { int8: new Array<CeilingRound>(), float: new Array<CeilingRound>() };
  for (let number = 0; number < options.count; number++) {
    rounds.int8.push(await int8.run());
    rounds.float.push(await float.run());
  }
  int8.close();
  float.close();
  const ratios = rounds.float.map(
    (one, index) => one.cpuMicrosecondsPerText / (rounds.int8[index]?.cpuMicrosecondsPerText ?? Number.NaN),
  );
  return { kind, ...rounds, ratio: round(median(ratios), 2) };
}
