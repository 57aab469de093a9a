// The published document is whole: every reference leads somewhere, every problem is told, every example is accepted.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { createRegistry } from '../models/registry.ts';
import { readConfig } from '../shared/config.ts';
import { problemCatalogue } from '../shared/problem.ts';
import { jobRequestSchema } from './job-request.ts';
import { createOpenApi } from './openapi.ts';

const registry = createRegistry(readConfig().MODELS_DIR);
const document: unknown = JSON.parse(JSON.stringify(createOpenApi(registry)));

const parameter = z.looseObject({ name: z.string(), in: z.enum(['path', 'query', 'header', 'cookie']) });
const media = z.record(
  z.string(),
  z.looseObject({ schema: z.looseObject({}), example: z.unknown().optional() }),
);
const operation = z.looseObject({
  summary: z.string(),
  parameters: z.array(parameter).default([]),
  requestBody: z.looseObject({ content: media }).optional(),
  responses: z.record(
    z.string().regex(/^[1-5]\d\d$/),
    z.looseObject({ description: z.string().min(1), content: media.optional() }),
  ),
});
const read = z
  .looseObject({
    openapi: z.string().regex(/^3\.1\.\d$/),
    info: z.looseObject({ title: z.string(), version: z.string() }),
    paths: z.record(
      z.string().startsWith('/'),
      z.record(z.enum(['get', 'post', 'delete', 'put', 'patch']).or(z.string()), operation),
    ),
    components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
  })
  .parse(document);

const operations = Object.entries(read.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, found]) => ({ path, method, found })),
);

test('has an OpenAPI 3.1 shape with its operations', () => {
  assert.ok(operations.some(({ path, method }) => path === '/v1/jobs' && method === 'post'));
  assert.ok(operations.some(({ path, method }) => path === '/v1/jobs/{id}' && method === 'get'));
});

test('names each operation once and declares each parameter of its path', () => {
  const ids = operations.flatMap(({ found }) => found['operationId'] ?? []);
  assert.is(new Set(ids).size, ids.length);
  for (const { path, found } of operations) {
    const declared = found.parameters.filter((one) => one.in === 'path').map(({ name }) => name);
    assert.equal(
      declared.toSorted(),
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name).toSorted(),
    );
  }
});

test('refers only to schemas that it has', () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)];
  assert.ok(references.length > 3);
  for (const [, name = ''] of references) assert.ok(name in read.components.schemas, name);
});

test('tells of every problem that an operation can have', () => {
  const text = JSON.stringify(document);
  // Of no operation: unknown paths, methods and formats.
  const ofAnyPath = ['not_found', 'method_not_allowed', 'not_acceptable'];
  for (const code of Object.keys(problemCatalogue))
    if (!ofAnyPath.includes(code)) assert.ok(text.includes(`\`${code}\``), code);
});

test('has an output schema of every kind', () => {
  for (const { kind } of registry.kinds)
    assert.ok(`${kind.charAt(0).toUpperCase()}${kind.slice(1)}Output` in read.components.schemas, kind);
});

test('gives examples that are accepted', () => {
  const examples = operations.flatMap(({ path, found }) =>
    Object.values(found.requestBody?.content ?? {}).flatMap(({ example }) =>
      example === undefined ? [] : [{ path, example }],
    ),
  );
  const ofJobs = examples.filter(({ path }) => path === '/v1/jobs');
  assert.ok(ofJobs.length > 0);
  for (const { example } of ofJobs) assert.ok(jobRequestSchema.safeParse(example).success);
});

test.run();
