// A person's profile over real HTTP: which requests are refused, its versions with their ETags, and their difference.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { profileSchema } from '../models/analytics/profile.ts';
import { profileDiffSchema } from '../models/analytics/profile-diff.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { problemCatalogue } from '../shared/problem.ts';
import { type JobView, jobViewSchema } from './job-view.ts';

const system = await createLiveSystem();
const [api] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('profile'),
  system.start('dispatcher'),
]);
test.after(() => system.close());

async function post(body: unknown): Promise<Response> {
  return fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(70_000),
  });
}

const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${api.address}${path}`, { headers, signal: AbortSignal.timeout(70_000) });

/** The job once it has ended. */
async function finish(body: unknown): Promise<JobView> {
  const response = await post(body);
  assert.is(response.status, 200);
  return jobViewSchema.parse(await response.json());
}

const profileOutput = profileSchema.extend({ version: z.int() });

async function profileOf(user_id: string): Promise<z.output<typeof profileOutput>> {
  const job = await finish({ kind: 'profile', user_id });
  assert.is(job.status, 'succeeded', job.error?.detail);
  return profileOutput.parse(job.result?.items[0]?.output);
}

const problemSchema = z.object({
  status: z.number(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), code: z.string() })).default([]),
});

const asProfile = (more: object) => ({ kind: 'profile', user_id: 'a', ...more });
const refusals: readonly (readonly [name: string, body: object, pointer: string, code: string])[] = [
  ['a text', asProfile({ input: { text: 'a' } }), '/input', 'unknown_field'],
  ['texts', asProfile({ input: { texts: ['a', 'b'] } }), '/input', 'unknown_field'],
  ['nobody', { kind: 'profile' }, '/user_id', 'required'],
  ['an empty user', { kind: 'profile', user_id: '' }, '/user_id', 'too_small'],
  ['an unknown option', asProfile({ options: { depth: 3 } }), '/options/depth', 'unknown_field'],
  ['no days', asProfile({ options: { time_window_days: 0 } }), '/options/time_window_days', 'too_small'],
  ['366 days', asProfile({ options: { time_window_days: 366 } }), '/options/time_window_days', 'too_big'],
  [
    'half a day',
    asProfile({ options: { time_window_days: 0.5 } }),
    '/options/time_window_days',
    'invalid_type',
  ],
  [
    'days in words',
    asProfile({ options: { time_window_days: '7' } }),
    '/options/time_window_days',
    'invalid_type',
  ],
  [
    'a flag in words',
    asProfile({ options: { include_emotions: 'no' } }),
    '/options/include_emotions',
    'invalid_type',
  ],
  ['another model', asProfile({ model: 'profile@9' }), '/model', 'unknown_model'],
];
for (const [name, body, pointer, code] of refusals) {
  test(`refuses a profile of ${name} with 422 at ${pointer}`, async () => {
    const response = await post(body);
    const problem = problemSchema.parse(await response.json());
    assert.equal([response.status, problem.code], [422, 'invalid_request']);
    assert.equal([problem.errors[0]?.pointer, problem.errors[0]?.code], [pointer, code]);
  });
}

test('keeps every version, each under its own ETag', async () => {
  const user_id = 'versions';
  await finish({ kind: 'emotion', user_id, input: { text: 'I am so happy today!' } });
  const made = [await profileOf(user_id)];
  const path = `/v1/users/${user_id}/profile`;
  const first = await get(path);
  const tag = first.headers.get('etag') ?? '';
  assert.match(tag, /^"[^"]+"$/);
  for (const known of [`W/${tag}`, `"other", ${tag}`, '*'] as const)
    assert.is((await get(path, { 'if-none-match': known })).status, 304, known);
  const unchanged = await get(path, { 'if-none-match': tag });
  assert.equal([unchanged.status, await unchanged.text(), unchanged.headers.get('etag')], [304, '', tag]);

  await finish({ kind: 'reasoning', user_id, input: { text: 'The match was cancelled because it rained.' } });
  made.push(await profileOf(user_id));
  assert.equal(
    made.map(({ version }) => version),
    [1, 2],
  );
  const changed = await get(path, { 'if-none-match': tag });
  assert.is(changed.status, 200);
  assert.is.not(changed.headers.get('etag'), tag);
  const view = z.object({
    user_id: z.string(),
    version: z.int(),
    created_at: z.iso.datetime(),
    profile: profileOutput,
  });
  const newest = view.parse(await changed.json());
  assert.equal([newest.user_id, newest.version, newest.profile], [user_id, 2, made[1]]);
  const old = await get(`${path}?version=1`);
  assert.equal([old.status, old.headers.get('etag')], [200, tag]);
  assert.equal(view.parse(await old.json()).profile, made[0]);
  assert.is((await get(`${path}?version=1`, { 'if-none-match': tag })).status, 304);
});

const diffView = z.object({ user_id: z.string(), from: z.int(), to: z.int(), diff: profileDiffSchema });

test('says what changed from one version to another', async () => {
  const path = '/v1/users/versions/profile/diff';
  const { diff } = diffView.parse(await (await get(`${path}?from=1&to=2`)).json());
  assert.equal(diff.numbers['coverage.reasoning_analyses'], { before: 0, after: 1, change: 1 });
  assert.equal(diff.numbers['reasoning.total_chains'], { before: 0, after: 1, change: 1 });
  assert.is(diff.numbers['coverage.emotion_analyses'], undefined);
  assert.is(diff.lists['reasoning.strongest_chains']?.added.length, 1);
  const back = diffView.parse(await (await get(`${path}?from=2&to=1`)).json());
  assert.equal(back.diff.numbers['reasoning.total_chains'], { before: 1, after: 0, change: -1 });
  const same = diffView.parse(await (await get(`${path}?from=2&to=2`)).json());
  assert.equal(same.diff, { comparable: true, numbers: {}, words: {}, lists: {} });
});

test('answers 404 for a profile that does not exist and 422 for a version that is none', async () => {
  const user = '/v1/users/versions/profile';
  for (const path of [
    '/v1/users/nobody/profile',
    `${user}?version=3`,
    `${user}/diff?from=1&to=3`,
    '/v1/users/nobody/profile/diff?from=1&to=1',
  ]) {
    const response = await get(path);
    const problem = problemSchema.parse(await response.json());
    assert.equal(
      [response.status, problem.code],
      [problemCatalogue.profile_not_found.status, 'profile_not_found'],
      path,
    );
  }
  for (const [query, pointer] of [
    ['?version=0', '?/version'],
    ['?version=1.5', '?/version'],
    ['?version=x', '?/version'],
    ['?version=99999999999', '?/version'],
    ['?version=1&version=2', '?/version'],
    ['?other=1', '?/other'],
    ['/diff', '?/from'],
    ['/diff?from=1', '?/to'],
    ['/diff?from=0&to=1', '?/from'],
  ] as const) {
    const response = await get(user + query);
    const problem = problemSchema.parse(await response.json());
    assert.equal([response.status, problem.errors[0]?.pointer], [422, pointer], query);
  }
});

test.run();
