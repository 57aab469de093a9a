// Two tenants and every route of the document under every method: what one has, the other never learns of.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { z } from 'zod';
import { openBatch } from '../db/batch-intake.ts';
import { inTransaction } from '../db/client.ts';
import { insertTestDelivery } from '../db/deliveries.ts';
import { requestErasure } from '../db/erase-person.ts';
import { insertFile, sealFile } from '../db/files.ts';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { insertJobs } from '../db/submissions.ts';
import { insertEndpoint } from '../db/webhook-endpoints.ts';
import { createLiveSystem, newJob } from '../scripts/live-system.ts';
import { createApiKey, scopes } from '../shared/api-key.ts';
import { formatBatchId, formatFileId } from '../shared/batch.ts';
import { formatJobId } from '../shared/job.ts';
import { deliveryIds, endpointIds } from '../shared/webhook.ts';

const system = await createLiveSystem({ AUTH: 'on' });
const api = await system.start('api');
test.after(() => system.close());

const canary = 'CANARY';
const userId = 'shared-user';

async function makeTenant(name: string): Promise<{ tenantId: string; key: string }> {
  const tenantId = await ensureTenant(system.owner, name, 'premium');
  const key = createApiKey();
  await insertKey(system.owner, { id: key.id, tenantId, hash: key.hash, scopes });
  return { tenantId, key: key.text };
}

/** What a person of the tenant has: an analysis, a profile, and a graph of one edge. */
async function storePerson(tenantId: string, jobId: string): Promise<void> {
  const output = {
    primary_emotion: canary,
    primary_score: 1,
    emotions: [],
    confidence: 1,
    valence: 0,
    arousal: 0,
    intensity: 0,
  };
  const person = [tenantId, userId];
  await system.owner.query(
    `INSERT INTO analyses (tenant_id, user_id, job_id, item_index, kind, model_version, output, created_at)
      VALUES ($1, $2, $3, 0, 'emotion', '1', $4, now())`,
    [...person, jobId, JSON.stringify(output)],
  );
  await system.owner.query(
    `INSERT INTO profiles (tenant_id, user_id, version, job_id, profile, created_at) VALUES ($1, $2, 1, $3, $4, now())`,
    [...person, jobId, JSON.stringify({ canary })],
  );
  for (const name of ['a', 'b']) {
    await system.owner.query(
      `INSERT INTO graph_nodes (tenant_id, user_id, key, type, name) VALUES ($1, $2, $3, 'concept', $4)`,
      [...person, `concept:${name}`, `${canary} ${name}`],
    );
  }
  await system.owner.query(
    `INSERT INTO graph_edges (tenant_id, user_id, type, source, target, relation, evidence_count, strength_ppm, analyses,
        first_at, last_at) VALUES ($1, $2, 'causes', 'concept:a', 'concept:b', $3, 1, 900000, '{}', now(), now())`,
    [...person, canary],
  );
}

const [owner, stranger] = await Promise.all([makeTenant('owner'), makeTenant('stranger')]);
const job = newJob({
  tenantId: owner.tenantId,
  userId,
  metadata: { canary },
  texts: [canary],
  dispatchId: null,
});
await insertJobs(system.owner, [job]);
await storePerson(owner.tenantId, job.id);
const erasureId = await requestErasure(system.owner, { tenantId: owner.tenantId, userId: canary });

const batchId = v7();
const fileId = v7();
await openBatch(system.owner, {
  tenantId: owner.tenantId,
  id: batchId,
  uploadId: v7(),
  kind: 'emotion',
  modelVersion: '1',
  modelDigest: 'd',
  class: 2,
  onInvalid: 'skip',
  userId,
  options: {},
  metadata: { canary },
  storeInput: true,
  fileId,
  dialect: 'openai',
  idempotencyKey: null,
  fingerprint: '00',
  deadlineAt: null,
  createdAt: new Date().toISOString(),
  expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
});
await insertFile(system.owner, {
  tenantId: owner.tenantId,
  id: fileId,
  filename: canary,
  createdAt: new Date().toISOString(),
  expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
});
await sealFile(system.owner, { tenantId: owner.tenantId, id: fileId }, { bytes: 0, lines: 0, sha256: '00' });

const endpoint = { tenantId: owner.tenantId, id: v7() };
await inTransaction(system.owner, (tx) => {
  const fields = { url: `https://example.com/${canary}`, events: ['*'], includeResult: false };
  return insertEndpoint(tx, { ...endpoint, ...fields, description: canary }, 1);
});
const deliveryId = (await insertTestDelivery(system.owner, endpoint)) ?? '';

async function ask(method: string, path: string, key: string, body?: string) {
  const response = await fetch(api.address + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: response.status, text: await response.text() };
}

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.looseObject({
        parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })).default([]),
        security: z.array(z.record(z.string(), z.array(z.string()))),
      }),
    ),
  ),
});
const { paths } = documentSchema.parse(await (await fetch(`${api.address}/openapi.json`)).json());
const methods = ['get', 'post', 'put', 'patch', 'delete'];
const calls = Object.entries(paths).flatMap(([path, documented]) =>
  methods.map((method) => ({ path, method, operation: documented[method] })),
);

