// Profiles by the real processes: what is in one follows from what was submitted, and one exists if and only if its job
// succeeded.

import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import type { Claim } from '../db/attempts.ts';
import { createPool } from '../db/client.ts';
import { createPostgresGraph } from '../db/graph-postgres.ts';
import { insertJobs } from '../db/submissions.ts';
import { type Profile, profileSchema } from '../models/analytics/profile.ts';
import { trajectoryOf } from '../models/analytics/trajectory.ts';
import { profileVersion } from '../models/profile.ts';
import { createLiveSystem, mustClaimJob, newJob, until } from '../scripts/live-system.ts';
import { uuidTime } from '../shared/job.ts';
import { makeProfile } from './profile-builder.ts';

const system = await createLiveSystem({
  FAULT_INJECTION: 'true',
  ATTEMPTS_MAX: '2',
  LEASE_MS: '3000',
});
const database = createPool(system.databaseUrl, { role: 'worker', max: 2 });
const intake = createPool(system.databaseUrl, { role: 'intake', max: 1 });
const [api] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('profile'),
  system.start('profile'),
  system.start('dispatcher'),
]);
test.after(async () => {
  await Promise.all([database.end(), intake.end()]);
  await system.close();
});

/** What these tests read of a job. */
const jobSchema = z.object({
  id: z.string(),
  status: z.string(),
  status_reason: z.string().nullable(),
  model: z.object({ version: z.string() }),
  attempts: z.array(z.unknown()),
  error: z.object({ code: z.string(), detail: z.string() }).nullable(),
  result: z.object({ items: z.array(z.object({ output: z.unknown().optional() })) }).nullable(),
  links: z.object({ self: z.string() }),
});
type Job = z.output<typeof jobSchema>;

const dayMs = 86_400_000;
await system.owner.query(`SELECT ensure_partitions((now() - interval '2 months')::date, 4)`);

async function post(
  body: unknown,
  headers: Record<string, string> = { prefer: 'wait=60' },
): Promise<Response> {
  return fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(70_000),
  });
}

const get = (path: string): Promise<Response> =>
  fetch(`${api.address}${path}`, { signal: AbortSignal.timeout(70_000) });

/** The job once it has ended. */
async function finish(body: unknown): Promise<Job> {
  const response = await post(body);
  assert.is(response.status, 200);
  return jobSchema.parse(await response.json());
}

const profileOutput = profileSchema.extend({ version: z.int() });

async function profileOf(user_id: string, options: object = {}): Promise<z.output<typeof profileOutput>> {
  const job = await finish({ kind: 'profile', user_id, options });
  assert.is(job.status, 'succeeded', job.error?.detail);
  return profileOutput.parse(job.result?.items[0]?.output);
}

const emotionSchema = z.looseObject({
  valence: z.number(),
  arousal: z.number(),
  intensity: z.number(),
  primary_emotion: z.string(),
});
const reasoningSchema = z.looseObject({
  causal_chains: z.array(z.looseObject({ chain_type: z.string(), relation: z.string() })),
  counterfactuals: z.array(z.unknown()),
});

const outputsOf = <Schema extends z.ZodType>(schema: Schema, job: Job): z.output<Schema>[] =>
  (job.result?.items ?? []).flatMap(({ output }) => (output === undefined ? [] : [schema.parse(output)]));

const madeAt = ({ id }: Job) => uuidTime(id.slice(4));

