// `npm run bench:quality`: what the served model knows, and that a text's result does not depend on its company.
// Goes through the same inference process as a worker does, on GoEmotions' dev split.

import { z } from 'zod';
import { type Inference, type InferenceResult, startInference } from '../models/inference.ts';
import { createRegistry } from '../models/registry.ts';
import { openArtifact } from '../models/repository.ts';
import { readConfig } from '../shared/config.ts';
import { bootstrapF1, computeF1 } from './f1.ts';
import { createRandom, shuffle } from './random.ts';
import { printTable, round, startReport, writeReport } from './report.ts';
import { type LabelledText, readDevRows } from './texts.ts';

const kind = 'emotion';
const seed = 20_261_124;
const resamples = 1000;
const invarianceTexts = 2000;
const microBatchSizes = [2, 4, 8, 16, 32] as const;
const bounds = {
  macroF1: 0.52,
  microF1: 0.59,
  int8Loss: 0.02,
  scoreDifference: 1e-4,
  labelFlips: 0,
} as const;

const f1Schema = z.looseObject({ macro_f1: z.number(), micro_f1: z.number() });
const fieldsSchema = z.looseObject({
  labels: z.array(z.string()),
  threshold: z.number(),
  measured: z.looseObject({ dev: z.looseObject({ fp32: f1Schema, int8: f1Schema }) }),
});
const outputSchema = z.object({ all_emotions: z.record(z.string(), z.number()) });

type Fields = z.infer<typeof fieldsSchema>;

/** `[texts][labels]`, as served: with five digits. */
type Scores = readonly (readonly number[])[];

async function main(): Promise<void> {
  const rows = readDevRows();
  if (rows === undefined) {
    console.log('bench:quality needs ../shared/data/goemotions/dev.tsv, which is not here: nothing measured');
    return;
  }
  const started = startReport();
  const config = readConfig();
  const version = createRegistry(config.MODELS_DIR).resolve(kind)?.version ?? '';
  const fields = fieldsSchema.parse(openArtifact(config.MODELS_DIR, kind, version).manifest);
  const quality = await measureF1(fields, version, rows);
  const invariance = await measureInvariance(
    fields,
    version,
    rows.slice(0, invarianceTexts).map(({ text }) => text),
  );
  const { fp32, int8 } = fields.measured.dev;
  printQuality(quality, fields);
  printTable(
    ['against each text alone', 'max score difference', 'label flips'],
    invariance.map(({ against, scoreDifference, labelFlips }) => [against, scoreDifference, labelFlips]),
  );
  const worst = (values: readonly number[]) => Math.max(...values);
  const met = writeReport(started, {
    part: 'quality',
    seed,
    kind,
    settings: { texts: rows.length, resamples, invarianceTexts, threshold: fields.threshold },
    rounds: [],
    summary: { kinds: { [kind]: { ...quality, manifest: { fp32, int8 }, invariance } } },
    figures: [
      { name: 'macro-F1, served', value: quality.macroF1, bound: bounds.macroF1, holds: 'at least' },
      { name: 'micro-F1, served', value: quality.microF1, bound: bounds.microF1, holds: 'at least' },
      {
        name: 'macro-F1, FP32 of the manifest minus served',
        value: round(fp32.macro_f1 - quality.macroF1, 5),
        bound: bounds.int8Loss,
        holds: 'at most',
      },
      {
        name: 'micro-F1, FP32 of the manifest minus served',
        value: round(fp32.micro_f1 - quality.microF1, 5),
        bound: bounds.int8Loss,
        holds: 'at most',
      },
      {
        name: 'largest score difference by company',
        value: worst(invariance.map((one) => one.scoreDifference)),
        bound: bounds.scoreDifference,
        holds: 'at most',
      },
      {
        name: 'label flips by company',
        value: worst(invariance.map((one) => one.labelFlips)),
        bound: bounds.labelFlips,
        holds: 'at most',
      },
    ],
  });
  process.exitCode = met ? 0 : 1;
}

interface Quality {
  readonly macroF1: number;
  readonly macroF1Interval: readonly number[];
  readonly microF1: number;
  readonly microF1Interval: readonly number[];
  readonly perLabelF1: Readonly<Record<string, number>>;
}

