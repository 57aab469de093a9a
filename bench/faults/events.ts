// Event streams that are cut anywhere, also within a message, and an API that is killed under them: what each client
// has in the end against what the ledger has.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { completeJobs, retryJobs } from '../../db/attempts.ts';
import { createPool, type Pool } from '../../db/client.ts';
import { insertJobs, type NewJob } from '../../db/submissions.ts';
import { freePort } from '../../scripts/free-port.ts';
import {
  completionOf,
  createLiveSystem,
  type LiveProcess,
  type LiveSystem,
  mustClaimJob,
  newJob,
} from '../../scripts/live-system.ts';
import { formatJobId } from '../../shared/job.ts';
import { createRandom, pickIndex } from '../random.ts';

export interface EventsOptions {
  readonly jobs: number;
  /** Each attempt is a start and a retry, and the last a start and an end. */
  readonly attempts: number;
  readonly cuts: number;
  readonly kills: number;
  readonly seed: number;
}

export interface EventsRun {
  readonly events: number;
  readonly received: number;
  readonly cuts: number;
  /** Cuts after a part of a message had come. */
  readonly cutsWithinMessage: number;
  readonly kills: number;
  /** Streams that a kill ended. */
  readonly streamsKilled: number;
  readonly gaps: number;
  readonly repeats: number;
  /** Jobs of which a client has other events than the ledger. */
  readonly different: number;
}

/** A client's place in the stream of one job. */
interface Follower {
  readonly job: NewJob;
  readonly ids: number[];
  readonly types: string[];
}

interface Tally {
  cuts: number;
  cutsWithinMessage: number;
  streamsKilled: number;
}

/** Bytes after which a stream is cut; a message has about 220. */
const cutBytesMax = 1200;
const retryArgs = { delayMs: 0, attemptsMax: 1_000_000, error: { code: 'x', detail: 'y' } };

/** The jobs are moved by a worker's own statements, as fast as the ledger takes them. */
export async function runEvents(options: EventsOptions): Promise<EventsRun> {
  const random = createRandom(options.seed);
  const system = await createLiveSystem();
  const port = await freePort();
  const database = createPool(system.databaseUrl, { role: 'worker', max: 4 });
  try {
    let api = await system.start('api', { PORT: String(port) });
    const jobs = Array.from({ length: options.jobs }, () => newJob({ texts: ['Tell me'] }));
    await insertJobs(database, jobs);
    const tally: Tally = { cuts: 0, cutsWithinMessage: 0, streamsKilled: 0 };
    const followers = jobs.map((job): Follower => ({ job, ids: [], types: [] }));
    const stream = { url: `http://127.0.0.1:${port}`, random, cuts: options.cuts, tally };
    const following = Promise.all(followers.map((follower) => follow(follower, stream)));
    let kills = 0;
    await moveAll(database, jobs, options.attempts, async (share) => {
      if (share < (kills + 1) / (options.kills + 1) || kills === options.kills) return;
      kills += 1;
      api = await replace(system, api, port);
    });
    await following;
    return { ...(await compare(system.owner, followers)), ...tally, kills };
  } finally {
    await database.end();
    await system.close();
  }
}

async function replace(system: LiveSystem, api: LiveProcess, port: number): Promise<LiveProcess> {
  await api.kill();
  return system.start('api', { PORT: String(port) });
}

/** One attempt of every job after another. @param onRound called with the share of the work that is done */
async function moveAll(
  database: Pool,
  jobs: readonly NewJob[],
  attempts: number,
  onRound: (share: number) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    for (const { tenantId, id, dispatchId } of jobs) {
      await database.query('UPDATE jobs SET dispatch_id = $3 WHERE tenant_id = $1 AND id = $2', [
        tenantId,
        id,
        dispatchId,
      ]);
      const claim = await mustClaimJob(database, { tenantId, id, dispatchId }, { attemptsMax: 1_000_000 });
      if (attempt < attempts) await retryJobs(database, [claim], retryArgs);
      else await completeJobs(database, [completionOf(claim)]);
    }
    await onRound(attempt / attempts);
  }
}

