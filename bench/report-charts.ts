// Which charts a result becomes: its course over the seconds, and the curve to the knee.

import type { StoredPoint, StoredResult, StoredStage } from './results-files.ts';

export interface ChartSpec {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly logarithmic: boolean;
  readonly series: readonly { readonly label: string; readonly stroke: string; readonly points: boolean }[];
  /** The values of x, then those of each series. */
  readonly data: readonly (readonly (number | null)[])[];
}

const colours = ['#0969da', '#bc4c00', '#2da44e', '#8250df'] as const;

export function chartsOf({ stages, points }: StoredResult): readonly ChartSpec[] {
  const courses = stages.flatMap((stage) => [courseChart(stage)]);
  const rates = stages.length === 1 ? stages.map(rateChart) : [];
  return [...courses, ...rates, ...(points.length > 0 ? [kneeChart(points), costChart(points)] : [])];
}

function courseChart({ name, course }: StoredStage): ChartSpec {
  return {
    title: `${name}: latency of what was due in each second`,
    x: 'second',
    y: 'ms',
    logarithmic: true,
    series: [line('result p50', 0), line('result p95', 1), line('accept p95', 2)],
    data: [course.second, course.resultP50, course.resultP95, course.acceptP95],
  };
}

function rateChart({ name, course }: StoredStage): ChartSpec {
  return {
    title: `${name}: requests due in each second, and those of them that failed`,
    x: 'second',
    y: 'requests',
    logarithmic: false,
    series: [line('due', 0), line('failed', 1)],
    data: [course.second, course.due, course.errors],
  };
}

/** One line for each number of workers; a rate at which one of them was not measured is a gap. */
function kneeChart(points: readonly StoredPoint[]): ChartSpec {
  return byWorkers(points, 'Latency by rate, to the knee', 'submit to result p95, ms', true, (point) =>
    point === undefined ? null : Math.max(0.1, point.resultMs.p95),
  );
}

function costChart(points: readonly StoredPoint[]): ChartSpec {
  return byWorkers(points, 'CPU hours for a million texts', 'hours', false, (point) =>
    point === undefined ? null : point.cpuHoursPerMillion,
  );
}

function byWorkers(
  points: readonly StoredPoint[],
  title: string,
  y: string,
  logarithmic: boolean,
  valueOf: (point: StoredPoint | undefined) => number | null,
): ChartSpec {
  const rates = [...new Set(points.map(({ ratePerSecond }) => ratePerSecond))].sort((a, b) => a - b);
  const counts = [...new Set(points.map(({ workers }) => workers))].sort((a, b) => a - b);
  const values = counts.map((workers) =>
    rates.map((rate) => valueOf(points.find((one) => one.workers === workers && one.ratePerSecond === rate))),
  );
  return {
    title,
    x: 'texts per second',
    y,
    logarithmic,
    series: counts.map((workers, index) => ({
      ...line(`${workers} worker${workers > 1 ? 's' : ''}`, index),
      points: true,
    })),
    data: [rates, ...values],
  };
}

function line(label: string, index: number): ChartSpec['series'][number] {
  return { label, stroke: colours[index % colours.length] ?? colours[0], points: false };
}