/** A body and a query with which each operation would answer its owner. */
const bodies: Readonly<Record<string, string>> = {
  '/v1/webhook_endpoints/{id}': JSON.stringify({ status: 'enabled' }),
  '/v1/webhook_endpoints/{id}/recover': JSON.stringify({ since: '2026-11-24T00:00:00Z', dry_run: true }),
  '/v1/users/{user_id}/graph/what-if': JSON.stringify({ node: 'concept:a', change: -1 }),
};
const queries: Readonly<Record<string, string>> = {
  '/v1/users/{user_id}/profile/diff': '?from=1&to=1',
  '/v1/users/{user_id}/graph/paths': '?from=concept:a&to=concept:b',
  '/v1/users/{user_id}/graph/search': `?q=${canary}`,
  '/v1/users/{user_id}/graph/neighbours': '?node=concept:a',
};

function place(path: string, user: string): string {
  const places: Readonly<Record<string, string>> = {
    jobs: formatJobId(job.id),
    batches: formatBatchId(batchId),
    files: formatFileId(fileId),
    erasures: `era_${erasureId}`,
    webhook_endpoints: endpointIds.format(endpoint.id),
    deliveries: deliveryIds.format(deliveryId),
  };
  const room = /^\/(?:openai\/)?v1\/(\w+)\//.exec(path)?.[1] ?? '';
  const id = places[room] ?? '';
  const filled = path.replace('{user_id}', user).replace('{id}', id);
  return filled + (queries[path] ?? '');
}

test('every operation says what key it needs', () => {
  const open = calls.filter(({ operation }) => operation?.security.length === 0).map(({ path }) => path);
  assert.equal(open.toSorted(), ['/health', '/health/live', '/health/ready']);
});

test("another tenant's ids are nowhere to be found, under any method", async () => {
  const withId = calls.filter(({ path }) => path.includes('{id}'));
  assert.ok(withId.length >= methods.length);
  for (const { path, method, operation } of withId) {
    const there = await ask(
      method.toUpperCase(),
      place(path, userId),
      stranger.key,
      method === 'get' ? undefined : (bodies[path] ?? '{}'),
    );
    const wanted = operation === undefined ? [404, 405] : [404];
    assert.ok(wanted.includes(there.status), `${method} ${path}: ${there.status}`);
    assert.not.match(there.text, canary);
  }
});

test('the owner finds what is theirs under each path, and nobody else has it in a list', async () => {
  const collections = Object.keys(paths).filter((path) => `${path}/{id}` in paths);
  assert.ok(collections.length >= 7, collections.join());
  for (const path of collections) {
    const there = place(`${path}/{id}`, userId);
    const id = there.slice(path.length + 1);
    const own = await ask('GET', there, owner.key);
    assert.is(own.status, 200, own.text);
    assert.ok((await ask('GET', path, owner.key)).text.includes(id), path);
    const other = await ask('GET', path, stranger.key);
    assert.is(other.status, 200);
    assert.not.ok(other.text.includes(id), path);
    assert.not.match(other.text, canary);
  }
  const body = JSON.stringify({ kind: 'emotion', input_file_id: formatFileId(fileId) });
  assert.is((await ask('POST', '/v1/batches', stranger.key, body)).status, 404);
});

test('a person of another tenant is as unknown as one who never was', async () => {
  const withUser = calls.filter(({ path }) => path.includes('{user_id}'));
  let shown = 0;
  for (const { path, method, operation } of withUser) {
    const body = method === 'get' ? undefined : (bodies[path] ?? '{}');
    const asked = (user: string, key: string) => ask(method.toUpperCase(), place(path, user), key, body);
    const there = await asked(userId, stranger.key);
    const never = await asked('never-seen', stranger.key);
    assert.not.match(there.text, path.includes('/search') ? `${canary} a` : canary, `${method} ${path}`);
    const plain = (text: string) =>
      text
        .replaceAll(/never-seen|shared-user/g, 'user')
        .replaceAll(/"(request_id|\w+_at)":"[^"]+"|era_[\w-]+/g, '');
    assert.equal([there.status, plain(there.text)], [never.status, plain(never.text)], `${method} ${path}`);
    if (operation !== undefined && !path.includes('profile')) {
      const own = await asked(userId, owner.key);
      // On a busy machine an erasure takes more than the request waits for.
      const expected = method === 'delete' && own.status === 202 ? 202 : 200;
      assert.is(own.status, expected, `${method} ${path}: ${own.text}`);
      if (own.text.includes(canary) || own.text.includes('concept:')) shown += 1;
    }
  }
  assert.ok(shown >= 6, `only ${shown} answers showed the owner what is theirs`);
});

test('a key of idempotency belongs to its tenant', async () => {
  const ids = await Promise.all(
    [owner, stranger, owner].map(async ({ key }) => {
      const response = await fetch(`${api.address}/v1/jobs`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          'idempotency-key': 'one',
        },
        body: JSON.stringify({ kind: 'emotion', input: { text: 'Good' } }),
      });
      return z.object({ id: z.string() }).parse(await response.json()).id;
    }),
  );
  assert.is(ids[0], ids[2]);
  assert.is.not(ids[0], ids[1]);
});

test.run();
