// A person's history over real HTTP: its pages, its range, its trajectory; and which ids name a person.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { trajectoryOf, trajectorySchema } from '../models/analytics/trajectory.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { defaultTenantId, formatJobId } from '../shared/job.ts';
import { historyEntrySchema } from './history.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem();
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

const nasty = `o'brien" }) DETACH DELETE n //\\ '; DROP TABLE facts; --/?#%`;
const dayMs = 86_400_000;

function ask(userId: string, path: string, init: RequestInit = {}): Promise<Response> {
  const url = `${api.address}/v1/users/${encodeURIComponent(userId)}${path}`;
  return fetch(url, { signal: AbortSignal.timeout(70_000), ...init });
}

async function historyOf(userId: string, query = ''): Promise<z.output<typeof historySchema>> {
  const response = await ask(userId, `/emotions${query}`);
  assert.is(response.status, 200, query);
  return historySchema.parse(await response.json());
}

/** The job of one emotion analysis, or of several, once it has ended. */
async function analyse(
  user_id: string,
  texts: readonly string[] = ['I am so happy today!'],
): Promise<JobView> {
  const response = await fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ kind: 'emotion', user_id, input: { texts } }),
    signal: AbortSignal.timeout(70_000),
  });
  assert.is(response.status, 200);
  return jobViewSchema.parse(await response.json());
}

const problemSchema = z.object({
  status: z.number(),
  code: z.string(),
  retryable: z.boolean(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() })).default([]),
});

/** Status, code and the pointers of a problem. */
async function problemOf(response: Response): Promise<readonly [number, string, string[]]> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = problemSchema.parse(await response.json());
  assert.is(problem.status, response.status);
  return [problem.status, problem.code, problem.errors.map(({ pointer }) => pointer)];
}

const historySchema = z.object({
  user_id: z.string(),
  data: z.array(historyEntrySchema),
  has_more: z.boolean(),
  trajectory: trajectorySchema,
});
type Entry = z.output<typeof historyEntrySchema>;

const labels = ['joy', 'sadness', 'anger'] as const;

// 45 analyses of 20 jobs over ten days, as the ledger has them.
await system.owner.query(`SELECT ensure_partitions((now() - interval '1 month')::date, 3)`);
const start = Date.now() - 10 * dayMs;
const stored = Array.from({ length: 20 }, (_, job) => ({
  jobId: v7({ msecs: start + Math.floor(job / 2) * dayMs }),
  items: 1 + ((job * 7) % 4),
})).flatMap(({ jobId, items }, job) =>
  Array.from({ length: items }, (_, itemIndex) => ({
    jobId,
    itemIndex,
    output: {
      primary_emotion: labels[(job + itemIndex) % 3],
      primary_score: 0.75,
      emotions: [{ label: labels[(job + itemIndex) % 3], score: 0.75 }],
      confidence: 0.5,
      valence: Math.sin(job * 5 + itemIndex) * 0.5,
      arousal: 0.25 + job / 100,
      intensity: 0.5,
    },
  })),
);
await system.owner.query(
  `INSERT INTO analyses (tenant_id, job_id, item_index, kind, model_version, user_id, output, created_at)
   SELECT $1, "jobId", "itemIndex", 'emotion', '1', 'moody', output, now()
   FROM json_to_recordset($2) AS x("jobId" uuid, "itemIndex" integer, output json)`,
  [defaultTenantId, JSON.stringify(stored)],
);

const placeOf = (entry: Entry | undefined): string => `${entry?.job_id}:${entry?.item_index}`;
const expectedPlaces = stored
  .map(({ jobId, itemIndex }) => ({ jobId, itemIndex }))
  .sort((a, b) => (a.jobId === b.jobId ? b.itemIndex - a.itemIndex : a.jobId < b.jobId ? 1 : -1))
  .map(({ jobId, itemIndex }) => `${formatJobId(jobId)}:${itemIndex}`);

for (const limit of [1, 7, 20, 100]) {
  test(`pages through a history by ${limit} without gap or repeat`, async () => {
    const found: string[] = [];
    for (let query = `?limit=${limit}`; ; query = `?limit=${limit}&after=${found.at(-1)}`) {
      const { data, has_more } = await historyOf('moody', `${query}`);
      found.push(...data.map(placeOf));
      assert.is(data.length, Math.min(limit, expectedPlaces.length - found.length + data.length));
      assert.is(has_more, found.length < expectedPlaces.length);
      if (!has_more) break;
    }
    assert.equal(found, expectedPlaces);
  });
}

test('gives 20 entries unless told otherwise', async () => {
  assert.is((await historyOf('moody')).data.length, 20);
});

test('gives the trajectory of what is in the range, whatever the page', async () => {
  const all = await historyOf('moody', '?limit=100');
  const points = (entries: readonly Entry[]) =>
    entries.toReversed().map((entry) => ({ ...entry, at: new Date(entry.timestamp) }));
  assert.equal(all.trajectory, trajectoryOf(points(all.data)));
  assert.equal([all.trajectory.data_points, all.trajectory.days_analyzed], [stored.length, 10]);
  assert.equal(
    all.trajectory.trajectory.map(({ valence }) => valence),
    stored
      .toSorted((a, b) => (a.jobId === b.jobId ? a.itemIndex - b.itemIndex : a.jobId < b.jobId ? -1 : 1))
      .map(({ output }) => output.valence),
  );
  const page = await historyOf('moody', `?limit=3&after=${placeOf(all.data[4])}`);
  assert.equal(page.trajectory, all.trajectory);
  assert.equal(page.data, all.data.slice(5, 8));
});