/** A label counts as predicted when its score reaches the manifest's threshold, as in training. */
async function measureF1(fields: Fields, version: string, rows: readonly LabelledText[]): Promise<Quality> {
  const texts = rows.map(({ text }) => text);
  const scores = await score({ fields, version, texts, microBatchItems: readConfig().MICRO_BATCH_ITEMS_MAX });
  const judged = rows.map(({ labels }, index) => ({
    gold: labels,
    predicted: (scores[index] ?? []).flatMap((value, label) => (value >= fields.threshold ? [label] : [])),
  }));
  const labels = fields.labels.length;
  const f1 = computeF1(judged, labels);
  const intervals = bootstrapF1(judged, { labels, rounds: resamples, seed });
  const digits = (value: number) => round(value, 5);
  return {
    macroF1: digits(f1.macro),
    macroF1Interval: intervals.macro.map(digits),
    microF1: digits(f1.micro),
    microF1Interval: intervals.micro.map(digits),
    perLabelF1: Object.fromEntries(
      fields.labels.map((label, index) => [label, digits(f1.perLabel[index] ?? 0)]),
    ),
  };
}

interface Difference {
  readonly against: string;
  readonly scoreDifference: number;
  readonly labelFlips: number;
}

/** Each text alone, then in micro-batches of every size, then in other company in another process. */
async function measureInvariance(
  fields: Fields,
  version: string,
  texts: readonly string[],
): Promise<Difference[]> {
  const run = (chosen: readonly string[], microBatchItems: number) =>
    score({ fields, version, texts: chosen, microBatchItems });
  const alone = await run(texts, 1);
  const differences: Difference[] = [];
  for (const size of microBatchSizes) {
    const together = await run(texts, size);
    differences.push({
      against: `in micro-batches of ${size}`,
      ...compare(alone, together, fields.threshold),
    });
  }
  const order = shuffle([...texts.keys()], createRandom(seed));
  const shuffled = await run(
    order.flatMap((index) => texts[index] ?? []),
    8,
  );
  const reordered = order.map((index) => alone[index] ?? []);
  const against = 'another process, other neighbours, of 8';
  return [...differences, { against, ...compare(reordered, shuffled, fields.threshold) }];
}

function compare(alone: Scores, together: Scores, threshold: number): Omit<Difference, 'against'> {
  let scoreDifference = 0;
  let labelFlips = 0;
  alone.forEach((row, text) => {
    row.forEach((value, label) => {
      const other = together[text]?.[label] ?? Number.POSITIVE_INFINITY;
      scoreDifference = Math.max(scoreDifference, Math.abs(value - other));
      if (value >= threshold !== other >= threshold) labelFlips += 1;
    });
  });
  return { scoreDifference: round(scoreDifference, 8), labelFlips };
}

/** Sends texts through a fresh inference process, in pools as large as a worker's. */
async function score(args: {
  readonly fields: Fields;
  readonly version: string;
  readonly texts: readonly string[];
  readonly microBatchItems: number;
}): Promise<Scores> {
  const { fields, version, texts } = args;
  const config = readConfig();
  const inference = await startInference({
    modelsDir: config.MODELS_DIR,
    models: [{ kind, version }],
    threads: 1,
    faultInjection: false,
    microBatchItemsMax: args.microBatchItems,
    timeoutMs: config.INFERENCE_TIMEOUT_MS,
    onRestart: (reason) => {
      throw new Error(`the inference process had to be replaced: ${reason}`);
    },
  });
  const scores: number[][] = [];
  for (let start = 0; start < texts.length; start += config.POOL_ITEMS_MAX) {
    const pool = texts.slice(start, start + config.POOL_ITEMS_MAX);
    const results = await predict(inference, version, pool);
    for (const { index, output } of results) {
      const served = outputSchema.parse(output).all_emotions;
      scores[start + index] = fields.labels.map((label) => served[label] ?? Number.NaN);
    }
  }
  await inference.close();
  return scores;
}

async function predict(
  inference: Inference,
  version: string,
  texts: readonly string[],
): Promise<readonly InferenceResult[]> {
  const all: InferenceResult[] = [];
  const items = texts.map((text) => ({ text, options: {} }));
  await inference.predict({ kind, version, items, onResults: (results) => all.push(...results) });
  return all;
}

function printQuality(quality: Quality, { measured }: Fields): void {
  const between = ([low = 0, high = 0]: readonly number[]) => `${low.toFixed(3)}..${high.toFixed(3)}`;
  const { fp32, int8 } = measured.dev;
  printTable(
    ['emotion on dev', 'macro-F1', '95 %', 'micro-F1', '95 %'],
    [
      [
        'served',
        quality.macroF1,
        between(quality.macroF1Interval),
        quality.microF1,
        between(quality.microF1Interval),
      ],
      ['manifest, INT8', int8.macro_f1, '', int8.micro_f1, ''],
      ['manifest, FP32', fp32.macro_f1, '', fp32.micro_f1, ''],
    ],
  );
}

await main();
