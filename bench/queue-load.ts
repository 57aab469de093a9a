// Load for what is measured of the queue: jobs of some texts, sent by clients that wait for their results or at moments
// that were planned, and what the system says of all jobs afterwards.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type Answer, buildRequest, type HttpClient } from './http-client.ts';

/** What these measurements need to know of a job. */
const jobSchema = z.object({
  id: z.string(),
  status: z.string(),
  priority: z.enum(['high', 'normal', 'low']),
  created_at: z.iso.datetime(),
  started_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
  deadline_at: z.iso.datetime().nullable(),
  counts: z.object({ total: z.number() }),
  timing_ms: z.object({ persist: z.number() }).nullable(),
});

export interface SeenJob {
  readonly id: string;
  readonly status: string;
  readonly priority: 'high' | 'normal' | 'low';
  readonly items: number;
  readonly createdMs: number;
  /** NaN for what did not happen. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly deadlineMs: number;
  /** When the models were done with it. */
  readonly inferredMs: number;
}

export type Headers = Readonly<Record<string, string>>;

/** A job of `items` texts, taken from `texts` from the place `from` on. */
export function buildJob(
  texts: readonly string[],
  from: number,
  items: number,
  more: { readonly fields?: Readonly<Record<string, unknown>>; readonly headers?: Headers } = {},
): Buffer {
  const own = Array.from({ length: items }, (_, index) => texts[(from + index) % texts.length] ?? '');
  const body = { kind: 'emotion', input: { texts: own }, ...more.fields };
  return buildRequest('POST', '/v1/jobs', { body, ...(more.headers && { headers: more.headers }) });
}

/** Clients that each wait for their result, or as they are told, before they send a job, for `seconds`. @returns jobs that ended. */
export async function sendInLoops(
  client: HttpClient,
  clients: number,
  seconds: number,
  job: (index: number) => Buffer,
): Promise<number> {
  const endMs = performance.now() + seconds * 1000;
  let next = 0;
  let ended = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const { status, body, retryAfterSeconds = 0 } = await client.send(job(next++));
      if (status === 503) await delay(Math.min(retryAfterSeconds * 1000, endMs - performance.now()));
      else if (status !== 200) throw new Error(`a job was not done: ${status} ${body}`);
      else if (performance.now() < endMs) ended += 1;
    }
  };
  await Promise.all(Array.from({ length: clients }, loop));
  return ended;
}

/** Sends the jobs each at its moment, in milliseconds from now, however slow the answers are. */
export async function sendAt(
  client: HttpClient,
  momentsMs: readonly number[],
  job: (index: number) => Buffer,
): Promise<readonly Answer[]> {
  const startMs = performance.now();
  const sent: Promise<Answer>[] = [];
  for (const [index, momentMs] of momentsMs.entries()) {
    const earlyMs = startMs + momentMs - performance.now();
    if (earlyMs > 0) await delay(earlyMs);
    sent.push(client.send(job(index)));
  }
  return Promise.all(sent);
}

/** Evenly spaced moments for `seconds` at a rate. */
export function momentsAt(ratePerSecond: number, seconds: number): readonly number[] {
  return Array.from(
    { length: Math.round(ratePerSecond * seconds) },
    (_, index) => (index * 1000) / ratePerSecond,
  );
}

const pageSchema = z.object({
  data: z.array(jobSchema),
  has_more: z.boolean(),
  last_id: z.string().nullable(),
});

/** All jobs that were made since `sinceMs`. */
export async function readJobs(
  client: HttpClient,
  sinceMs: number,
  headers: Headers = {},
): Promise<readonly SeenJob[]> {
  const found: SeenJob[] = [];
  const created = encodeURIComponent(new Date(sinceMs).toISOString());
  for (let after = ''; ; ) {
    const path = `/v1/jobs?limit=100&created_after=${created}${after}`;
    const { status, body } = await client.send(buildRequest('GET', path, { headers }));
    if (status !== 200) throw new Error(`the list was refused: ${status} ${body}`);
    const page = pageSchema.parse(JSON.parse(body));
    found.push(...page.data.map(toSeen));
    if (!page.has_more || page.last_id === null) return found;
    after = `&after=${page.last_id}`;
  }
}

/** Waits until nothing that was made since `sinceMs` is unfinished. @throws Error after `limitMs` */
export async function untilDrained(
  client: HttpClient,
  sinceMs: number,
  limitMs = 120_000,
  headers: Headers = {},
): Promise<void> {
  const endMs = performance.now() + limitMs;
  const created = encodeURIComponent(new Date(sinceMs).toISOString());
  const isThere = async (status: string): Promise<boolean> => {
    const path = `/v1/jobs?limit=1&status=${status}&created_after=${created}`;
    const { body } = await client.send(buildRequest('GET', path, { headers }));
    return pageSchema.parse(JSON.parse(body)).data.length > 0;
  };
  while ((await isThere('queued')) || (await isThere('processing'))) {
    if (performance.now() > endMs) throw new Error(`jobs were not finished in ${limitMs} ms`);
    await delay(1000);
  }
}

function toSeen(job: z.infer<typeof jobSchema>): SeenJob {
  const endedMs = Date.parse(job.ended_at ?? '');
  return {
    id: job.id,
    status: job.status,
    priority: job.priority,
    items: job.counts.total,
    createdMs: Date.parse(job.created_at),
    startedMs: Date.parse(job.started_at ?? ''),
    endedMs,
    deadlineMs: Date.parse(job.deadline_at ?? ''),
    inferredMs: endedMs - (job.timing_ms?.persist ?? 0),
  };
}

/** The value below which a share of the values lies. NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

export function sumItems(jobs: readonly SeenJob[]): number {
  return jobs.reduce((sum, { items }) => sum + items, 0);
}
