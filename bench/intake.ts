// How many jobs a second the API records: with group commit as it ships, against one INSERT and one queue call per
// request. No worker runs, so every job stays queued.

import autocannon from 'autocannon';
import { type CpuTimes, microsecondsPerText, readCpuTimes } from './cpu-time.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { type RunningProcess, startApi } from './system.ts';
import { readTexts } from './texts.ts';

const connectionCounts = [64, 1000] as const;

/** Room in Redis for all jobs of the run, and no reading of that room meanwhile: every submit is also enqueued. */
const wideWindow = { POOL_ITEMS_MAX: '4096', WINDOW_POOLS_PER_WORKER: '64', DISPATCH_TICK_MS: '60000' };

const variants = {
  group: wideWindow,
  single: {
    ...wideWindow,
    INTAKE_WINDOW_MS: '0',
    INTAKE_GROUP_JOBS_MAX: '1',
    INTAKE_GROUPS_IN_FLIGHT_MAX: '16',
  },
} as const;

type Variant = keyof typeof variants;

interface IntakeRound {
  readonly variant: Variant;
  readonly connections: number;
  readonly requestsPerSecond: number;
  /** Closed loop: the middle only, a tail measured so would be false. */
  readonly p50Ms: number;
  readonly errors: number;
  readonly cpuMicrosecondsPerRequest: CpuTimes;
}

/** @returns whether the bound of the ratio holds. */
export async function measureIntake(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const apis = { group: await startApi(variants.group), single: await startApi(variants.single) };
  const rounds: IntakeRound[] = [];
  for (const connections of connectionCounts) {
    for (const variant of ['group', 'single'] as const) await attack(apis[variant], connections, 3, options);
    for (let number = 0; number < (options.rounds ?? 5); number++) {
      for (const variant of ['group', 'single'] as const) {
        const found = await attack(apis[variant], connections, options.seconds ?? 6, options);
        rounds.push({ variant, connections, ...found });
      }
    }
  }
  await Promise.all(Object.values(apis).map((api) => api.stop()));
  const summary = connectionCounts.map((connections) => summarize(rounds, connections));
  printSummary(summary);
  return writeReport(started, {
    part: 'intake',
    seed: options.seed,
    kind: 'emotion',
    settings: { ...options, variants, note: 'the first second of each round is not counted' },
    rounds,
    summary,
    figures: [
      {
        name: 'jobs recorded per second, group commit / one INSERT + one add each, 64 connections',
        value: summary[0]?.ratio ?? Number.NaN,
        bound: 1.5,
        holds: 'at least',
      },
    ],
  });
}

/** One body per connection, set once: many bodies per connection cost the generator more than the API. */
async function attack(
  api: RunningProcess,
  connections: number,
  seconds: number,
  { seed }: BenchOptions,
): Promise<Omit<IntakeRound, 'variant' | 'connections'>> {
  const { texts } = readTexts(connections, seed);
  const bodies = texts.map((text) => JSON.stringify({ kind: 'emotion', input: { text } }));
  let next = 0;
  const marks: { readonly atMs: number; readonly answers: number; readonly cpu: CpuTimes }[] = [];
  let answers = 0;
  const mark = () => {
    const cpu = readCpuTimes({ api: api.pid, dispatcher: 0, analysis: [] });
    marks.push({ atMs: performance.now(), answers, cpu });
  };
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const instance = autocannon(
      {
        url: `${api.url}/v1/jobs`,
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        connections,
        duration: seconds,
        setupClient: (client) => client.setBody(bodies[next++ % bodies.length]),
      },
      (error: unknown, ended) => (error ? reject(error) : resolve(ended)),
    );
    instance.on('response', (_client, status) => {
      if (status === 202) answers += 1;
    });
    // From a second after the start, when all connections stand, to shortly before the end.
    setTimeout(mark, 1000);
    setTimeout(mark, seconds * 1000 - 100);
  });
  const [first, last] = marks;
  if (first === undefined || last === undefined) throw new Error('the round was too short');
  const counted = last.answers - first.answers;
  return {
    requestsPerSecond: Math.round((counted / (last.atMs - first.atMs)) * 1000),
    p50Ms: result.latency.p50,
    errors: result.errors + result.non2xx,
    cpuMicrosecondsPerRequest: microsecondsPerText(first.cpu, last.cpu, counted),
  };
}

interface IntakeSummary {
  readonly connections: number;
  readonly ratio: number;
  readonly variants: readonly {
    readonly variant: Variant;
    readonly requestsPerSecond: number;
    readonly p50Ms: number;
    readonly errors: number;
    readonly cpuMicroseconds: Readonly<Record<string, number>>;
  }[];
}

function summarize(all: readonly IntakeRound[], connections: number): IntakeSummary {
  const middle = (['group', 'single'] as const).map((variant) => {
    const rounds = all.filter((one) => one.variant === variant && one.connections === connections);
    const cpu = (name: string) => median(rounds.map((one) => one.cpuMicrosecondsPerRequest[name] ?? 0));
    return {
      variant,
      requestsPerSecond: median(rounds.map((one) => one.requestsPerSecond)),
      p50Ms: median(rounds.map((one) => one.p50Ms)),
      errors: rounds.reduce((sum, one) => sum + one.errors, 0),
      cpuMicroseconds: {
        api: cpu('api'),
        postgres: cpu('postgres'),
        redis: cpu('redis'),
        client: cpu('client'),
      },
    };
  });
  const [group, single] = middle;
  const ratio = (group?.requestsPerSecond ?? 0) / (single?.requestsPerSecond ?? Number.NaN);
  return { connections, ratio: round(ratio, 2), variants: middle };
}

function printSummary(summary: readonly IntakeSummary[]): void {
  printTable(
    [
      'intake',
      'connections',
      'jobs/s',
      'p50 ms',
      'errors',
      'api µs',
      'postgres µs',
      'redis µs',
      'client µs',
      'ratio',
    ],
    summary.flatMap(({ connections, ratio, variants: both }) =>
      both.map(({ variant, requestsPerSecond, p50Ms, errors, cpuMicroseconds }) => [
        variant,
        connections,
        requestsPerSecond,
        p50Ms,
        errors,
        ...['api', 'postgres', 'redis', 'client'].map((name) => cpuMicroseconds[name] ?? 0),
        variant === 'group' ? ratio : '',
      ]),
    ),
  );
}
