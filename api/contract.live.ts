// Every operation of the published document against every way in which any operation can go wrong: what comes back is
// documented, in status, headers, format, body and code. New operations are walked as soon as they are in the document.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { v7 } from 'uuid';
import { z } from 'zod';
import { inTransaction } from '../db/client.ts';
import { insertTestDelivery } from '../db/deliveries.ts';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { insertEndpoint } from '../db/webhook-endpoints.ts';
import { type Operation, readContract } from '../scripts/contract.ts';
import { freePort } from '../scripts/free-port.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { createApiKey, type Scope, scopes } from '../shared/api-key.ts';
import { problemCatalogue } from '../shared/problem.ts';
import type { Tier } from '../shared/tenant.ts';
import { deliveryIds, endpointIds } from '../shared/webhook.ts';

const bodyBytesMax = 4096;
const system = await createLiveSystem({
  AUTH: 'on',
  BODY_BYTES_MAX: String(bodyBytesMax),
  BATCH_BYTES_MAX: String(bodyBytesMax),
  WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`,
});
const dead = { DATABASE_URL: `postgres://nobody@127.0.0.1:${await freePort()}/nowhere`, WEBHOOK_KEYS: '' };
// The dispatcher ends what is canceled; nothing runs, for there are no workers.
const [api, lonely] = await Promise.all([
  system.start('api'),
  system.start('api', { ...dead, AUTH: 'off' }),
  system.start('dispatcher'),
]);
test.after(() => system.close());

const wholeDocument = await (await fetch(`${api.address}/openapi.json`)).json();
const contract = readContract(wholeDocument);
const { operations } = contract;
const published = await (await fetch(`${lonely.address}/openapi.json`)).json();

async function makeKey(tenant: string, tier: Tier, allowed: readonly Scope[]): Promise<string> {
  const tenantId = await ensureTenant(system.owner, tenant, tier);
  const key = createApiKey();
  await insertKey(system.owner, { id: key.id, tenantId, hash: key.hash, scopes: allowed });
  return key.text;
}

/** A tenant of 300 requests a minute for each way of asking. */
const newKey = (() => {
  let tenants = 0;
  return () => makeKey(`premium-${++tenants}`, 'premium', scopes);
})();

interface Wish {
  readonly key?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Buffer;
  readonly address?: string;
  /** Which of the formats of the body; the first unless you say otherwise. */
  readonly format?: number;
}

/** The path with the examples of its parameters, and the query that is required. */
function placeOf(
  operation: Operation,
  given: (name: string) => string | undefined = () => undefined,
): string {
  const exampleOf = (name: string): string => {
    const parameter = operation.parameters.find((one) => one.name === name);
    const example = given(name) ?? parameter?.example ?? parameter?.schema.example;
    assert.ok(example !== undefined, `${operation.method} ${operation.path}: ${name} has no example`);
    return typeof example === 'string' ? example : JSON.stringify(example);
  };
  const path = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => exampleOf(name));
  const required = operation.parameters.filter((one) => one.in === 'query' && one.required);
  const query = new URLSearchParams(Object.fromEntries(required.map(({ name }) => [name, exampleOf(name)])));
  return required.length === 0 ? path : `${path}?${query.toString()}`;
}

/** The path with each parameter of the query that has an example. */
function fullPlaceOf(operation: Operation): string {
  const query = new URLSearchParams();
  for (const { in: place, name, example, schema } of operation.parameters) {
    const value = example ?? schema.example;
    if (place === 'query' && typeof value === 'string') query.set(name, value);
  }
  return `${operation.path}?${query.toString()}`;
}

type Media = NonNullable<Operation['requestBody']>['content'][string];
const formSchema = z.object({
  properties: z.record(z.string(), z.object({ format: z.string().optional() })),
});
const formExample = z.record(z.string(), z.string());

/** The body of an example, in one of the formats that the operation takes. */
function bodyOf(operation: Operation, format = 0): { type: string; example: string } | undefined {
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[format] ?? [];
  if (type === undefined || media === undefined) return undefined;
  const { example } = media;
  assert.ok(example !== undefined, `${operation.method} ${operation.path} has no example of its body`);
  if (type === 'multipart/form-data')
    return { type: `${type}; boundary=part`, example: toForm(formExample.parse(example), media) };
  return { type, example: typeof example === 'string' ? example : JSON.stringify(example) };
}

/** The parts of a form; those that the schema calls binary are files. */
function toForm(fields: Readonly<Record<string, string>>, { schema }: Media): string {
  const { properties } = formSchema.parse(schema);
  const parts = Object.entries(fields).map(([name, value]) => {
    const file = properties[name]?.format === 'binary' ? '; filename="example"' : '';
    return `--part\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
  });
  return `${parts.join('')}--part--\r\n`;
}

/** Sends what the operation's examples say, but for the wish. */
function send(operation: Operation, wish: Wish = {}): Promise<Response> {
  const body = bodyOf(operation, wish.format);
  return fetch((wish.address ?? api.address) + (wish.path ?? placeOf(operation)), {
    method: wish.method ?? operation.method,
    headers: {
      ...(wish.key === undefined ? {} : { authorization: `Bearer ${wish.key}` }),
      ...(body === undefined ? {} : { 'content-type': body.type }),
      ...wish.headers,
    },
    ...(body === undefined ? {} : { body: wish.body ?? body.example }),
    signal: AbortSignal.timeout(30_000),
  });
}

/** Asks each operation, checks the answer against the document, and tells of all faults together. */
async function walk(
  chosen: readonly Operation[],
  ask: (operation: Operation) => Promise<Response>,
  status?: number,
  held = contract,
): Promise<void> {
  // Side by side: the former paths wait ten seconds for a worker that is not there.
  const faults = await Promise.all(
    chosen.map(async (operation) => {
      const response = await ask(operation);
      const found = [...(await held.check(operation, response))];
      if (status !== undefined && response.status !== status)
        found.push(`${response.status} is not ${status}`);
      return found.map((fault) => `${operation.method} ${operation.path}: ${fault}`);
    }),
  );
  assert.ok(chosen.length > 0);
  assert.is(faults.flat().join('\n'), '');
}

const keyed = operations.filter(({ security }) => security.length > 0);
const scoped = keyed.filter(({ security }) => Object.values(security[0] ?? {})[0]?.length === 1);
const answers = (status: number) => operations.filter(({ responses }) => String(status) in responses);
const withBody = operations.filter(({ requestBody }) => requestBody !== undefined);

test('answers 401 without a key, and with one that is none', async () => {
  await walk(keyed, (operation) => send(operation), 401);
  await walk(keyed, (operation) => send(operation, { key: 'soma_live_x' }), 401);
});

test('answers 403 to a key that lacks the scope', async () => {
  for (const scope of scopes) {
    const ofScope = scoped.filter(({ security }) => Object.values(security[0] ?? {})[0]?.[0] === scope);
    const key = await makeKey(
      `without-${scope}`,
      'premium',
      scopes.filter((one) => one !== scope),
    );
    if (ofScope.length > 0) await walk(ofScope, (operation) => send(operation, { key }), 403);
  }
});

test('answers 429 to a tenant that has used up its requests', async () => {
  const key = await makeKey('spent', 'free', scopes);
  const [first] = keyed;
  assert.ok(first);
  for (let asked = 0; asked < 10; asked++) await (await send(first, { key, path: '/v1/nowhere' })).text();
  await walk(keyed, (operation) => send(operation, { key }), 429);
});

test('answers what is documented to its own examples', async () => {
  const key = await newKey();
  await walk(operations, (operation) => send(operation, { key }));
});

const identified = z.looseObject({ id: z.string() });

/** Makes one thing of each kind, with the examples of the document where that needs nobody outside. */
async function makeThings(key: string, tenantId: string): Promise<Readonly<Record<string, string>>> {
  const make = async (name: string, wish: Wish = {}): Promise<string> => {
    const operation = operations.find(({ method, path }) => `${method} ${path}` === name);
    assert.ok(operation, name);
    const response = await send(operation, { key, ...wish });
    assert.ok(response.ok, `${name}: ${response.status}`);
    return identified.parse(await response.json()).id;
  };
  const endpoint = { tenantId, id: v7() };
  const fields = { url: 'https://example.com/', events: ['*'], includeResult: false, description: null };
  await inTransaction(system.owner, (tx) => insertEndpoint(tx, { ...endpoint, ...fields }, 1));
  const file = await make('POST /openai/v1/files');
  const request = { input_file_id: file, endpoint: '/v1/embeddings', completion_window: '24h' };
  return {
    '/v1/jobs': await make('POST /v1/jobs'),
    '/v1/batches': await make('POST /v1/batches'),
    '/v1/files': await make('POST /v1/files'),
    '/v1/erasures': await make('DELETE /v1/users/{user_id}'),
    '/v1/webhook_endpoints': endpointIds.format(endpoint.id),
    '/v1/deliveries': deliveryIds.format((await insertTestDelivery(system.owner, endpoint)) ?? ''),
    '/openai/v1/files': file,
    '/openai/v1/batches': await make('POST /openai/v1/batches', { body: JSON.stringify(request) }),
  };
}

test('answers what is documented about what is there, and finds it', async () => {
  const tenantId = await ensureTenant(system.owner, 'settled', 'premium');
  const key = await makeKey('settled', 'premium', scopes);
  const things = await makeThings(key, tenantId);
  const ofThings = operations.filter(({ path }) => path.includes('{id}'));
  // What is canceled has ended, so that its streams end.
  for (const turn of ['POST', 'PATCH', 'GET', 'DELETE']) {
    const chosen = ofThings.filter(({ method }) => method === turn);
    await walk(chosen, async (operation) => {
      const id = things[operation.path.split('/{id}')[0] ?? ''];
      assert.ok(id !== undefined, `nothing is there for ${operation.path}`);
      const response = await send(operation, { key, path: placeOf(operation, () => id) });
      assert.is.not(response.status, 404, `${operation.method} ${operation.path}`);
      return response;
    });
  }
});

test('answers what is documented to the other formats of its body, and takes lines', async () => {
  const key = await newKey();
  const others = withBody.filter((operation) => bodyOf(operation, 1) !== undefined);
  await walk(others, (operation) => send(operation, { key, format: 1 }));
  await walk(others, (operation) => send(operation, { key, format: 1, path: fullPlaceOf(operation) }), 202);
  const lines = withBody.filter((operation) => bodyOf(operation)?.type === 'application/x-ndjson');
  await walk(lines, (operation) => send(operation, { key }), 201);
});

test('answers what is documented to ids that are none, paths that are not text and parameters that are unknown', async () => {
  const key = await newKey();
  const withId = operations.filter(({ path }) => path.includes('{'));
  await walk(withId, (operation) => send(operation, { key, path: placeOf(operation, () => 'x%00') }));
  await walk(withId, (operation) => send(operation, { key, path: placeOf(operation, () => '%ff') }), 400);
  const unknown = (operation: Operation) => {
    const place = placeOf(operation);
    return `${place}${place.includes('?') ? '&' : '?'}nonsense=1`;
  };
  await walk(operations, (operation) => send(operation, { key, path: unknown(operation) }));
});

test('answers 405 with Allow to every other method of every path, and 404 elsewhere', async () => {
  const key = await newKey();
  const faults: string[] = [];
  for (const path of new Set(operations.map((operation) => operation.path))) {
    const ofPath = operations.filter((operation) => operation.path === path);
    const allowed = ofPath.map(({ method }) => method);
    const [first] = ofPath;
    const others = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) => !allowed.includes(method));
    for (const method of others) {
      if (first === undefined) continue;
      const response = await fetch(api.address + placeOf(first), {
        method,
        headers: { authorization: `Bearer ${key}` },
      });
      const allow = (response.headers.get('allow') ?? '').split(', ').toSorted();
      if (response.status !== 405 || allow.join() !== allowed.toSorted().join())
        faults.push(`${method} ${path}: ${response.status}, Allow: ${allow.join(', ')}`);
    }
  }
  assert.is(faults.join('\n'), '');
  for (const path of ['/nowhere', '/v1/nowhere', '/v1/jobs/x/y/z', '/docs/x']) {
    const response = await fetch(api.address + path, { headers: { authorization: `Bearer ${key}` } });
    assert.equal(
      [response.status, response.headers.get('content-type')?.split(';')[0]],
      [404, 'application/problem+json'],
    );
  }
});

test('answers 406 to a client that takes no format of the operation, before it does anything', async () => {
  const key = await newKey();
  const strict = answers(406).filter(({ responses }) =>
    Object.entries(responses).some(
      ([status, { content }]) => status.startsWith('2') && Object.keys(content).length > 0,
    ),
  );
  await walk(strict, (operation) => send(operation, { key, headers: { accept: 'image/png' } }), 406);
});

/** The example of the body with white space in it, more than a body may have. */
function grow(operation: Operation): string {
  return bodyOf(operation)?.example.replace('{', `{${' '.repeat(bodyBytesMax)}`) ?? '';
}

test('answers 400, 413, 415 and 422 to bodies that are broken, large, foreign and wrong', async () => {
  const key = await newKey();
  const json = withBody.filter((operation) => bodyOf(operation)?.type === 'application/json');
  await walk(json, (operation) => send(operation, { key, body: '{' }), 400);
  await walk(json, (operation) => send(operation, { key, body: Buffer.from([0x22, 0xff, 0x22]) }), 400);
  await walk(withBody, (operation) => send(operation, { key, body: grow(operation) }), 413);
  await walk(
    withBody,
    (operation) => send(operation, { key, headers: { 'content-type': 'image/png' } }),
    415,
  );
  const packed = { 'content-encoding': 'gzip' };
  await walk(withBody, (operation) => send(operation, { key, headers: packed, body: gzipSync('{}') }), 415);
  await walk(json, (operation) => send(operation, { key, body: '[]' }), 422);
  const forms = withBody.filter((operation) => bodyOf(operation)?.type.startsWith('multipart/') === true);
  await walk(forms, (operation) => send(operation, { key, body: '{' }), 400);
  const unbounded = { 'content-type': 'multipart/form-data' };
  await walk(forms, (operation) => send(operation, { key, headers: unbounded }), 400);
});

test('answers 503 while the ledger is away', async () => {
  const open = readContract(published);
  const asked = open.operations.filter(({ responses }) => '503' in responses);
  await walk(asked, (operation) => send(operation, { address: lonely.address }), 503, open);
});

const documented = operations.flatMap(({ method, path, responses }) =>
  Object.entries(responses).flatMap(([status, { description, content }]) =>
    Object.entries(content).map(([type, told]) => ({
      name: `${method} ${path} ${status} ${type}`,
      status,
      description,
      type,
      ...told,
    })),
  ),
);

test('gives an example of every answer that is no error, and each is of its schema', () => {
  const faults = documented
    .filter(({ status }) => status.startsWith('2'))
    .flatMap(({ name, type, schema, example }) => {
      if (example === undefined || example === '') return [`${name} has no example`];
      // Of a stream of events the schema is that of a message, as a reader takes it apart.
      if (type === 'text/event-stream') return [];
      const values = type === 'application/x-ndjson' ? linesOf(z.string().parse(example)) : [example];
      return values.flatMap((value) => contract.fit(schema, value)).map((fault) => `${name}: ${fault}`);
    });
  assert.is(faults.join('\n'), '');
});

function linesOf(text: string): unknown[] {
  const lines = text.trim().split('\n');
  return lines.map((line): unknown => JSON.parse(line));
}

const problemForms = ['#/components/schemas/Problem', '#/components/schemas/OpenaiError'];
const examplesSchema = z.object({
  components: z.object({ examples: z.record(z.string(), z.object({ value: z.unknown() })) }),
});

test('gives an example of every problem of every operation, and each is of its schema and status', () => {
  const known = examplesSchema.parse(wholeDocument).components.examples;
  const coded = z.object({ code: z.string() });
  const problems = documented.filter(({ schema }) => problemForms.includes(String(schema?.['$ref'])));
  assert.ok(problems.length > 100);
  for (const { name, status, description, schema, examples = {} } of problems) {
    const codes = [...description.matchAll(/`(\w+)`: /g)].map(([, code = '']) => code);
    assert.equal(Object.keys(examples).toSorted(), codes.toSorted(), name);
    for (const [code, { $ref }] of Object.entries(examples)) {
      const value = known[$ref.split('/').at(-1) ?? '']?.value;
      assert.equal(contract.fit(schema, value), [], `${name} ${code}`);
      const own = coded.or(z.object({ error: coded }).transform(({ error }) => error)).parse(value);
      assert.is(own.code, code);
      assert.is(
        z.record(z.string(), z.object({ status: z.number() })).parse(problemCatalogue)[code]?.status,
        Number(status),
      );
    }
  }
});

test.run();
