// The result cache in real workers: what a job says of it, what it spares the model, whose it is, and that an erasure
// empties every worker's.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { createLiveSystem, type LiveProcess, until } from '../scripts/live-system.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem({ AUTH: 'on', RESULT_CACHE_MB: '64' });
const [api, worker] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('dispatcher'),
]);
test.after(() => system.close());

async function makeTenant(name: string): Promise<string> {
  const tenantId = await ensureTenant(system.owner, name, 'premium');
  const key = createApiKey();
  await insertKey(system.owner, { id: key.id, tenantId, hash: key.hash, scopes });
  return key.text;
}
const [acme, other] = await Promise.all([makeTenant('acme'), makeTenant('other')]);

const send = (key: string, method: string, path: string, body?: unknown) =>
  fetch(`${api.address}${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', prefer: 'wait=60' },
    signal: AbortSignal.timeout(90_000),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

async function analyze(key: string, texts: readonly string[], more: object = {}): Promise<JobView> {
  const response = await send(key, 'POST', '/v1/jobs', { kind: 'emotion', input: { texts }, ...more });
  const body: unknown = await response.json();
  assert.is(response.status, 200, JSON.stringify(body));
  return jobViewSchema.parse(body);
}

const outputsOf = (job: JobView) => job.result?.items.map(({ output }) => output);

async function readMetric(process: LiveProcess, name: string): Promise<number> {
  const page = await (await fetch(`${process.address}/metrics`)).text();
  const lines = page.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** Resolves once the worker keeps so many results. */
const keeps = (process: LiveProcess, count: number) =>
  until(`${count} results kept`, async () =>
    (await readMetric(process, 'soma_cache_entries')) === count ? true : undefined,
  );

/** Submits texts that say `what` until both workers keep at least one result of theirs more. */
async function fillBoth(workers: readonly LiveProcess[], key: string, more: object = {}): Promise<JobView> {
  const read = () => Promise.all(workers.map((one) => readMetric(one, 'soma_cache_entries')));
  const before = await read();
  return until('results in both workers', async () => {
    const jobs = await Promise.all(
      ['Nobody came.', 'Everybody came!'].map((text) => analyze(key, [text], more)),
    );
    const now = await read();
    return now.every((count, index) => count > (before[index] ?? 0)) ? jobs[0] : undefined;
  });
}

test('a job says what the cache spared it, with the same result and its own facts', async () => {
  const person = { user_id: 'ada' };
  const first = await analyze(acme, ['What a day!', 'I hate it.'], person);
  assert.is(first.execution?.cache, 'miss');
  const again = await analyze(acme, ['What a day!', 'I hate it.'], person);
  assert.equal([again.execution?.cache, again.execution?.micro_batch_items], ['hit', 0]);
  assert.equal(outputsOf(again), outputsOf(first));
  const mixed = await analyze(acme, ['I hate it.', 'I am new here.'], person);
  assert.is(mixed.execution?.cache, 'mixed');
  assert.equal(outputsOf(mixed)?.[0], outputsOf(first)?.[1]);
  const history = await send(acme, 'GET', '/v1/users/ada/emotions');
  assert.is((await history.text()).match(/"job_id"/g)?.length, 6);
  const options = { granularity: 'sentence' };
  assert.is((await analyze(acme, ['What a day!'], { options })).execution?.cache, 'miss');
});

test('tenants do not share what they have in common', async () => {
  assert.is((await analyze(acme, ['What a day!'])).execution?.cache, 'hit');
  assert.is((await analyze(other, ['What a day!'])).execution?.cache, 'miss');
});

test('runs a thousand equal texts in flight once', async () => {
  const before = await readMetric(worker, 'soma_items_inferred_total');
  const texts = Array.from({ length: 100 }, () => 'All at the same time.');
  const jobs = await Promise.all(Array.from({ length: 10 }, () => analyze(acme, texts)));
  assert.is((await readMetric(worker, 'soma_items_inferred_total')) - before, 1);
  assert.is(
    new Set(jobs.flatMap((job) => outputsOf(job) ?? []).map((output) => JSON.stringify(output))).size,
    1,
  );
  assert.is(jobs.filter(({ execution }) => execution?.cache === 'mixed').length, 1);
});

test('an erased job or person takes all results of its tenant out of every worker, and no others', async () => {
  const second = await system.start('analysis');
  const both = [worker, second];
  await fillBoth(both, other);
  await send(acme, 'DELETE', '/v1/users/nobody');
  // Only what the other tenant had.
  const kept = await Promise.all(both.map((one) => readMetric(one, 'soma_cache_entries')));
  assert.ok(
    kept.every((count) => count > 0),
    String(kept),
  );
  const allKept = () => Promise.all(both.map((one, index) => keeps(one, kept[index] ?? -1)));
  await allKept();
  const job = await fillBoth(both, acme);
  assert.is((await send(acme, 'DELETE', job.links.self)).status, 202);
  await allKept();
  await fillBoth(both, acme, { user_id: 'bob' });
  const erased = await send(acme, 'DELETE', '/v1/users/bob');
  assert.ok([200, 202].includes(erased.status));
  await allKept();
  await second.stop();
});

test('a worker that could not hear of an erasure for a while starts anew', async () => {
  assert.is((await analyze(acme, ['Listen!'])).execution?.cache, 'miss');
  assert.is((await analyze(acme, ['Listen!'])).execution?.cache, 'hit');
  await system.owner.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND query = 'LISTEN soma_erasures'`,
  );
  await keeps(worker, 0);
  const cached = await until('the cache to be open again', async () => {
    const use = (await analyze(acme, ['Listen!'])).execution?.cache;
    return use === 'none' ? undefined : use;
  });
  assert.is(cached, 'miss');
  assert.is((await analyze(acme, ['Listen!'])).execution?.cache, 'hit');
});

test.run();
