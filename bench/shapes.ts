// How the system goes through a load that changes: the shapes of the former load test, a long run, and users who hardly
// wait. By default a quarter of the former lengths, which shows the peaks and the way back, but neither what grows
// over hours nor a queue that builds up slowly: --stretch 4 gives the former lengths, more a longer soak.

import { createHttpClient } from './http-client.ts';
import { uniqueTexts } from './mix-texts.ts';
import type { BenchOptions } from './options.ts';
import { planArrivals, type Visit } from './personas.ts';
import { readMemoryMb } from './machine.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { runStage, skipOf, stageHead, type StageResult, stageRow } from './stage.ts';
import { startSystem } from './system.ts';

type ShapeName = 'steady' | 'step' | 'spike' | 'soak' | 'peak';

interface Shape {
  readonly users: number;
  readonly seconds: number;
  readonly visits: readonly (readonly Visit[])[];
  readonly only?: string;
}

/** What the users saw while their number stayed the same. */
interface Level {
  readonly users: number;
  readonly fromSecond: number;
  readonly toSecond: number;
  readonly requestsPerSecond: number;
  /** The median over the seconds of each second's 95th percentile. */
  readonly resultP95Ms: number;
  readonly errors: number;
}

const connectionsMax = 8000;
const skipSecondsMax = 3;

/** @returns whether nothing that was accepted got lost and few requests failed. */
export async function measureShape(name: ShapeName, options: BenchOptions): Promise<boolean> {
  const { seed } = options;
  const started = startReport();
  const shape = shapes[name](options.users, options.stretch);
  const texts = uniqueTexts(seed);
  const arrivals = planArrivals({ ...shape, texts, people: shape.users, seed });
  const system = await startSystem({ profile: true });
  const client = createHttpClient(system.url, { connectionsMax, timeoutMs: 30_000 });
  const memoryBefore = readMemoryMb({ ...system.pids });
  const { users, seconds } = shape;
  const skipSeconds = skipOf(seconds, skipSecondsMax);
  const stage = await runStage(system, client, { name, users, arrivals, seconds, skipSeconds });
  const memoryAfter = readMemoryMb({ ...system.pids });
  client.close();
  await system.stop();
  printTable(stageHead, [stageRow(stage)]);
  const levels = levelsOf(shape, stage);
  printTable(
    ['users', 'from s', 'to s', 'requests/s', 'result p95 ms', 'errors'],
    levels.map((level) => Object.values(level)),
  );
  return writeReport(started, {
    part: name,
    seed,
    kind: 'emotion',
    settings: { users, seconds, stretch: options.stretch, texts: texts.description },
    rounds: { stages: [stage] },
    summary: { levels, memoryMb: { before: memoryBefore, after: memoryAfter } },
    figures: [
      {
        name: `${name}: errors per request`,
        value: round(stage.errorRate, 5),
        bound: 0.001,
        aim: 0,
        holds: 'at most',
      },
      {
        name: `${name}: accepted jobs that did not end`,
        value: stage.unfinished,
        bound: 0,
        holds: 'at most',
      },
      { name: `${name}: seconds until all was done`, value: stage.drainSeconds, holds: 'at most', aim: 5 },
    ],
  });
}

/** The parts of the stage between two changes of the number of users. */
function levelsOf({ visits, seconds }: Shape, { course }: StageResult): readonly Level[] {
  const changes = new Set(visits.flatMap((own) => own.flatMap(({ from, to }) => [from, to])));
  const edges = [...changes].filter((at) => at < seconds).sort((a, b) => a - b);
  return edges.map((fromSecond, index) => {
    const toSecond = edges[index + 1] ?? seconds;
    const within = course.second.filter((second) => second >= fromSecond && second < toSecond);
    const sumOf = (values: readonly number[]) =>
      within.reduce((sum, second) => sum + (values[second] ?? 0), 0);
    return {
      users: visits.filter((own) => own.some(({ from, to }) => from <= fromSecond && to > fromSecond)).length,
      fromSecond: round(fromSecond, 1),
      toSecond: round(toSecond, 1),
      requestsPerSecond: round(sumOf(course.due) / Math.max(1, within.length), 1),
      resultP95Ms: median(within.flatMap((second) => course.resultP95[second] ?? [])),
      errors: sumOf(course.errors),
    };
  });
}

/** A quarter of the former lengths at stretch 1. */
const shapes: Readonly<Record<ShapeName, (users: number, stretch: number) => Shape>> = {
  steady: (users, stretch) => constant(users, 60 * stretch),
  /** A tenth of the users more every 15 s (the former test: 60 s), ten times. */
  step: (users, stretch) => {
    const stepSeconds = 15 * stretch;
    const seconds = 10 * stepSeconds;
    const visits = Array.from({ length: users }, (_, user) => [
      { from: Math.floor((10 * user) / users) * stepSeconds, to: seconds },
    ]);
    return { users, seconds, visits };
  },
  /** A tenth of the users, all, a tenth, all: 15 s each (the former test: 60 s). */
  spike: (users, stretch) => {
    const part = 15 * stretch;
    const visits = Array.from({ length: users }, (_, user) =>
      user % 10 === 0
        ? [{ from: 0, to: 4 * part }]
        : [
            { from: part, to: 2 * part },
            { from: 3 * part, to: 4 * part },
          ],
    );
    return { users, seconds: 4 * part, visits };
  },
  soak: (users, stretch) => constant(Math.round(users / 2), 150 * stretch),
  /** The former test had this persona switched off; 1 of its users asks as often as 7 of the others. */
  peak: (users, stretch) => ({ ...constant(Math.round(users / 10), 30 * stretch), only: 'peak' }),
};

function constant(users: number, seconds: number): Shape {
  return { users, seconds, visits: Array.from({ length: users }, () => [{ from: 0, to: seconds }]) };
}
