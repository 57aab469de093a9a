// Causal relations in the held-out tenth of the Causal News Corpus: which sentences have one, where cause and effect
// lie, and what the confidence is worth, beside the former system's seven expressions.

import { z } from 'zod';
import { calibrationError } from './calibration-error.ts';
import {
  type Judged,
  type Measured,
  measureMicroF1,
  microF1,
  precisionRecall,
  type Resampling,
} from './f1.ts';
import { findFormerCauses, formerConfidence } from './former-causes.ts';
import type { CausalRelation, CausalText } from './quality-data.ts';
import { openStable } from './quality-served.ts';
import type { QualityPart, QualityRow } from './quality-table.ts';
import { answer, type ReasoningAnswer } from './reasoning-answers.ts';
import { judgeExact, judgeWords, overlapF1 } from './word-spans.ts';

const bounds = { sentenceF1: 0.8, tokenF1: 0.8, exactF1: 0.5 } as const;
const spanKinds = ['cause', 'effect'] as const;

const spansSchema = z.looseObject({ cause: z.number(), effect: z.number() });
const manifestSchema = z.looseObject({
  calibration: z.looseObject({ causal: z.looseObject({ ece_crossfit: z.number() }) }),
  measured: z.looseObject({
    heldout: z.looseObject({
      fp32: z.looseObject({
        causal: z.looseObject({
          sentence: z.looseObject({ f1: z.number() }),
          token_f1: spansSchema,
          exact_f1: spansSchema,
        }),
      }),
    }),
  }),
});

type Fp32 = z.infer<typeof manifestSchema>['measured']['heldout']['fp32']['causal'];

/** A causal sentence whose spans are known, with what was found in it. */
interface FoundSpans {
  readonly text: string;
  readonly gold: readonly CausalRelation[];
  /** The one relation that is judged, or several, of which the nearest to gold is. */
  readonly found: readonly CausalRelation[];
}

export async function measureCausal(
  rows: readonly CausalText[],
  resampling: Resampling,
): Promise<QualityPart> {
  const { calibration, measured } = manifestSchema.parse(openStable('reasoning').manifest);
  const fp32 = measured.heldout.fp32.causal;
  const texts = rows.map(({ text }) => text);
  const served = await answer(texts, { every: false });
  const every = await answer(texts, { every: true });
  const former = texts.map(findFormerCauses);
  const judge = (says: (index: number) => boolean) =>
    rows.map(({ causal }, index): Judged => ({ gold: causal ? [0] : [], predicted: says(index) ? [0] : [] }));
  const ours = judge((index) => served[index]?.causal === true);
  const theirs = judge((index) => (former[index]?.length ?? 0) > 0);
  const row = { head: 'causal sentence', data: 'Causal News Corpus, held-out 10 %', n: rows.length } as const;
  return {
    rows: [
      {
        ...row,
        metric: `F1 (yes to all: ${microF1(judge(() => true)).toFixed(3)})`,
        fp32: fp32.sentence.f1,
        served: measureMicroF1(ours, resampling),
        former: measureMicroF1(theirs, resampling),
        bound: { value: bounds.sentenceF1, holds: 'at least' },
      },
      {
        ...row,
        metric: `ECE of the probability, fitted on these rows (cross-fitted ${calibration.causal.ece_crossfit.toFixed(3)})`,
        fp32: null,
        served: { value: errorOf(rows, (index) => every[index]?.causalChance ?? 0) },
        former: {
          value: errorOf(rows, (index) => ((former[index]?.length ?? 0) > 0 ? formerConfidence : 0)),
        },
      },
      ...spanRows(rows, { served, every, former }, fp32, resampling),
    ],
    details: {
      served: precisionRecall(ours),
      former: precisionRecall(theirs),
    },
  };
}

function errorOf(rows: readonly CausalText[], chanceOf: (index: number) => number): number {
  return calibrationError(rows.map(({ causal }, index) => ({ confidence: chanceOf(index), hit: causal })));
}

/**
 * Spans of every sentence with gold spans (what the manifest measures, and what the bounds mean), and of those alone
 * that the sentence head lets through, where a sentence held back counts as missed: what a client gets.
 */
function spanRows(
  rows: readonly CausalText[],
  found: {
    readonly served: readonly ReasoningAnswer[];
    readonly every: readonly ReasoningAnswer[];
    readonly former: readonly (readonly CausalRelation[])[];
  },
  fp32: Fp32,
  resampling: Resampling,
): QualityRow[] {
  const collect = (relationsOf: (index: number) => readonly CausalRelation[]) =>
    rows.flatMap(({ text, relations }, index): FoundSpans[] =>
      relations.length === 0 ? [] : [{ text, gold: relations, found: relationsOf(index) }],
    );
  const one = (answers: readonly ReasoningAnswer[]) =>
    collect((index) => {
      const relation = answers[index]?.relation;
      return relation === undefined ? [] : [relation];
    });
  const [every, served] = [one(found.every), one(found.served)];
  const former = collect((index) => found.former[index] ?? []);
  const row = { data: 'Causal News Corpus, held-out 10 %', n: every.length } as const;
  return spanKinds.flatMap((argument) => {
    const measure = (spans: readonly FoundSpans[], judge: typeof judgeWords): Measured =>
      measureMicroF1(judgeSpans(spans, argument, judge), resampling);
    const head = `causal spans, ${argument}`;
    return [
      {
        ...row,
        head,
        metric: 'token F1',
        fp32: fp32.token_f1[argument],
        served: measure(every, judgeWords),
        former: measure(former, judgeWords),
        bound: { value: bounds.tokenF1, holds: 'at least' as const },
      },
      {
        ...row,
        head,
        metric: 'exact F1',
        fp32: fp32.exact_f1[argument],
        served: measure(every, judgeExact),
        former: measure(former, judgeExact),
        bound: { value: bounds.exactF1, holds: 'at least' as const },
      },
      {
        ...row,
        head,
        metric: 'token F1, end to end',
        fp32: null,
        served: measure(served, judgeWords),
        former: measure(former, judgeWords),
      },
    ];
  });
}

/** Each sentence's pair of a gold and a found relation that overlap most; without a found one the first gold. */
function judgeSpans(
  spans: readonly FoundSpans[],
  argument: (typeof spanKinds)[number],
  judge: typeof judgeWords,
): Judged[] {
  return spans.map(({ text, gold, found }) => {
    const pairs = gold.flatMap((relation) =>
      (found.length === 0 ? [undefined] : found).map((other) => ({
        relation,
        other,
        nearness:
          overlapF1(text, relation.cause, other?.cause) + overlapF1(text, relation.effect, other?.effect),
      })),
    );
    const nearest = pairs.reduce((best, pair) => (pair.nearness > best.nearness ? pair : best));
    return judge(text, nearest.relation[argument], nearest.other?.[argument]);
  });
}
