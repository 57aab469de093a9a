// Clients that repeat a submit under its Idempotency-Key until it is answered, and an API that is killed under them, also
// between the commit of a job and its 202: how many jobs there are in the end.

import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { freePort } from '../../scripts/free-port.ts';
import { createLiveSystem } from '../../scripts/live-system.ts';
import { createRandom } from '../random.ts';

export interface IdempotencyOptions {
  readonly sameKey: number;
  readonly posts: number;
  readonly kills: number;
  readonly seed: number;
}

export interface IdempotencyRun {
  readonly sameKey: { readonly jobs: number; readonly replays: number; readonly ids: number };
  readonly posts: number;
  readonly jobs: number;
  readonly ids: number;
  /** Answers that name another job than the ledger has under the key. */
  readonly wrongAnswers: number;
  readonly kills: number;
  /** Requests that broke off, and were sent again. */
  readonly broken: number;
  /** Jobs whose first answer was a replay: the API died between their commit and their 202. */
  readonly committedUnanswered: number;
}

const lanes = 32;
const answerMsMax = 10_000;
const answerSchema = z.object({ id: z.string() });

interface Answer {
  readonly id: string;
  readonly replayed: boolean;
  readonly broken: number;
}

export async function runIdempotency(options: IdempotencyOptions): Promise<IdempotencyRun> {
  const { posts } = options;
  const random = createRandom(options.seed);
  const system = await createLiveSystem();
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  try {
    let api = await system.start('api', { PORT: String(port) });
    const alike = await Promise.all(
      Array.from({ length: options.sameKey }, () => submit(url, 'the same', 'The same text')),
    );
    const countJobs = async () => {
      const { rows } = await system.owner.query<{ count: number }>(
        'SELECT count(*)::integer AS count FROM jobs',
      );
      return rows[0]?.count ?? 0;
    };
    const sameKey = {
      jobs: await countJobs(),
      replays: alike.filter(({ replayed }) => replayed).length,
      ids: new Set(alike.map(({ id }) => id)).size,
    };

    const answers = new Map<string, Answer>();
    const keys = Array.from({ length: posts }, (_, index) => `key ${index}`).values();
    const lane = async (): Promise<void> => {
      for (const key of keys) answers.set(key, await submit(url, key, `The text of ${key}`));
    };
    const submitting = Promise.all(Array.from({ length: lanes }, lane));
    for (let kill = 0; kill < options.kills; kill++) {
      const share = (kill + random()) / options.kills;
      while (answers.size < share * posts) await delay(1);
      await api.kill();
      api = await system.start('api', { PORT: String(port) });
    }
    await submitting;
    const { rows } = await system.owner.query<{ key: string; job_id: string }>(
      'SELECT key, job_id FROM idempotency_keys',
    );
    const stored = new Map(rows.map((row) => [row.key, `job_${row.job_id}`]));
    const all = [...answers];
    return {
      sameKey,
      posts: answers.size,
      jobs: (await countJobs()) - sameKey.jobs,
      ids: new Set(all.map(([, { id }]) => id)).size,
      wrongAnswers: all.filter(([key, { id }]) => stored.get(hashOf(key)) !== id).length,
      kills: options.kills,
      broken: all.reduce((sum, [, { broken }]) => sum + broken, 0),
      committedUnanswered: all.filter(([, { replayed }]) => replayed).length,
    };
  } finally {
    await system.close();
  }
}

/** As the ledger keeps a key. */
function hashOf(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** Sends the submit until it is answered, as a careful client does. */
async function submit(url: string, key: string, text: string): Promise<Answer> {
  for (let broken = 0; ; broken++) {
    const answer = await send(url, key, text).catch(() => undefined);
    if (answer !== undefined) return { ...answer, broken };
    await delay(20);
  }
}

async function send(url: string, key: string, text: string): Promise<Omit<Answer, 'broken'> | undefined> {
  const response = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ kind: 'emotion', input: { text } }),
    signal: AbortSignal.timeout(answerMsMax),
  });
  const body: unknown = await response.json();
  if (response.status >= 500) return undefined;
  return {
    id: answerSchema.parse(body).id,
    replayed: response.headers.get('idempotent-replayed') === 'true',
  };
}