/** Reads a job's events to the last, coming back as often as it is cut off. */
async function follow(
  follower: Follower,
  stream: { url: string; random: () => number; cuts: number; tally: Tally },
): Promise<void> {
  for (;;) {
    const cutAfter = stream.tally.cuts < stream.cuts ? 1 + pickIndex(stream.random, cutBytesMax) : Infinity;
    const end = await readStream(follower, stream.url, cutAfter);
    if (end === 'ended') return;
    if (end === 'cut') stream.tally.cuts += 1;
    if (end === 'cut within a message') {
      stream.tally.cuts += 1;
      stream.tally.cutsWithinMessage += 1;
    }
    if (end === 'broken') {
      stream.tally.streamsKilled += 1;
      await delay(20);
    }
  }
}

type StreamEnd = 'ended' | 'cut' | 'cut within a message' | 'broken' | 'away';

async function readStream({ job, ids, types }: Follower, url: string, cutAfter: number): Promise<StreamEnd> {
  const cut = new AbortController();
  const last = ids.at(-1);
  const response = await fetch(`${url}/v1/jobs/${formatJobId(job.id)}/events`, {
    headers: last === undefined ? {} : { 'last-event-id': String(last) },
    signal: cut.signal,
  }).catch(() => undefined);
  if (response?.body === null || response?.status !== 200) {
    await delay(50);
    return response?.status === 204 ? 'ended' : 'away';
  }
  const decoder = new TextDecoder();
  let bytes = 0;
  let text = '';
  let end: StreamEnd = 'broken';
  try {
    for await (const chunk of response.body) {
      const taken = chunk.subarray(0, cutAfter - bytes);
      bytes += taken.length;
      text += decoder.decode(taken, { stream: true });
      const messages = text.split('\n\n');
      text = messages.pop() ?? '';
      for (const message of messages) takeMessage(message, ids, types);
      if (isOver(types)) return 'ended';
      if (bytes < cutAfter) continue;
      end = text === '' ? 'cut' : 'cut within a message';
      cut.abort();
      break;
    }
  } catch {
    // The abort of our own cut comes here as well.
  }
  return end;
}

function takeMessage(message: string, ids: number[], types: string[]): void {
  const id = /^id: (\d+)$/m.exec(message)?.[1];
  const type = /^event: (\S+)$/m.exec(message)?.[1];
  if (id === undefined || type === undefined) return;
  ids.push(Number(id));
  types.push(type);
}

function isOver(types: readonly string[]): boolean {
  return types.at(-1) === 'job.succeeded';
}

const eventSchema = z.object({ job_id: z.string(), sequence: z.number(), type: z.string() });

async function compare(owner: Pool, followers: readonly Follower[]) {
  const { rows } = await owner.query(
    'SELECT job_id, sequence, type FROM job_events ORDER BY job_id, sequence',
  );
  const events = z.array(eventSchema).parse(rows);
  const differences = followers.map(({ job, ids, types }) => {
    const own = events.filter((event) => event.job_id === job.id);
    const steps = ids.map((id, index) => id - (ids[index - 1] ?? 0));
    const same =
      own.length === ids.length &&
      own.every((event, index) => event.sequence === ids[index] && event.type === types[index]);
    return {
      gaps: steps.filter((step) => step > 1).length,
      repeats: steps.filter((step) => step < 1).length,
      different: same ? 0 : 1,
    };
  });
  const sum = (name: 'gaps' | 'repeats' | 'different') =>
    differences.reduce((total, one) => total + one[name], 0);
  return {
    events: events.length,
    received: followers.reduce((total, { ids }) => total + ids.length, 0),
    gaps: sum('gaps'),
    repeats: sum('repeats'),
    different: sum('different'),
  };
}
