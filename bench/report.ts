// What a benchmark leaves behind: one JSON file per part under bench/results/, and a table for the reader.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../shared/config.ts';
import { writeIndex } from './results-index.ts';
import { describeCommit, describeMachine, describeModel, load } from './machine.ts';

/** A figure that must reach its bound, if it has one, and is meant to reach its aim. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly bound?: number;
  readonly aim?: number;
  readonly holds: 'at least' | 'at most';
}

export interface Report {
  readonly part: string;
  readonly seed: number;
  /** Kind of the model that ran. */
  readonly kind: string;
  /** What was chosen: rounds, sizes, connections, and what was compared with what. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Everything measured, in the order in which it was measured. */
  readonly rounds: unknown;
  /** Medians, ratios and tables made from the rounds. */
  readonly summary: unknown;
  readonly figures: readonly Figure[];
}

/** Call before a measurement and hand the result to `writeReport`. */
export function startReport(): { readonly startedAt: string; readonly loadBefore: number } {
  return { startedAt: new Date().toISOString(), loadBefore: load() };
}

/** Writes `bench/results/<part>.json`, prints the figures, and returns whether all of them hold. */
export function writeReport(started: ReturnType<typeof startReport>, report: Report): boolean {
  const { part, kind, figures, settings, ...rest } = report;
  const judged = figures.map((figure) => ({
    ...figure,
    met: reaches(figure, figure.bound),
    ...(figure.aim === undefined ? {} : { aim_met: reaches(figure, figure.aim) }),
  }));
  const file = {
    part,
    started_at: started.startedAt,
    ended_at: new Date().toISOString(),
    ...describeCommit(),
    machine: describeMachine(),
    load_before: started.loadBefore,
    load_after: load(),
    model: describeModel(kind),
    figures: judged,
    // Workers of the benchmarks keep no results unless a part says so.
    settings: { cache: 'off', ...settings },
    ...rest,
  };
  const folder = join(packageRoot, 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${part}.json`), `${JSON.stringify(file, undefined, 1)}\n`);
  const rows = judged.map(({ name, value, holds, bound, aim, met, aim_met: aimMet }) => [
    name,
    String(value),
    bound === undefined ? '' : `${holds} ${bound}`,
    bound === undefined ? '' : met ? 'met' : 'MISSED',
    aim === undefined ? '' : String(aim),
    aim === undefined ? '' : aimMet === true ? 'reached' : 'no',
  ]);
  if (rows.length > 0) printTable(['figure', 'measured', 'must be', '', 'aim', ''], rows);
  writeIndex();
  console.log(`written to bench/results/${part}.json (load before ${started.loadBefore.toFixed(2)})\n`);
  return judged.every(({ met }) => met);
}

/** Columns aligned; the first to the left, the others to the right. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const cells = [head, ...rows.map((row) => row.map(String))];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)));
  for (const row of cells) {
    const padded = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column === 0 ? cell.padEnd(width) : cell.padStart(width);
    });
    console.log(padded.join('  ').trimEnd());
  }
  console.log();
}

/** The middle value; the mean of the two in the middle of an even number. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return (low + high) / 2;
}

/** The value that `part` (0..1) of the values do not exceed, by nearest rank. NaN of none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** A figure without a bound is there to be seen; NaN, of a measurement that failed, reaches nothing. */
function reaches({ value, holds }: Figure, bound: number | undefined): boolean {
  if (bound === undefined) return true;
  return holds === 'at least' ? value >= bound : value <= bound;
}