const feelings = [
  'I am so happy today!',
  'Thank you so much, you are wonderful.',
  'This makes me really angry.',
  'I am terrified of the exam.',
  'What a sad day, I miss her.',
  'I love this song!',
  'soma:fault:throw',
];
const reasons = [
  'The match was cancelled because it rained.',
  'I was tired, so I went to bed. If I had slept more, I would have passed the exam.',
  'The road was closed due to the flood. The flood was caused by the storm.',
];

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test('adds up to what was submitted', async () => {
  const user_id = 'sums';
  const felt = [
    await finish({ kind: 'emotion', user_id, input: { texts: feelings } }),
    await finish({ kind: 'emotion', user_id, input: { text: 'I am proud of you.' } }),
  ];
  const reasoned = await finish({ kind: 'reasoning', user_id, input: { texts: reasons } });
  await finish({ kind: 'emotion', user_id: 'somebody else', input: { text: 'I am proud of you.' } });
  const profile = await profileOf(user_id);
  assert.is(profile.version, 1);
  const points = felt.flatMap((job) =>
    outputsOf(emotionSchema, job).map((output) => ({ ...output, at: madeAt(job) })),
  );
  assert.is(points.length, feelings.length);
  assert.equal(profile.emotions, trajectoryOf(points));

  const outputs = outputsOf(reasoningSchema, reasoned);
  const chains = outputs.flatMap(({ causal_chains }) => causal_chains);
  assert.ok(chains.length >= 3, 'the texts are not causal');
  assert.is(profile.reasoning?.total_chains, chains.length);
  assert.is(sum(Object.values(profile.reasoning?.types ?? {})), chains.length);
  assert.is(sum(Object.values(profile.reasoning?.relations ?? {})), chains.length);
  assert.is(
    sum(profile.reasoning?.strongest_chains.map(({ evidence_count }) => evidence_count) ?? []),
    chains.length,
  );
  assert.is(
    profile.reasoning?.counterfactuals,
    sum(outputs.map(({ counterfactuals }) => counterfactuals.length)),
  );

  assert.equal(profile.coverage, {
    emotion_analyses: points.length,
    reasoning_analyses: reasons.length,
    days: new Set([...felt, reasoned].map((job) => madeAt(job).toISOString().slice(0, 10))).size,
    first_at: felt[0] === undefined ? null : madeAt(felt[0]).toISOString(),
    last_at: madeAt(reasoned).toISOString(),
  });
  const versions = { emotion: [felt[0]?.model.version], reasoning: [reasoned.model.version] };
  assert.equal(profile.model_versions, versions);
  await isGraphOf(user_id, profile);
});

async function isGraphOf(userId: string, { knowledge_graph: section }: Profile): Promise<void> {
  const count = async (table: string) => {
    const { rows } = await system.owner.query<{ type: string; count: number }>(
      `SELECT type, count(*)::integer AS count FROM ${table} WHERE user_id = $1 GROUP BY type ORDER BY type`,
      [userId],
    );
    return Object.fromEntries(rows.map(({ type, count: times }) => [type, times]));
  };
  const [nodes, edges] = [await count('graph_nodes'), await count('graph_edges')];
  assert.equal(section?.stats, {
    nodes: sum(Object.values(nodes)),
    edges: sum(Object.values(edges)),
    nodes_by_type: nodes,
    edges_by_type: edges,
  });
  assert.ok((edges['causes'] ?? 0) > 0 && (edges['feels'] ?? 0) > 0);
  assert.ok((section?.top_concepts.length ?? 0) > 0);
}

test('leaves out what is not to be included', async () => {
  const all = ['include_emotions', 'include_reasoning', 'include_knowledge_graph'] as const;
  for (const flag of all) {
    const profile = await profileOf('sums', Object.fromEntries(all.map((name) => [name, name === flag])));
    const sections = [profile.emotions, profile.reasoning, profile.knowledge_graph];
    assert.equal(
      sections.map((section) => section !== null),
      all.map((name) => name === flag),
    );
    const { emotion_analyses: emotions, reasoning_analyses: reasoned } = profile.coverage;
    assert.equal([emotions > 0, reasoned > 0], [flag === 'include_emotions', flag === 'include_reasoning']);
  }
});

