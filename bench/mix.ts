// The former system's promise: 1,000 users of the five personas. How much of that crowd the system serves within the
// goal with every text new and so nothing cached, the generator on the same cores; then, named `repeated`, the same with
// the two thousand inputs over and over that the former test had, which the workers' caches know after a while.

import { createHttpClient } from './http-client.ts';
import { repeatedTexts, type TextSource, uniqueTexts } from './mix-texts.ts';
import type { BenchOptions } from './options.ts';
import { planArrivals, ratesOf } from './personas.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { drain, runStage, skipOf, stageHead, type StageResult, stageRow } from './stage.ts';
import { startSystem } from './system.ts';
import { warmUp, warmUpRequests } from './warm-up.ts';

const usersOfMix = 1000;
const skipSecondsMax = 3;
/** Of the whole mix: `warmUpRequests` and some more. */
const warmUpSeconds = 8;
/** Steps in which a share is looked for, as twentieths of the mix. */
const grain = 20;
const firstShare = 16;
const goal = { p95Ms: 500, errorRate: 0.001 };
const repeatedPeople = 100;
const connectionsMax = 4000;

/** @returns whether the promise holds. */
export async function measureMix(options: BenchOptions): Promise<boolean> {
  const { seed, rounds = 3, seconds = 12 } = options;
  const skipSeconds = skipOf(seconds, skipSecondsMax);
  const started = startReport();
  const unique = uniqueTexts(seed);
  const repeated = repeatedTexts(seed);
  const system = await startSystem({ profile: true, cache: true });
  const client = createHttpClient(system.url, { connectionsMax, timeoutMs: 30_000 });
  const stages: StageResult[] = [];
  const run = async (share: number, texts: TextSource, name: string): Promise<StageResult> => {
    const users = Math.round((usersOfMix * share) / grain);
    const people = texts === unique ? users : repeatedPeople;
    const visits = Array.from({ length: users }, () => [{ from: 0, to: seconds }]);
    const arrivals = planArrivals({ visits, texts, people, seed: seed + stages.length });
    const stage = await runStage(system, client, { name, users, arrivals, seconds, skipSeconds });
    stages.push(stage);
    printTable(stageHead, [stageRow(stage)]);
    return stage;
  };
  const crowd = Array.from({ length: usersOfMix }, () => [{ from: 0, to: warmUpSeconds }]);
  await warmUp(
    system,
    client,
    planArrivals({ visits: crowd, texts: unique, people: usersOfMix, seed: seed - 1 }),
  );
  const search = await findShare((share) => run(share, unique, `unique, ${nameOf(share)}`), rounds);
  const whole = stages.find(({ name }) => name === `unique, ${nameOf(grain)}`);
  const full = whole ?? (await run(grain, unique, `unique, ${nameOf(grain)}`));
  const again: StageResult[] = [];
  for (let number = 0; number < rounds; number++) {
    again.push(await run(grain, repeated, `repeated, ${nameOf(grain)}`));
  }
  const unfinished = await drain(system);
  client.close();
  await system.stop();
  const spared = (all: readonly StageResult[]) =>
    all.reduce((sum, { cache }) => sum + cache.hits + cache.coalesced, 0);
  const asked = (all: readonly StageResult[]) =>
    spared(all) + all.reduce((sum, { cache }) => sum + cache.misses, 0);
  const spareUnique = spared(stages.filter(({ name }) => name.startsWith('unique')));
  const hitShare = round(spared(again) / asked(again), 3);
  const middle = (all: readonly StageResult[], of: (stage: StageResult) => number) => median(all.map(of));
  console.log(`whole mix: ${JSON.stringify(roundRates(ratesOf(usersOfMix)))} a second`);
  return writeReport(started, {
    part: 'mix',
    seed,
    kind: 'emotion',
    settings: {
      rounds,
      seconds,
      skipSeconds,
      warmUpRequests,
      goal,
      perSecond: roundRates(ratesOf(usersOfMix)),
      texts: { unique: unique.description, repeated: repeated.description },
      cache: `on; unique texts: ${spareUnique} known; repeated: ${hitShare} known, empty at the first of the rounds`,
      people: 'unique: one id for each user; repeated: 100 ids, as the former test had',
      generator: 'in one process on the same cores',
    },
    rounds: { stages },
    summary: { share: search.share / grain, unfinished, hitShare },
    figures: [
      {
        name: 'share of the mix with submit to result p95 < 500 ms and errors < 0.1 %, unique texts',
        value: search.share / grain,
        bound: 0.8,
        aim: 1,
        holds: 'at least',
      },
      {
        name: 'whole mix, unique texts: p95 ms',
        value: full.resultMs.p95,
        aim: 200,
        holds: 'at most',
      },
      { name: 'whole mix, unique texts: p99 ms', value: full.resultMs.p99, aim: 500, holds: 'at most' },
      { name: 'whole mix, unique texts: errors', value: full.errors, aim: 0, holds: 'at most' },
      {
        name: 'whole mix, 2,000 repeated texts, cached: p95 ms',
        value: round(
          middle(again, ({ resultMs }) => resultMs.p95),
          1,
        ),
        bound: 200,
        aim: 50,
        holds: 'at most',
      },
      {
        name: 'whole mix, 2,000 repeated texts, cached: p99 ms',
        value: round(
          middle(again, ({ resultMs }) => resultMs.p99),
          1,
        ),
        bound: 500,
        holds: 'at most',
      },
      {
        name: 'unique texts that were not run, since they were known',
        value: spareUnique,
        bound: 0,
        holds: 'at most',
      },
      { name: 'accepted jobs that did not end', value: unfinished, bound: 0, holds: 'at most' },
    ],
  });
}

/**
 * The highest share, in twentieths, that meets the goal: halves what is left until two neighbours are told apart, then
 * holds the higher one to the median of `rounds` stages and goes down while it does not hold.
 */
export async function findShare(
  run: (share: number) => Promise<Pick<StageResult, 'resultMs' | 'errorRate'>>,
  rounds: number,
): Promise<{ readonly share: number }> {
  let good = 0;
  let bad = grain + 1;
  for (let next = firstShare; bad - good > 1; next = chooseNext(good, bad)) {
    if (meets(await run(next))) good = next;
    else bad = next;
  }
  for (; good > 0; good--) {
    const again = [];
    for (let number = 0; number < rounds; number++) again.push(await run(good));
    const p95 = median(again.map(({ resultMs }) => resultMs.p95));
    const errorRate = median(again.map((stage) => stage.errorRate));
    if (p95 < goal.p95Ms && errorRate < goal.errorRate) break;
  }
  return { share: good };
}

/** The whole mix next, once four fifths of it hold; else the middle. */
function chooseNext(good: number, bad: number): number {
  return good === firstShare && bad > grain ? grain : Math.floor((good + bad) / 2);
}

function meets({ resultMs, errorRate }: Pick<StageResult, 'resultMs' | 'errorRate'>): boolean {
  return resultMs.p95 < goal.p95Ms && errorRate < goal.errorRate;
}

function nameOf(share: number): string {
  return `${round((100 * share) / grain, 0)} %`;
}

function roundRates(rates: ReturnType<typeof ratesOf>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(rates).map(([name, rate]) => [name, round(rate, 1)]));
}
