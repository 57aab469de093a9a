// Counterfactual sentences in the held-out tenth of SemEval-2020 task 5. The former system took a flag for them that
// no code read, so beside ours stands nothing.

import { z } from 'zod';
import { calibrationError } from './calibration-error.ts';
import { type Judged, measureMicroF1, precisionRecall, type Resampling } from './f1.ts';
import type { LabelledSentence } from './quality-data.ts';
import { openStable } from './quality-served.ts';
import type { QualityPart } from './quality-table.ts';
import { answer } from './reasoning-answers.ts';

const f1Min = 0.8;

const manifestSchema = z.looseObject({
  calibration: z.looseObject({ counterfactual: z.looseObject({ ece_crossfit: z.number() }) }),
  measured: z.looseObject({
    heldout: z.looseObject({
      fp32: z.looseObject({
        counterfactual: z.looseObject({ sentence: z.looseObject({ f1: z.number() }) }),
      }),
    }),
  }),
});

export async function measureCounterfactual(
  rows: readonly LabelledSentence[],
  resampling: Resampling,
): Promise<QualityPart> {
  const { calibration, measured } = manifestSchema.parse(openStable('reasoning').manifest);
  const texts = rows.map(({ text }) => text);
  const served = await answer(texts, { every: false });
  const every = await answer(texts, { every: true });
  const judged = rows.map(
    ({ positive }, index): Judged => ({
      gold: positive ? [0] : [],
      predicted: served[index]?.counterfactual === true ? [0] : [],
    }),
  );
  const error = calibrationError(
    rows.map(({ positive }, index) => ({
      confidence: every[index]?.counterfactualChance ?? 0,
      hit: positive,
    })),
  );
  const row = {
    head: 'counterfactual sentence',
    data: 'SemEval-2020 task 5, held-out 10 %',
    n: rows.length,
    former: 'not implemented',
  } as const;
  return {
    rows: [
      {
        ...row,
        metric: 'F1',
        fp32: measured.heldout.fp32.counterfactual.sentence.f1,
        served: measureMicroF1(judged, resampling),
        bound: { value: f1Min, holds: 'at least' },
      },
      {
        ...row,
        metric: `ECE of the probability, fitted on these rows (cross-fitted ${calibration.counterfactual.ece_crossfit.toFixed(3)})`,
        fp32: null,
        served: { value: error },
      },
    ],
    details: {
      precisionRecall: precisionRecall(judged),
    },
  };
}