test('what is counted over time is stored beside the output, of emotions of somebody only', async () => {
  const known = await finish({ kind: 'emotion', user_id: 'counted', input: { texts: feelings } });
  const nobody = await finish({ kind: 'emotion', input: { text: 'I am proud of you.' } });
  const reasoned = await finish({ kind: 'reasoning', user_id: 'counted', input: { texts: reasons } });
  const count = async ({ id }: Job) => {
    const { rows } = await system.owner.query<{ filled: number; right: number }>(
      `SELECT count(primary_emotion)::integer AS filled, count(*) FILTER (WHERE (valence, arousal, intensity, primary_emotion)
         = ((output->>'valence')::float8, (output->>'arousal')::float8, (output->>'intensity')::float8,
           output->>'primary_emotion'))::integer AS right FROM analyses WHERE job_id = $1`,
      [id.slice(4)],
    );
    return rows[0];
  };
  const succeeded = feelings.length - 1;
  assert.equal(await count(known), { filled: succeeded, right: succeeded });
  assert.equal(await count(nobody), { filled: 0, right: 0 });
  assert.equal(await count(reasoned), { filled: 0, right: 0 });
});

test('reads the window that was asked for and nothing older', async () => {
  const job = await finish({ kind: 'emotion', user_id: 'aged', input: { text: 'I am so happy today!' } });
  for (const days of [3, 10, 20, 40]) {
    await system.owner.query(
      `INSERT INTO analyses SELECT tenant_id, $2, item_index, kind, model_version, user_id, output, error,
        now() - make_interval(days => $3) FROM analyses WHERE job_id = $1`,
      [job.id.slice(4), v7({ msecs: Date.now() - days * dayMs }), days],
    );
  }
  for (const [days, count] of [
    [1, 1],
    [7, 2],
    [14, 3],
    [30, 4],
    [365, 5],
  ] as const) {
    const { coverage, emotions, window } = await profileOf('aged', { time_window_days: days });
    assert.equal(
      [coverage.emotion_analyses, emotions?.data_points, coverage.days],
      [count, count, count],
      `${days} days`,
    );
    assert.is(Date.parse(window.to) - Date.parse(window.from), days * dayMs);
  }
});

test('makes an empty profile of a person of whom nothing is stored', async () => {
  const profile = await profileOf('blank');
  assert.equal([profile.emotions?.data_points, profile.reasoning?.total_chains], [0, 0]);
  assert.equal(profile.knowledge_graph?.stats, { nodes: 0, edges: 0, nodes_by_type: {}, edges_by_type: {} });
  assert.equal([profile.coverage.first_at, profile.coverage.days], [null, 0]);
});