test('bounds a history by the times that its entries show, inclusive', async () => {
  const { data } = await historyOf('moody', '?limit=100');
  const [from, to] = [new Date(start + 3 * dayMs).toISOString(), new Date(start + 5 * dayMs).toISOString()];
  const within = data.filter(({ timestamp }) => timestamp >= from && timestamp <= to);
  const ranged = await historyOf('moody', `?limit=100&from=${from}&to=${to}`);
  assert.equal(ranged.data, within);
  assert.ok(within.length > 0);
  assert.equal([ranged.trajectory.data_points, ranged.trajectory.days_analyzed], [within.length, 3]);
  const offset = encodeURIComponent(from.replace('Z', '+00:00'));
  const paged = await historyOf('moody', `?limit=2&from=${offset}&to=${to}&after=${placeOf(within[0])}`);
  assert.equal(paged.data, within.slice(1, 3));
  const none = await historyOf('moody', `?from=${to}&to=${from}`);
  assert.equal([none.data, none.trajectory.data_points], [[], 0]);
});

test('refuses a history query with a pointer to what is wrong', async () => {
  const place = expectedPlaces[0] ?? '';
  for (const [query, pointer] of [
    ['limit=0', '?/limit'],
    ['limit=101', '?/limit'],
    ['limit=1.5', '?/limit'],
    ['limit=many', '?/limit'],
    ['limit=1&limit=2', '?/limit'],
    ['from=yesterday', '?/from'],
    ['to=2026-02-30T00:00:00Z', '?/to'],
    ['to=2026-02-01', '?/to'],
    ['after=1', '?/after'],
    ['after=', '?/after'],
    [`after=${place}:1`, '?/after'],
    [`after=${place.split(':')[0]}`, '?/after'],
    [`after=${place.replace(/\d+$/, '-1')}`, '?/after'],
    ['after=job_x%27;--:0', '?/after'],
    ['colour=red', '?/colour'],
  ] as const) {
    assert.equal(
      await problemOf(await ask('moody', `/emotions?${query}`)),
      [422, 'invalid_request', [pointer]],
      query,
    );
  }
});

test('shows a text in the history of its person as soon as its job has ended', async () => {
  const job = await analyse('fresh', ['I am so happy today!', 'This makes me really angry.']);
  const { data } = await historyOf('fresh');
  const outputs = (job.result?.items ?? []).map(({ output }) =>
    z.looseObject({ primary_emotion: z.string(), valence: z.number() }).parse(output),
  );
  assert.equal(
    data.map(({ job_id, item_index, primary_emotion, valence }) => [
      job_id,
      item_index,
      primary_emotion,
      valence,
    ]),
    outputs.map(({ primary_emotion, valence }, index) => [job.id, index, primary_emotion, valence]).reverse(),
  );
  assert.is(data[0]?.timestamp, job.created_at);
});

test('answers about an unknown user with nothing', async () => {
  assert.equal(await historyOf('nobody at all'), {
    user_id: 'nobody at all',
    data: [],
    has_more: false,
    trajectory: trajectoryOf([]),
  });
});

test('takes a user id with quotes, Cypher, SQL and slashes as a name like any other', async () => {
  const job = await analyse(nasty);
  const { user_id, data } = await historyOf(nasty);
  assert.equal([user_id, data.map(({ job_id }) => job_id)], [nasty, [job.id]]);
  const { rows } = await system.owner.query(`SELECT to_regclass('facts') IS NOT NULL AS there`);
  assert.equal(rows, [{ there: true }]);
});

test('reads the id of every user that a job could have', async () => {
  const longest = '😀'.repeat(255);
  await analyse(longest);
  assert.is((await historyOf(longest)).data.length, 1);
  for (const userId of ['a'.repeat(256), '😀'.repeat(256), 'a\0b']) {
    for (const path of ['/emotions', '/graph/stats', '/profile'] as const)
      assert.equal(await problemOf(await ask(userId, path)), [422, 'invalid_request', ['/user_id']], path);
  }
  const broken = await fetch(`${api.address}/v1/users/%ff/emotions`, { signal: AbortSignal.timeout(70_000) });
  assert.is((await problemOf(broken))[0], 400);
});

test('answers 405 with the methods that are allowed, and 404 where nothing is', async () => {
  for (const [method, path, allow] of [
    ['POST', '/emotions', 'GET'],
    ['DELETE', '/graph', 'GET'],
    ['PUT', '/profile', 'GET'],
    ['GET', '', 'DELETE'],
    ['GET', '/graph/what-if', 'POST'],
  ] as const) {
    const response = await ask('thinker', path, { method });
    assert.match(response.headers.get('allow') ?? '', allow);
    assert.is((await problemOf(response))[1], 'method_not_allowed', path);
  }
  for (const path of ['/nothing', '/graph/nothing', '/Graph', '/emotions/1'] as const)
    assert.equal(await problemOf(await ask('thinker', path)), [404, 'not_found', []], path);
});

test('leaves no error in the log of the API', () => {
  assert.not.match(api.warnings().join('\n'), 'a request failed');
});

test.run();
