// Cancels that race completion, and cancels of jobs that wait behind a backlog: how each is answered, how long that
// takes, and what the ledger, the job, its result and its events say of it afterwards.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { countRows, type Ledger, openLedger } from './ledger.ts';
import type { BenchOptions } from './options.ts';
import { createRandom } from './random.ts';
import { median, printTable, quantile, round, startReport, writeReport } from './report.ts';
import { startSystem } from './system.ts';
import { readTexts } from './texts.ts';

const cancels = 1000;
const lanes = 10;
/** Jobs whose time to their end, in the middle, says how late a cancel may come to be too late about half of the time. */
const pacers = 200;
/** Keeps two workers busy for longer than the queued jobs take to be canceled. */
const backlog = { jobs: 300, items: 100 } as const;
const endMsMax = 120_000;

const jobSchema = z.object({ id: z.string(), status: z.string(), result: z.unknown() });

interface Cancel {
  readonly id: string;
  /** 200 canceled at once, 202 in a worker's hands, 409 too late. */
  readonly status: number;
  readonly ms: number;
}

/** @returns whether no job is both canceled and with a result, and queued cancels are quick. */
export async function measureCancel(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const random = createRandom(options.seed);
  const { source, texts } = readTexts(options.texts, options.seed);
  const ledger = openLedger();
  const system = await startSystem();
  const client = createHttpClient(system.url, { connectionsMax: 64, timeoutMs: 70_000 });
  const raceMsMax = 2 * (await timeToEnd(client, texts));
  const racing = await race(client, texts, { random, raceMsMax });
  const queued = await cancelQueued(client, ledger, texts);
  const all = [...racing, ...queued];
  await untilEnded(ledger);
  const books = await audit(client, ledger, all);
  client.close();
  await Promise.all([ledger.end(), system.stop()]);

  const summary = { racing: summarize(racing), queued: summarize(queued), books };
  printTable(
    ['cancels', 'at once', 'in a worker', 'too late', 'at once: p50 ms', 'p95 ms', 'p99 ms', 'max ms'],
    Object.entries({ racing: summary.racing, 'behind a backlog': summary.queued }).map(([name, one]) => [
      name,
      one.atOnce,
      one.inWorker,
      one.tooLate,
      one.p50Ms,
      one.p95Ms,
      one.p99Ms,
      one.maxMs,
    ]),
  );
  const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;
  const within50 = (name: string, value: number) => ({ name, value, bound: 50, holds: 'at most' }) as const;
  return writeReport(started, {
    part: 'cancel',
    seed: options.seed,
    kind: 'emotion',
    settings: { source, cancels, lanes, raceMsMax: round(raceMsMax, 1), backlog },
    rounds: { racing, queued },
    summary,
    figures: [
      {
        name: 'cancels answered 200, 202 or 409',
        value: books.answered,
        bound: all.length,
        holds: 'at least',
      },
      none('canceled jobs with an analysis or a fact in the ledger', books.canceledWithAnalysis),
      none('canceled jobs that show a result', books.canceledWithResult),
      none('canceled jobs whose result route answers 200', books.canceledWithResultRoute),
      none('jobs with an event of each end', books.twoEnds),
      none('answers that the ledger contradicts', books.contradicted),
      within50('racing: answered at once, p99 ms', summary.racing.p99Ms),
      within50('behind a backlog: answered at once, p99 ms', summary.queued.p99Ms),
    ],
  });
}

/** Milliseconds from submit to result, in the middle, as many at once as will race; it warms the system up as well. */
async function timeToEnd(client: HttpClient, texts: readonly string[]): Promise<number> {
  const took: number[] = [];
  await inLanes(pacers, async (index) => {
    const sentMs = performance.now();
    await submit(client, pairOf(texts, index), { Prefer: 'wait=60' });
    took.push(performance.now() - sentMs);
  });
  return median(took);
}

/** Each lane submits a job of two texts and cancels it a moment later, of a length by chance. */
async function race(
  client: HttpClient,
  texts: readonly string[],
  { random, raceMsMax }: { readonly random: () => number; readonly raceMsMax: number },
): Promise<readonly Cancel[]> {
  const done: Cancel[] = [];
  const pauses = Array.from({ length: cancels }, () => random() * raceMsMax);
  await inLanes(cancels, async (index) => {
    const id = await submit(client, pairOf(texts, index));
    await delay(pauses[index]);
    done.push(await cancel(client, id));
  });
  return done;
}