test('makes many profiles of one person at once, each with a number of its own', async () => {
  const jobs = await Promise.all(
    Array.from({ length: 8 }, () => finish({ kind: 'profile', user_id: 'many' })),
  );
  assert.equal(
    [...new Set(jobs.map(({ status, attempts }) => `${status} ${attempts.length}`))],
    ['succeeded 1'],
  );
  const versions = jobs.flatMap((job) => outputsOf(profileOutput, job)).map(({ version }) => version);
  assert.equal(
    versions.toSorted((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

test('keeps its lease while a profile takes longer than the lease', async () => {
  const blocker = await system.owner.connect();
  await blocker.query('BEGIN');
  await blocker.query('LOCK TABLE profiles IN ACCESS EXCLUSIVE MODE');
  const job = finish({ kind: 'profile', user_id: 'slow' });
  const lease = async (): Promise<{ held: boolean; taken: boolean }> => {
    const { rows } = await system.owner.query(
      `SELECT lease_until > now() AS held, now() - started_at > interval '7 seconds' AS taken FROM jobs
       WHERE user_id = 'slow' AND status = 'processing'`,
    );
    return z.object({ held: z.boolean(), taken: z.boolean() }).parse(rows[0] ?? { held: true, taken: false });
  };
  for (let seen = await lease(); !seen.taken; seen = await lease()) {
    assert.ok(seen.held, 'the lease ran out');
    await delay(200);
  }
  await blocker.query('ROLLBACK');
  blocker.release();
  const { status, attempts } = await job;
  assert.equal([status, attempts.length], ['succeeded', 1]);
});

/** A profile job that waits for its time, changed by `sql` (`$1` is its id), and then let go. */
async function finishChanged(user_id: string, sql: string): Promise<Job> {
  const not_before = new Date(Date.now() + 3_600_000).toISOString();
  const response = await post({ kind: 'profile', user_id, not_before }, {});
  const { id, links } = jobSchema.parse(await response.json());
  await system.owner.query(sql, [id.slice(4)]);
  await system.owner.query('UPDATE jobs SET not_before = now() WHERE id = $1', [id.slice(4)]);
  return jobSchema.parse(await (await get(`${links.self}?wait=60`)).json());
}

test('stores no profile of a job that fails', async () => {
  const job = await finishChanged(
    'failed',
    `UPDATE jobs SET options = '{"time_window_days": "x"}' WHERE id = $1`,
  );
  assert.equal([job.status, job.error?.code, job.attempts.length], ['failed', 'profile_failed', 2]);
  assert.is((await get('/v1/users/failed/profile')).status, 404);
});

test('stores no profile of a person who was erased meanwhile', async () => {
  const not_before = new Date(Date.now() + 3_600_000).toISOString();
  const response = await post({ kind: 'profile', user_id: 'erased', not_before }, {});
  const { id, links } = jobSchema.parse(await response.json());
  const values = [id.slice(4)];
  await system.owner.query(
    `INSERT INTO erasures (tenant_id, id, user_id, last_job_id) SELECT tenant_id, id, user_id, id FROM jobs WHERE id = $1`,
    values,
  );
  await system.owner.query('UPDATE jobs SET not_before = now() WHERE id = $1', values);
  await until('the erasure to be completed', async () => {
    const { rows } = await system.owner.query('SELECT FROM erasures WHERE completed_at IS NULL');
    return rows.length === 0 ? true : undefined;
  });
  assert.is((await get(links.self)).status, 404);
  assert.is((await get('/v1/users/erased/profile')).status, 404);
});

const builder = { database, graph: createPostgresGraph(database), worker: 'test' };

/** A profile job that is in our own hands. */
async function claimProfile(userId: string): Promise<Claim> {
  const job = newJob({ kind: 'profile', modelVersion: profileVersion, userId, texts: [] });
  await insertJobs(intake, [job]);
  return mustClaimJob(database, job);
}

test('stores no profile of an attempt that is canceled or no longer the one', async () => {
  for (const change of [`status = 'canceling'`, 'attempt = attempt + 1'] as const) {
    const claim = await claimProfile('held');
    await system.owner.query(`UPDATE jobs SET ${change} WHERE id = $1`, [claim.id]);
    assert.is(await makeProfile(builder, claim, new Date()), false, change);
    assert.is((await get('/v1/users/held/profile')).status, 404);
  }
  const kept = await claimProfile('held');
  assert.is(await makeProfile(builder, kept, new Date()), true);
  assert.is(await makeProfile(builder, kept, new Date()), false);
  const { rows } = await system.owner.query(`SELECT version, job_id FROM profiles WHERE user_id = 'held'`);
  assert.equal(rows, [{ version: 1, job_id: kept.id }]);
});

test('has a profile for every job that succeeded and for no other', async () => {
  const { rows } = await system.owner.query<{ user_id: string; status: string | null; profiles: number }>(
    `SELECT j.user_id, j.status, count(p.version)::integer AS profiles FROM jobs j
     FULL JOIN profiles p ON p.tenant_id = j.tenant_id AND p.job_id = j.id
     WHERE j.kind = 'profile' OR j.id IS NULL GROUP BY j.id, j.user_id, j.status`,
  );
  assert.ok(rows.length > 20);
  for (const row of rows) assert.is(row.profiles, row.status === 'succeeded' ? 1 : 0, JSON.stringify(row));
});

test.run();
