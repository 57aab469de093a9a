// The list of jobs: pages that neither skip nor repeat, every filter, and one index scan for each page.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { asTenant, createPool } from '../db/client.ts';
import { type JobFilter, pageQuery } from '../db/job-pages.ts';
import { insertJobs, type NewJob } from '../db/submissions.ts';
import { createLiveSystem, newJob } from '../scripts/live-system.ts';
import { defaultTenantId, formatJobId } from '../shared/job.ts';
import { jobPageSchema } from './list-jobs.ts';

const system = await createLiveSystem();
const api = await system.start('api');
const intake = createPool(system.databaseUrl, { role: 'intake', max: 1 });
const readers = createPool(system.databaseUrl, { role: 'reader', max: 1 });
test.after(async () => {
  await Promise.all([intake.end(), readers.end()]);
  await system.close();
});

const start = Date.now() - 60_000;
const others = '00000000-0000-7000-8000-000000000002';

/** Job `index` of a minute's 2,000, as they may be: of three kinds, some of a person, some labelled. */
function jobOf(index: number, changes: Partial<NewJob> = {}): NewJob {
  const msecs = start + index * 10;
  return newJob({
    id: v7({ msecs }),
    kind: ['emotion', 'reasoning', 'embedding'][index % 3] ?? '',
    status: index % 10 === 0 ? 'queued' : 'scheduled',
    userId: index % 50 === 0 ? `user ${index % 100}` : null,
    customId: index % 40 === 0 ? `custom ${index % 400}` : null,
    tags: index % 30 === 0 ? ['thirty', `tag ${index % 60}`] : [],
    texts: ['one'],
    dispatchId: null,
    notBefore: new Date(start + 86_400_000).toISOString(),
    createdAt: new Date(msecs).toISOString(),
    expiresAt: new Date(start + 86_400_000).toISOString(),
    ...changes,
  });
}

const jobs = Array.from({ length: 2000 }, (_, index) => jobOf(index));
await insertJobs(intake, jobs);
await insertJobs(intake, [jobOf(5, { tenantId: others }), jobOf(1999, { tenantId: others })]);
await system.owner.query('ANALYZE jobs');
const newestFirst = jobs.toReversed();
const idsOf = (wanted: readonly NewJob[]) => wanted.map(({ id }) => formatJobId(id));

async function list(query: Record<string, string | number>): Promise<z.output<typeof jobPageSchema>> {
  const given = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) given.set(name, String(value));
  const response = await fetch(`${api.address}/v1/jobs?${given.toString()}`);
  const body: unknown = await response.json();
  assert.is(response.status, 200, JSON.stringify(body));
  return jobPageSchema.parse(body);
}

test('goes through all jobs once, on and back', async () => {
  const first = await list({});
  assert.equal([first.data.length, first.has_more, first.first_id], [20, true, first.data[0]?.id]);
  const on: string[] = [];
  for (
    let page = await list({ limit: 100 });
    ;
    page = await list({ limit: 100, after: page.last_id ?? '' })
  ) {
    on.push(...page.data.map(({ id }) => id));
    if (!page.has_more) break;
  }
  assert.equal(on, idsOf(newestFirst));
  const back: string[] = [];
  for (let before = on.at(-1) ?? ''; ; ) {
    const page = await list({ limit: 100, before });
    back.unshift(...page.data.map(({ id }) => id));
    if (!page.has_more) break;
    before = page.first_id ?? '';
  }
  assert.equal(back, on.slice(0, -1));
});

test('moves no page when jobs come in', async () => {
  const first = await list({ limit: 10 });
  const fresh = jobOf(2001);
  await insertJobs(intake, [fresh]);
  const second = await list({ limit: 10, after: first.last_id ?? '' });
  assert.equal(
    second.data.map(({ id }) => id),
    idsOf(newestFirst.slice(10, 20)),
  );
  assert.is((await list({ limit: 1 })).first_id, formatJobId(fresh.id));
  await system.owner.query('DELETE FROM jobs WHERE id = $1', [fresh.id]);
});

