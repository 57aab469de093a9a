// Which way round cause and effect are, on everyday sentences of our own that no training saw: the former system's
// expressions took the cause for the effect after because, since and as.

import { findFormerCauses } from './former-causes.ts';
import type { CausalRelation, EverydaySentence } from './quality-data.ts';
import type { QualityPart, QualityRow } from './quality-table.ts';
import { answer } from './reasoning-answers.ts';
import { overlapF1 } from './word-spans.ts';

/** 19 of 20. */
const directionMin = 0.95;

/** Word F1 from which two spans are the same argument: so much that a swap never passes. */
const sameArgument = 2 / 3;

const outcomes = ['right', 'reversed', 'other spans', 'nothing found'] as const;
type Outcome = (typeof outcomes)[number];

export async function measureEveryday(sentences: readonly EverydaySentence[]): Promise<QualityPart> {
  const answers = await answer(
    sentences.map(({ text }) => text),
    { every: false },
  );
  const judged = sentences.map((sentence, index) => {
    const ours = answers[index]?.relation;
    const former = findFormerCauses(sentence.text);
    return {
      ...sentence,
      ours: judge(sentence, ours === undefined ? [] : [ours]),
      former: judge(sentence, former),
      counterfactualSaid: answers[index]?.counterfactual === true,
    };
  });
  const causal = judged.filter(({ relation, counterfactual }) => relation !== undefined && !counterfactual);
  const others = judged.filter(({ relation, counterfactual }) => relation === undefined && !counterfactual);
  const count = (of: 'ours' | 'former', outcome: Outcome) =>
    causal.filter((one) => one[of] === outcome).length;
  const share = (part: number, all: readonly unknown[]) => ({ value: part / all.length });
  const silent = (of: 'ours' | 'former') => others.filter((one) => one[of] === 'nothing found').length;
  const row = { head: 'everyday sentences', data: 'our own', fp32: null } as const;
  const rows: QualityRow[] = [
    {
      ...row,
      n: causal.length,
      metric: 'cause and effect the right way round',
      served: share(count('ours', 'right'), causal),
      former: share(count('former', 'right'), causal),
      bound: { value: directionMin, holds: 'at least' },
    },
    {
      ...row,
      n: causal.length,
      metric: 'cause and effect reversed',
      served: share(count('ours', 'reversed'), causal),
      former: share(count('former', 'reversed'), causal),
    },
    {
      ...row,
      n: others.length,
      metric: 'no relation found where there is none',
      served: share(silent('ours'), others),
      former: share(silent('former'), others),
    },
    {
      ...row,
      n: judged.length,
      metric: 'counterfactual or not, accuracy',
      served: share(
        judged.filter(({ counterfactual, counterfactualSaid }) => counterfactual === counterfactualSaid)
          .length,
        judged,
      ),
      former: 'not implemented',
    },
  ];
  const tally = (of: 'ours' | 'former') =>
    Object.fromEntries(outcomes.map((name) => [name, count(of, name)]));
  const wrong = causal.filter(({ ours }) => ours !== 'right').map(({ text, ours }) => ({ text, ours }));
  return { rows, details: { ours: tally('ours'), former: tally('former'), wrong } };
}

/** The best that any of the found relations comes to. */
function judge({ text, relation }: EverydaySentence, found: readonly CausalRelation[]): Outcome {
  if (found.length === 0) return 'nothing found';
  if (relation === undefined) return 'other spans';
  const same = (gold: CausalRelation, other: CausalRelation) =>
    overlapF1(text, gold.cause, other.cause) >= sameArgument &&
    overlapF1(text, gold.effect, other.effect) >= sameArgument;
  if (found.some((one) => same(relation, one))) return 'right';
  const swapped = { cause: relation.effect, effect: relation.cause };
  return found.some((one) => same(swapped, one)) ? 'reversed' : 'other spans';
}
