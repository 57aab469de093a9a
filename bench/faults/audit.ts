// The books after a run with faults: what was accepted against what the ledger and the API say of it.

import { z } from 'zod';
import type { Pool } from '../../db/client.ts';

/** Counts that must be zero, but for `accepted`, `terminal` and the recovery times. */
export interface Audit {
  readonly accepted: number;
  readonly terminal: number;
  /** Accepted jobs that the ledger does not have, or that are not terminal. */
  readonly lost: number;
  /** Jobs in the ledger that no client was told of; a 503 or a broken connection may leave some. */
  readonly unknown: number;
  readonly failed: number;
  readonly withoutOneTerminalEvent: number;
  readonly withGapInEvents: number;
  /** Items with no analysis or with more than one. */
  readonly itemsNotAnalysedOnce: number;
  readonly analysesWithoutItem: number;
  /** Jobs that the API shows otherwise than the ledger has them. */
  readonly shownOtherwise: number;
  /** Jobs that took more than one attempt: normal after a kill, a fault after a graceful stop. */
  readonly reExecuted: number;
  /** Longest time from the end of a lost attempt's worker to the start of the next attempt, in seconds. */
  readonly slowestRecoverySeconds: number;
}

const countsSchema = z.object({
  terminal: z.number(),
  known: z.number(),
  total: z.number(),
  failed: z.number(),
  without_one_terminal_event: z.number(),
  with_gap_in_events: z.number(),
  items_not_analysed_once: z.number(),
  analyses_without_item: z.number(),
  re_executed: z.number(),
});

const countsSql = `
WITH accepted AS (SELECT unnest($1::uuid[]) AS id),
events AS (
  SELECT job_id, count(*) AS count, max(sequence) AS last,
    count(*) FILTER (WHERE type IN ('job.succeeded', 'job.failed', 'job.canceled', 'job.expired')) AS terminal
  FROM job_events GROUP BY job_id
), analysed AS (SELECT job_id, count(*) AS count, count(DISTINCT item_index) AS items FROM analyses GROUP BY job_id)
SELECT
  count(*) FILTER (WHERE a.id IS NOT NULL AND j.status IN ('succeeded', 'failed', 'canceled', 'expired'))::integer AS terminal,
  count(*) FILTER (WHERE a.id IS NOT NULL)::integer AS known,
  count(*)::integer AS total,
  count(*) FILTER (WHERE j.status <> 'succeeded' OR j.failed_count > 0)::integer AS failed,
  count(*) FILTER (WHERE coalesce(e.terminal, 0) <> 1)::integer AS without_one_terminal_event,
  count(*) FILTER (WHERE e.count <> e.last OR e.last <> j.event_sequence)::integer AS with_gap_in_events,
  coalesce(sum(abs(j.item_count - coalesce(n.items, 0)) + coalesce(n.count - n.items, 0)), 0)::integer AS items_not_analysed_once,
  (SELECT count(*) FROM analyses x LEFT JOIN items i ON i.tenant_id = x.tenant_id AND i.job_id = x.job_id
    AND i.index = x.item_index WHERE i.job_id IS NULL)::integer AS analyses_without_item,
  count(*) FILTER (WHERE j.attempt > 1)::integer AS re_executed
FROM jobs j LEFT JOIN accepted a ON a.id = j.id LEFT JOIN events e ON e.job_id = j.id LEFT JOIN analysed n ON n.job_id = j.id`;

const attemptsSchema = z.array(z.object({ started_at: z.string(), worker: z.string() }));

/**
 * @param args.accepted ids of the jobs that were answered with 202
 * @param args.diedAt when each killed worker died (milliseconds since 1970), by its name in the ledger
 */
export async function audit(args: {
  readonly owner: Pool;
  readonly api: string;
  readonly accepted: readonly string[];
  readonly diedAt: ReadonlyMap<string, number>;
}): Promise<Audit> {
  const { owner, accepted } = args;
  const { rows } = await owner.query(countsSql, [accepted.map((id) => id.slice('job_'.length))]);
  const counts = countsSchema.parse(rows[0]);
  return {
    accepted: accepted.length,
    terminal: counts.terminal,
    lost: accepted.length - counts.terminal,
    unknown: counts.total - counts.known,
    failed: counts.failed,
    withoutOneTerminalEvent: counts.without_one_terminal_event,
    withGapInEvents: counts.with_gap_in_events,
    itemsNotAnalysedOnce: counts.items_not_analysed_once,
    analysesWithoutItem: counts.analyses_without_item,
    shownOtherwise: await countShownOtherwise(args.api, accepted),
    reExecuted: counts.re_executed,
    slowestRecoverySeconds: await measureRecovery(owner, args.diedAt),
  };
}

const shownSchema = z.object({
  status: z.string(),
  counts: z.object({ total: z.number(), succeeded: z.number() }),
  result: z.object({ items: z.array(z.object({ index: z.number(), status: z.string() })) }),
});

/** Every accepted job, asked for over HTTP as its client would. */
async function countShownOtherwise(api: string, accepted: readonly string[]): Promise<number> {
  let wrong = 0;
  const waiting = accepted.values();
  const lane = async (): Promise<void> => {
    for (const id of waiting) {
      const response = await fetch(`${api}/v1/jobs/${id}`, { signal: AbortSignal.timeout(60_000) });
      const shown = shownSchema.safeParse(await response.json()).data;
      const whole = shown?.status === 'succeeded' && shown.result.items.length === shown.counts.total;
      if (!whole) wrong += 1;
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
  return wrong;
}

async function measureRecovery(owner: Pool, diedAt: ReadonlyMap<string, number>): Promise<number> {
  const { rows } = await owner.query<{ attempts: unknown }>('SELECT attempts FROM jobs WHERE attempt > 1');
  const seconds = rows.flatMap(({ attempts }) => {
    const list = attemptsSchema.parse(attempts);
    return list.slice(1).flatMap(({ started_at: startedAt }, index) => {
      const died = diedAt.get(list[index]?.worker ?? '');
      return died === undefined ? [] : [(Date.parse(startedAt) - died) / 1000];
    });
  });
  return Math.max(0, ...seconds);
}
