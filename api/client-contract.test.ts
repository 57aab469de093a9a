// The client's types are those of the document that the API serves, and the generator refuses what it cannot show.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRegistry } from '../models/registry.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { renderContract } from './client-contract.ts';
import { createOpenApi } from './openapi.ts';

test('the committed contract is what the OpenAPI document gives', () => {
  const document: unknown = JSON.parse(
    JSON.stringify(createOpenApi(createRegistry(readConfig().MODELS_DIR))),
  );
  const committed = readFileSync(join(packageRoot, 'shared/client/contract.ts'), 'utf8');
  assert.ok(
    renderContract(document) === committed,
    'run `npm run generate:client` and commit shared/client/contract.ts',
  );
});

function contractOf(schema: unknown): string {
  const answer = { description: 'ok', content: { 'application/json': { schema } } };
  return renderContract({
    paths: { '/x/{id}': { get: { summary: 'X', responses: { 200: answer, 404: { description: 'no' } } } } },
    components: {
      schemas: { Thing: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] } },
    },
  });
}

test('shows each kind of schema', () => {
  const one = (name: string) => ({ type: 'object', properties: { [name]: { type: 'string' } } });
  const text = contractOf({
    type: 'object',
    required: ['one', 'two'],
    properties: {
      one: { type: ['string', 'null'], description: 'The "first"' },
      two: { type: 'array', items: { anyOf: [{ type: 'integer' }, { $ref: '#/components/schemas/Thing' }] } },
      'thr-ee': { enum: ['a', "it's", 3, null] },
      pair: { type: 'array', prefixItems: [{ type: 'string' }, { type: 'number' }] },
      map: { type: 'object', additionalProperties: { type: 'boolean' } },
      free: {},
      many: { type: 'array', items: { anyOf: [one('b'), one('c')] } },
      exactly: { const: 'x', type: 'string' },
    },
  });
  for (const line of [
    '      /** The "first" */\n      readonly one: string | null;',
    'readonly two: readonly (number | Thing)[];',
    `readonly 'thr-ee'?: 'a' | 'it\\'s' | 3 | null;`,
    'readonly pair?: readonly [string, number];',
    'readonly map?: Readonly<Record<string, boolean>>;',
    'readonly free?: unknown;',
    'readonly many?: readonly ({\n        readonly b?: string;\n      } | {\n        readonly c?: string;\n      })[];',
    `readonly exactly?: 'x';`,
    `'GET /x/{id}': ['one', 'two'],`,
    `export type Thing = {\n  readonly a: string;\n};`,
  ])
    assert.ok(text.includes(line), `${line}\n\nis not in\n\n${text}`);
});

test('refuses what it cannot show', () => {
  assert.throws(() => contractOf({ type: 'object', patternProperties: {} }), /patternProperties/);
  assert.throws(() => contractOf({ type: 'file' }), /file/);
});

test.run();
