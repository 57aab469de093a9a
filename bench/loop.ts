// The longest time in which the event loop of a process ran nothing else, while the mix keeps the cores busy. Each
// process measures its own (perf_hooks, every 10 ms, which a gap includes) and shows it as
// nodejs_eventloop_lag_max_seconds, the longest since it was last read.

import { createHttpClient } from './http-client.ts';
import { uniqueTexts } from './mix-texts.ts';
import type { BenchOptions } from './options.ts';
import { planArrivals } from './personas.ts';
import { printTable, startReport, writeReport } from './report.ts';
import { runStage, skipOf, type StageResult } from './stage.ts';
import { startSystem } from './system.ts';

/** Half of the whole mix: the cores are busy, and hardly a queue stands. */
const users = 500;
const skipSecondsMax = 2;

/** @returns whether no loop of API and workers stood longer than its bound, in any round. */
export async function measureLoop({ seed, rounds = 5, seconds = 10 }: BenchOptions): Promise<boolean> {
  const skipSeconds = skipOf(seconds, skipSecondsMax);
  const started = startReport();
  const texts = uniqueTexts(seed);
  const system = await startSystem({ profile: true });
  const client = createHttpClient(system.url, { connectionsMax: 4000, timeoutMs: 30_000 });
  const visits = Array.from({ length: users }, () => [{ from: 0, to: seconds }]);
  const stages: StageResult[] = [];
  // The first, in which code is compiled and connections are opened, only warms.
  for (let number = 0; number <= rounds; number++) {
    const arrivals = planArrivals({ visits, texts, people: users, seed: seed + number });
    const name = `round ${number}`;
    stages.push(await runStage(system, client, { name, users, arrivals, seconds, skipSeconds }));
  }
  client.close();
  await system.stop();
  const counted = stages.slice(1);
  const names = Object.keys(counted[0]?.loopGapMs ?? {});
  printTable(
    ['loop gap ms', ...names],
    counted.map(({ name, loopGapMs }) => [name, ...names.map((process) => loopGapMs[process] ?? 0)]),
  );
  const longest = (process: string) => Math.max(...counted.map(({ loopGapMs }) => loopGapMs[process] ?? NaN));
  return writeReport(started, {
    part: 'loop',
    seed,
    kind: 'emotion',
    settings: { rounds, seconds, users, texts: texts.description, resolutionMs: 10 },
    rounds: counted.map(({ name, loopGapMs, machine, cores, resultMs }) => {
      return { name, loopGapMs, machine, cores, resultMs };
    }),
    summary: { longestMs: Object.fromEntries(names.map((name) => [name, longest(name)])) },
    figures: [
      {
        name: 'longest event-loop gap, API, ms',
        value: longest('api'),
        bound: 100,
        aim: 20,
        holds: 'at most',
      },
      {
        name: 'longest event-loop gap, analysis workers, ms',
        value: longest('analysis'),
        bound: 100,
        aim: 20,
        holds: 'at most',
      },
    ],
  });
}