const at = (index: number) => new Date(start + index * 10).toISOString();
const filters: readonly (readonly [query: Record<string, string>, keep: (job: NewJob) => boolean])[] = [
  [{ status: 'queued' }, (job) => job.status === 'queued'],
  [{ status: 'failed' }, () => false],
  [{ kind: 'reasoning' }, (job) => job.kind === 'reasoning'],
  [{ user_id: 'user 50' }, (job) => job.userId === 'user 50'],
  [{ custom_id: 'custom 40' }, (job) => job.customId === 'custom 40'],
  [{ tag: 'tag 30' }, (job) => job.tags.includes('tag 30')],
  [{ created_after: at(1990) }, (job) => job.createdAt >= at(1990)],
  [{ created_before: at(10) }, (job) => job.createdAt < at(10)],
  [
    { tag: 'thirty', kind: 'emotion', status: 'queued', created_after: at(700), created_before: at(900) },
    (job) =>
      job.tags.includes('thirty') &&
      job.kind === 'emotion' &&
      job.status === 'queued' &&
      job.createdAt >= at(700) &&
      job.createdAt < at(900),
  ],
];

test("keeps the jobs that a filter names, and no other tenant's", async () => {
  for (const [query, keep] of filters) {
    const page = await list({ ...query, limit: 100 });
    const expected = newestFirst.filter(keep);
    assert.equal(
      page.data.map(({ id }) => id),
      idsOf(expected.slice(0, 100)),
      JSON.stringify(query),
    );
    assert.is(page.has_more, expected.length > 100);
  }
});

test('refuses what it does not know', async () => {
  const id = idsOf(jobs.slice(0, 1))[0] ?? '';
  const refused = [
    'limit=0',
    'limit=101',
    'limit=x',
    'after=x',
    'status=done',
    'created_after=monday',
    'page=2',
    'user_id=',
    'tag=%00',
    'kind=a&kind=b',
    `after=${id}&before=${id}`,
  ];
  for (const query of refused) {
    const response = await fetch(`${api.address}/v1/jobs?${query}`);
    assert.is(response.status, 422, query);
  }
});

const planNode = z.looseObject({ 'Node Type': z.string(), 'Index Name': z.string().optional() });

/** Node types of a plan, and the indexes it reads, without those of partitions that the query cannot touch. */
async function explain(filter: JobFilter): Promise<{ types: string[]; indexes: string[] }> {
  const { sql, params } = await asTenant(readers, defaultTenantId, async (reader) =>
    pageQuery(reader, defaultTenantId, filter, { limit: 20 }).toSQL(),
  );
  // 2,000 rows are too few for the planner to choose as it does at scale; what it has no index for it must sort still.
  await readers.query(`SELECT set_config(name, 'off', false) FROM
    unnest(ARRAY['enable_sort', 'enable_seqscan', 'enable_bitmapscan']) AS name`);
  const { rows } = await readers.query(`EXPLAIN (FORMAT JSON) ${sql}`, params);
  const found: z.output<typeof planNode>[] = [];
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(walk);
    if (typeof value !== 'object' || value === null) return;
    const node = planNode.safeParse(value);
    if (node.success) found.push(node.data);
    Object.values(value).forEach(walk);
  };
  walk(rows);
  return {
    types: found.map((node) => node['Node Type']),
    indexes: found.flatMap((node) => node['Index Name'] ?? []),
  };
}

test('reads each page by one index scan of a partition, without a sort', async () => {
  const wanted: readonly JobFilter[] = [
    {},
    { status: 'failed' },
    { status: 'queued' },
    { kind: 'reasoning' },
    { userId: 'user 50' },
    { customId: 'custom 40' },
    { createdAfter: new Date(start) },
  ];
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pg_inherits WHERE inhparent = 'jobs'::regclass`,
  );
  for (const filter of wanted) {
    const { types, indexes } = await explain(filter);
    const what = `${JSON.stringify(filter)}: ${types.join(', ')}; ${indexes.join(', ')}`;
    assert.not.ok(
      types.some((type) => /Sort|Seq Scan|Bitmap/.test(type)),
      what,
    );
    assert.ok(indexes.length > 0 && indexes.length <= (rows[0]?.count ?? 0), what);
  }
});

test.run();
