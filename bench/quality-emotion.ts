// Kind emotion: F1 of the 28 labels and the calibration of its confidence on GoEmotions' dev split, beside the former
// system's keywords; and sarcasm on the tweets that training held out.

import { z } from 'zod';
import { calibrationError } from './calibration-error.ts';
import {
  computeF1,
  type Judged,
  measureF1,
  measureMicroF1,
  microF1,
  precisionRecall,
  type Resampling,
} from './f1.ts';
import { createFormerEmotion } from './former-emotion.ts';
import type { LabelledSentence } from './quality-data.ts';
import { openStable, serve } from './quality-served.ts';
import type { QualityPart, QualityRow } from './quality-table.ts';
import { type Figure, round } from './report.ts';
import type { LabelledText } from './texts.ts';

const bounds = {
  macroF1: 0.52,
  microF1: 0.59,
  int8Loss: 0.02,
  calibrationError: 0.05,
  sarcasmF1: 0.4,
  sarcasmCost: 0.01,
} as const;

/** Served macro and micro F1 on dev of version 2026.11.1, which had no sarcasm head (results of commit 2cbd858). */
const withoutSarcasm = { macro: 0.5312, micro: 0.60442 } as const;

const f1Schema = z.looseObject({ macro_f1: z.number(), micro_f1: z.number() });
const manifestSchema = z.looseObject({
  labels: z.array(z.string()),
  threshold: z.number(),
  sarcasm: z.looseObject({ unsure: z.tuple([z.number(), z.number()]) }),
  measured: z.looseObject({ dev: z.looseObject({ fp32: f1Schema, int8: f1Schema }) }),
});

const outputSchema = z.looseObject({
  all_emotions: z.record(z.string(), z.number()),
  primary_emotion: z.string(),
  confidence: z.number(),
});
const sarcasmSchema = z.looseObject({
  is_sarcastic: z.boolean().nullable(),
  sarcasm: z.looseObject({ score: z.number(), probability: z.number() }),
});

/** A label counts as predicted when its score reaches the manifest's threshold, as in training. */
export async function measureEmotion(
  dev: readonly LabelledText[],
  resampling: Resampling,
): Promise<QualityPart> {
  const { labels, threshold, measured } = manifestSchema.parse(openStable('emotion').manifest);
  const served = await serve(
    'emotion',
    dev.map(({ text }) => text),
  );
  const outputs = served.map((output) => outputSchema.parse(output));
  const judged = dev.map(({ labels: gold }, index): Judged => {
    const scores = outputs[index]?.all_emotions ?? {};
    return {
      gold,
      predicted: labels.flatMap((label, at) => ((scores[label] ?? 0) >= threshold ? [at] : [])),
    };
  });
  const findFormer = createFormerEmotion(labels);
  const formerJudged = dev.map(({ text, labels: gold }): Judged => ({ gold, predicted: findFormer(text) }));
  const ours = measureF1(judged, labels.length, resampling);
  const former = measureF1(formerJudged, labels.length, resampling);
  const error = calibrationError(
    outputs.map(({ primary_emotion, confidence }, index) => ({
      confidence,
      hit: dev[index]?.labels.includes(labels.indexOf(primary_emotion)) ?? false,
    })),
  );
  const { fp32, int8 } = measured.dev;
  const row = { head: 'emotion, 28 labels', data: 'GoEmotions dev', n: dev.length } as const;
  const rows: QualityRow[] = [
    {
      ...row,
      metric: 'macro-F1',
      fp32: fp32.macro_f1,
      served: ours.macro,
      former: former.macro,
      bound: { value: bounds.macroF1, holds: 'at least' },
    },
    {
      ...row,
      metric: 'micro-F1',
      fp32: fp32.micro_f1,
      served: ours.micro,
      former: former.micro,
      bound: { value: bounds.microF1, holds: 'at least' },
    },
    {
      ...row,
      metric: 'ECE of confidence',
      fp32: null,
      served: { value: error },
      former: 'gives none',
      bound: { value: bounds.calibrationError, holds: 'at most' },
    },
  ];
  const { perLabel } = computeF1(judged, labels.length);
  const perLabelF1 = Object.fromEntries(
    labels.map((label, index) => [label, round(perLabel[index] ?? 0, 5)]),
  );
  const losses = listLosses(fp32, ours.macro.value, ours.micro.value);
  return { rows, figures: losses, details: { threshold, perLabelF1, manifest: { fp32, int8 } } };
}

/** What quantization and the sarcasm head took from the served F1. */
function listLosses(fp32: z.infer<typeof f1Schema>, macro: number, micro: number): Figure[] {
  const losses = [
    ['macro-F1, FP32 minus INT8', fp32.macro_f1 - macro, bounds.int8Loss],
    ['micro-F1, FP32 minus INT8', fp32.micro_f1 - micro, bounds.int8Loss],
    ['macro-F1, cost of the sarcasm head', withoutSarcasm.macro - macro, bounds.sarcasmCost],
    ['micro-F1, cost of the sarcasm head', withoutSarcasm.micro - micro, bounds.sarcasmCost],
  ] as const;
  return losses.map(([name, value, bound]) => ({
    name: `emotion, 28 labels: ${name}`,
    value: round(value, 5),
    bound,
    holds: 'at most',
  }));
}

/** The sarcastic class, from the lower end of the unsure range on; and what `is_sarcastic: true` is worth. */
export async function measureSarcasm(
  tweets: readonly LabelledSentence[],
  resampling: Resampling,
): Promise<QualityPart> {
  const { sarcasm } = manifestSchema.parse(openStable('emotion').manifest);
  const served = await serve(
    'emotion',
    tweets.map(({ text }) => text),
  );
  const outputs = served.map((output) => sarcasmSchema.parse(output));
  const judge = (says: (output: z.infer<typeof sarcasmSchema>) => boolean) =>
    tweets.map(({ positive }, index): Judged => {
      const output = outputs[index];
      return { gold: positive ? [0] : [], predicted: output !== undefined && says(output) ? [0] : [] };
    });
  const hinted = judge((output) => output.sarcasm.score >= sarcasm.unsure[0]);
  const [precision, recall] = precisionRecall(hinted);
  const yesToAll = microF1(judge(() => true));
  const [surePrecision, sureRecall] = precisionRecall(judge((output) => output.is_sarcastic === true));
  const row = {
    head: 'sarcasm',
    data: 'iSarcasmEval, held-out 20 %',
    n: tweets.length,
    fp32: null,
    former: 'no working model',
  } as const;
  const rows: QualityRow[] = [
    {
      ...row,
      metric: `F1, sarcastic (yes to all: ${yesToAll.toFixed(3)})`,
      served: measureMicroF1(hinted, resampling),
      bound: { value: bounds.sarcasmF1, holds: 'at least' },
    },
    { ...row, metric: 'precision', served: { value: precision } },
    { ...row, metric: 'recall', served: { value: recall } },
    { ...row, metric: 'precision where `is_sarcastic` is true', served: { value: surePrecision } },
    { ...row, metric: 'recall where `is_sarcastic` is true', served: { value: sureRecall } },
    {
      ...row,
      metric: 'ECE of probability',
      served: {
        value: calibrationError(
          outputs.map((output, index) => ({
            confidence: output.sarcasm.probability,
            hit: tweets[index]?.positive ?? false,
          })),
        ),
      },
    },
  ];
  return { rows };
}
