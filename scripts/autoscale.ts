// Adds and drains analysis workers while the launcher runs: looks at the ledger once a second and does what the rule
// says. A drained worker gets SIGTERM, finishes what it has and takes no more, so nothing is run twice.

import { setTimeout as delay } from 'node:timers/promises';
import { createPool } from '../db/client.ts';
import { measureLines } from '../db/queue-age.ts';
import { describeError } from './describe-error.ts';
import { createScaleRule, type ScaleRule } from './scale-rule.ts';
import type { Supervised } from './supervise.ts';

export interface Autoscaler {
  /** Resolves when a worker that was added was given up. */
  readonly failed: Promise<Error>;
  /** Stops looking, then every worker that was added, each with `limitMs` for its drain. */
  readonly stop: (limitMs: number) => Promise<void>;
}

const lookMs = 1000;

/**
 * @param options.spare starts the workers that may be added, in this order; drained in the reverse order
 * @param options.drainMs how long a worker may take to end
 */
export function startAutoscaler(options: {
  readonly databaseUrl: string;
  readonly rule: ScaleRule;
  readonly spare: readonly { readonly label: string; readonly start: () => Supervised }[];
  readonly drainMs: number;
  readonly say: (text: string) => void;
}): Autoscaler {
  const { rule, spare, say } = options;
  const pool = createPool(options.databaseUrl, { role: 'worker', max: 1, statementTimeoutMs: 5000 });
  const decide = createScaleRule(rule);
  const added: Supervised[] = [];
  const stopping = new AbortController();
  let onFailed: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => (onFailed = resolve));

  const look = async (): Promise<void> => {
    const lines = await measureLines(pool);
    const first = lines.reduce((least, line) => Math.min(least, line.firstQueuedAt.getTime()), Infinity);
    const oldestAgeMs = lines.length === 0 ? undefined : Date.now() - first;
    const move = decide({ nowMs: performance.now(), oldestAgeMs, workers: rule.min + added.length });
    const age =
      oldestAgeMs === undefined ? 'nothing waits' : `the first in line has waited ${oldestAgeMs} ms`;
    if (move === 'add') add(age);
    if (move === 'drain') await drain(age);
  };
  const add = (why: string): void => {
    const next = spare[added.length];
    if (next === undefined || stopping.signal.aborted) return;
    say(`${why}: adding ${next.label}`);
    const worker = next.start();
    added.push(worker);
    void worker.failed.then(onFailed);
  };
  const drain = async (why: string): Promise<void> => {
    const label = spare[added.length - 1]?.label ?? '';
    say(`${why}: draining ${label}`);
    await added.at(-1)?.stop(options.drainMs);
    added.pop();
    say(`${label} has ended`);
  };
  const loop = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look().catch((error: unknown) =>
        say(`autoscale: the ledger could not be asked: ${describeError(error)}`),
      );
      await delay(lookMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const ended = loop();
  return {
    failed,
    stop: async (limitMs) => {
      stopping.abort();
      await Promise.all(added.map((worker) => worker.stop(limitMs)));
      await ended;
      await pool.end();
    },
  };
}