async function inLanes(count: number, work: (index: number) => Promise<void>): Promise<void> {
  const turns = Array.from({ length: count }, (_, index) => index).values();
  const lane = async (): Promise<void> => {
    for (const index of turns) await work(index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function pairOf(texts: readonly string[], index: number): readonly string[] {
  return [0, 1].map((item) => texts[(2 * index + item) % texts.length] ?? '');
}

/** Jobs of one text behind a backlog on which the workers are busy, canceled one after another. */
async function cancelQueued(
  client: HttpClient,
  ledger: Ledger,
  texts: readonly string[],
): Promise<readonly Cancel[]> {
  const large = Array.from({ length: backlog.items }, (_, index) => texts[index % texts.length] ?? '');
  const filler = buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input: { texts: large } } });
  await sendAll(
    client,
    Array.from({ length: backlog.jobs }, () => filler),
    16,
  );
  const behind = texts
    .slice(0, cancels)
    .map((text) => buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input: { text } } }));
  const ids = (await sendAll(client, behind, 64)).map(({ body }) => jobSchema.parse(JSON.parse(body)).id);
  const done: Cancel[] = [];
  for (const id of ids) done.push(await cancel(client, id));
  const left = await countRows(ledger, `jobs WHERE status = 'queued' AND item_count = $1`, [backlog.items]);
  if (left === 0) throw new Error('the backlog was gone before the last cancel');
  const { rows } = await ledger.query<{ id: string }>(
    `SELECT id FROM jobs WHERE ended_at IS NULL AND item_count = $1`,
    [backlog.items],
  );
  await sendAll(
    client,
    rows.map((row) => cancelRequest(`job_${row.id}`)),
    16,
  );
  return done;
}

async function submit(
  client: HttpClient,
  texts: readonly string[],
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const request = buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input: { texts } }, headers });
  return jobSchema.parse(JSON.parse((await client.send(request)).body)).id;
}

const cancelRequest = (id: string) => buildRequest('POST', `/v1/jobs/${id}/cancel`);

async function cancel(client: HttpClient, id: string): Promise<Cancel> {
  const request = cancelRequest(id);
  const sentMs = performance.now();
  const { status } = await client.send(request);
  return { id, status, ms: round(performance.now() - sentMs, 3) };
}

async function untilEnded(ledger: Ledger): Promise<void> {
  const deadline = performance.now() + endMsMax;
  while ((await countRows(ledger, 'jobs WHERE ended_at IS NULL')) > 0) {
    if (performance.now() > deadline) throw new Error('jobs did not end');
    await delay(100);
  }
}

/** What is said of the jobs in each place where something is said of them. */
async function audit(client: HttpClient, ledger: Ledger, all: readonly Cancel[]) {
  const ids = all.map(({ id }) => id.slice('job_'.length));
  const get = async (path: (id: string) => string) =>
    sendAll(
      client,
      all.map(({ id }) => buildRequest('GET', path(id))),
      16,
    );
  const jobs = (await get((id) => `/v1/jobs/${id}`)).map(({ body }) => jobSchema.parse(JSON.parse(body)));
  const results = await get((id) => `/v1/jobs/${id}/result`);
  const wanted: Readonly<Record<number, string>> = { 200: 'canceled', 202: 'canceled', 409: 'succeeded' };
  const canceled = (index: number) => jobs[index]?.status === 'canceled';
  return {
    answered: all.filter(({ status }) => wanted[status] !== undefined).length,
    canceledWithAnalysis: await countRows(
      ledger,
      `jobs j WHERE j.id = ANY($1::uuid[]) AND j.status = 'canceled' AND (
        EXISTS (SELECT FROM analyses a WHERE a.tenant_id = j.tenant_id AND a.job_id = j.id) OR
        EXISTS (SELECT FROM facts f WHERE f.tenant_id = j.tenant_id AND f.job_id = j.id))`,
      [ids],
    ),
    canceledWithResult: jobs.filter((job, index) => canceled(index) && job.result !== null).length,
    canceledWithResultRoute: results.filter(({ status }, index) => canceled(index) && status === 200).length,
    twoEnds: await countRows(
      ledger,
      `(SELECT job_id FROM job_events WHERE job_id = ANY($1::uuid[]) AND type IN
        ('job.succeeded', 'job.failed', 'job.canceled', 'job.expired') GROUP BY 1 HAVING count(*) <> 1) ends`,
      [ids],
    ),
    contradicted: all.filter(({ status }, index) => wanted[status] !== jobs[index]?.status).length,
  };
}

function summarize(cancelsOfOne: readonly Cancel[]) {
  const count = (wanted: number) => cancelsOfOne.filter(({ status }) => status === wanted).length;
  const ms = cancelsOfOne.filter(({ status }) => status === 200).map((one) => one.ms);
  const at = (part: number) => round(quantile(ms, part), 1);
  return {
    atOnce: count(200),
    inWorker: count(202),
    tooLate: count(409),
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    maxMs: at(1),
  };
}
