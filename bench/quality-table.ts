// The one table of what all heads are worth: a row per figure, with FP32, the served INT8 and the former system
// side by side, and what of it must be reached.

import type { Measured } from './f1.ts';
import type { Figure } from './report.ts';

/** One figure of one head on one data set. */
export interface QualityRow {
  readonly head: string;
  readonly data: string;
  readonly n: number;
  readonly metric: string;
  /** As the manifest has it. */
  readonly fp32: number | null;
  /** Measured in this run, through the inference process. */
  readonly served: Measured;
  /** The former system's engine on the same data, or why it has no figure. */
  readonly former: Measured | string;
  readonly bound?: { readonly value: number; readonly holds: Figure['holds'] };
}

/** What one head contributes: rows of the table, bounds outside it, and what the JSON keeps besides. */
export interface QualityPart {
  readonly rows: readonly QualityRow[];
  readonly figures?: readonly Figure[];
  readonly details?: unknown;
}

/** The rows that have a bound, as figures of the report. */
export function toFigures(rows: readonly QualityRow[]): Figure[] {
  return rows.flatMap(({ head, metric, served, bound }) => {
    if (bound === undefined) return [];
    const value = Number(served.value.toFixed(5));
    return [{ name: `${head}: ${metric}`, value, bound: bound.value, holds: bound.holds }];
  });
}

/** A Markdown table, as README and `bench/results/quality.md` show it. */
export function toMarkdown(rows: readonly QualityRow[]): string {
  const head = ['head', 'data', 'n', 'metric', 'FP32', 'INT8, served', 'former system', 'must be'];
  const lines = rows.map((row) => [
    row.head,
    row.data,
    String(row.n),
    row.metric,
    row.fp32 === null ? '–' : digits(row.fp32),
    format(row.served),
    typeof row.former === 'string' ? row.former : format(row.former),
    row.bound === undefined ? '' : `${row.bound.holds === 'at least' ? '≥' : '≤'} ${row.bound.value}`,
  ]);
  const cells = [head, head.map(() => '---'), ...lines];
  return `${cells.map((line) => `| ${line.join(' | ')} |`).join('\n')}\n`;
}

function format({ value, interval }: Measured): string {
  if (interval === undefined) return digits(value);
  return `${digits(value)} (${interval.map(digits).join('–')})`;
}

/** Four digits where three would round to 1 what is not 1. */
function digits(value: number): string {
  return value > 0.9995 && value < 1 ? value.toFixed(4) : value.toFixed(3);
}
