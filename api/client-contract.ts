// Turns the OpenAPI document into the TypeScript that the client is typed by (shared/client/contract.ts). Our own
// and small, because the public generators need the compiler's JavaScript API, which TypeScript 7 has not: a second
// compiler in the tree would cost more than these lines, and a keyword that they do not know is an error, not `any`.

import { z } from 'zod';

const schemaNode = z.object({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  description: z.string().optional(),
  const: z.unknown().optional(),
  enum: z.array(z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  required: z.array(z.string()).default([]),
  get properties(): z.ZodOptional<z.ZodRecord<z.ZodString, typeof schemaNode>> {
    return z.record(z.string(), schemaNode).optional();
  },
  get additionalProperties(): z.ZodOptional<z.ZodUnion<readonly [z.ZodBoolean, typeof schemaNode]>> {
    return z.union([z.boolean(), schemaNode]).optional();
  },
  get items(): z.ZodOptional<typeof schemaNode> {
    return schemaNode.optional();
  },
  get prefixItems(): z.ZodOptional<z.ZodArray<typeof schemaNode>> {
    return z.array(schemaNode).optional();
  },
  get anyOf(): z.ZodOptional<z.ZodArray<typeof schemaNode>> {
    return z.array(schemaNode).optional();
  },
  get oneOf(): z.ZodOptional<z.ZodArray<typeof schemaNode>> {
    return z.array(schemaNode).optional();
  },
  get allOf(): z.ZodOptional<z.ZodArray<typeof schemaNode>> {
    return z.array(schemaNode).optional();
  },
});
type SchemaNode = z.output<typeof schemaNode>;

/** Keywords that say more than TypeScript can. */
const passedOver =
  /^(format|default|example|examples|title|pattern|not|contains|propertyNames|(min|max)(imum|Length|Items|Properties)|exclusive(Min|Max)imum|uniqueItems|multipleOf|deprecated|discriminator)$/;

const contentSchema = z.record(z.string(), z.object({ schema: schemaNode.optional() }));
const operationSchema = z.object({
  summary: z.string().default(''),
  parameters: z
    .array(
      z.object({
        name: z.string(),
        in: z.enum(['path', 'query', 'header', 'cookie']),
        required: z.boolean().default(false),
        description: z.string().optional(),
        schema: schemaNode,
      }),
    )
    .default([]),
  requestBody: z.object({ required: z.boolean().default(false), content: contentSchema }).optional(),
  responses: z.record(z.string(), z.object({ content: contentSchema.optional() })),
});
type Operation = z.output<typeof operationSchema>;

const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({ schemas: z.record(z.string(), schemaNode) }),
});

/**
 * @returns the text of shared/client/contract.ts.
 * @throws Error naming a keyword that this generator does not know.
 */
export function renderContract(document: unknown): string {
  refuseUnknownKeywords(document);
  const { paths, components } = documentSchema.parse(document);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  return [
    '// What the API takes and answers, made from its OpenAPI document by `npm run generate:client`: do not edit. A test in',
    '// api/ holds that it is up to date.\n',
    ...Object.entries(components.schemas).map(
      ([name, schema]) => `${comment(schema.description, '')}export type ${name} = ${render(schema, '')};\n`,
    ),
    '/** Each call by its method and path: what it takes, and what it answers with when it succeeds. */',
    'export interface Operations {',
    ...operations.map(({ name, operation }) => renderOperation(name, operation)),
    '}\n',
    '/** The fields that the answer of each call always has. */',
    'export const answerFields: Readonly<Record<keyof Operations, readonly string[]>> = {',
    ...operations.map(
      ({ name, operation }) => `  ${quote(name)}: [${requiredOf(operation, components.schemas)}],`,
    ),
    '};\n',
  ].join('\n');
}

function renderOperation(name: string, operation: Operation): string {
  const { summary, requestBody } = operation;
  const parameters = (place: string) => renderParameters(operation, place);
  const body = requestBody === undefined ? [] : Object.values(requestBody.content);
  const bodyMark = requestBody?.required === true ? '' : '?';
  const lines = [
    ...parameters('path'),
    ...parameters('query'),
    ...parameters('header'),
    ...(body.length === 0 ? [] : [`    readonly body${bodyMark}: ${renderUnion(body, '    ')};`]),
    `    readonly answer: ${renderUnion(answersOf(operation), '    ')};`,
  ];
  return `${comment(summary, '  ')}  readonly ${quote(name)}: {\n${lines.join('\n')}\n  };`;
}

function renderParameters(operation: Operation, place: string): readonly string[] {
  const found = operation.parameters.filter((one) => one.in === place);
  if (found.length === 0) return [];
  const fields = found.map(({ name, required, description, schema }) =>
    renderField(name, { ...schema, description: description ?? schema.description }, required, '      '),
  );
  const mark = found.some(({ required }) => required) ? '' : '?';
  return [`    readonly ${place}${mark}: {\n${fields.join('\n')}\n    };`];
}

type Content = { readonly schema?: SchemaNode | undefined };

/** The bodies of all answers that mean success. */
function answersOf({ responses }: Operation): readonly Content[] {
  return Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([, { content }]) => (content === undefined ? [] : Object.values(content)));
}

function renderUnion(contents: readonly Content[], indent: string): string {
  const types = contents.map(({ schema }) => (schema === undefined ? 'unknown' : render(schema, indent)));
  return types.length === 0 ? 'undefined' : [...new Set(types)].join(' | ');
}

function requiredOf(operation: Operation, schemas: Readonly<Record<string, SchemaNode>>): string {
  const lists = answersOf(operation).map(({ schema }) => {
    const target = schema?.$ref === undefined ? schema : schemas[refName(schema.$ref)];
    return target?.required ?? [];
  });
  const [first = [], ...rest] = lists;
  return first
    .filter((name) => rest.every((list) => list.includes(name)))
    .map(quote)
    .join(', ');
}

function render(schema: SchemaNode, indent: string): string {
  if (schema.$ref !== undefined) return refName(schema.$ref);
  if (schema.const !== undefined) return literal(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(literal).join(' | ');
  // Beside properties, choices say which of them go together.
  const choices = schema.properties === undefined ? (schema.anyOf ?? schema.oneOf) : undefined;
  if (choices !== undefined)
    return [...new Set(choices.map((choice) => renderPart(choice, indent)))].join(' | ');
  if (schema.allOf !== undefined) return schema.allOf.map((part) => renderPart(part, indent)).join(' & ');
  const types = typeof schema.type === 'string' ? [schema.type] : (schema.type ?? []);
  if (types.length === 0) return 'unknown';
  return types.map((type) => renderType(type, schema, indent)).join(' | ');
}

function renderType(type: string, schema: SchemaNode, indent: string): string {
  if (type === 'array') return renderArray(schema, indent);
  if (type === 'object') return renderObject(schema, indent);
  if (type === 'integer') return 'number';
  if (['string', 'number', 'boolean', 'null'].includes(type)) return type;
  throw new Error(`a JSON type that the contract cannot show: ${type}`);
}

function renderArray({ items, prefixItems }: SchemaNode, indent: string): string {
  if (prefixItems !== undefined)
    return `readonly [${prefixItems.map((item) => render(item, indent)).join(', ')}]`;
  return `readonly ${items === undefined ? 'unknown' : renderPart(items, indent)}[]`;
}

function renderObject(schema: SchemaNode, indent: string): string {
  const { properties = {}, additionalProperties, required } = schema;
  const deeper = `${indent}  `;
  const fields = Object.entries(properties).map(([name, field]) =>
    renderField(name, field, required.includes(name), deeper),
  );
  if (fields.length > 0) return `{\n${fields.join('\n')}\n${indent}}`;
  const value = typeof additionalProperties === 'object' ? render(additionalProperties, indent) : 'unknown';
  return `Readonly<Record<string, ${value}>>`;
}

function renderField(name: string, schema: SchemaNode, required: boolean, indent: string): string {
  const key = /^[A-Za-z_]\w*$/.test(name) ? name : quote(name);
  return `${comment(schema.description, indent)}${indent}readonly ${key}${required ? '' : '?'}: ${render(schema, indent)};`;
}

/** A type that stands beside others. */
function renderPart(schema: SchemaNode, indent: string): string {
  const text = render(schema, indent);
  const { anyOf, oneOf, allOf, type } = schema;
  const isOne = [anyOf, oneOf, allOf].every((parts) => parts === undefined) && !Array.isArray(type);
  const isObject = isOne && text.startsWith('{');
  return / \| | & |^readonly /.test(text) && !isObject ? `(${text})` : text;
}

function comment(text: string | undefined, indent: string): string {
  return text === undefined || text === ''
    ? ''
    : `${indent}/** ${text.replaceAll('*/', '* /').replaceAll('\n', ' ')} */\n`;
}

function refName(reference: string): string {
  return reference.replace('#/components/schemas/', '');
}

function literal(value: unknown): string {
  return typeof value === 'string' ? quote(value) : String(value);
}

function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

const knownKeywords = new Set(Object.keys(schemaNode.shape));

/** Walks the schemas alone: under `properties` and in examples any name may stand. */
function refuseUnknownKeywords(document: unknown): void {
  const walk = (value: unknown, isSchema: boolean): void => {
    if (Array.isArray(value)) for (const entry of value) walk(entry, isSchema);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
    for (const [key, entry] of Object.entries(value)) {
      if (key === 'example' || key === 'examples' || key === 'default' || key === 'enum') continue;
      if (isSchema && !knownKeywords.has(key) && !passedOver.test(key))
        throw new Error(`the contract generator does not know the JSON Schema keyword ${key}`);
      if (key === 'properties' || key === 'schemas')
        for (const inner of Object.values(toRecord(entry))) walk(inner, true);
      else walk(entry, isSchema || key === 'schema');
    }
  };
  walk(document, false);
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  return z.record(z.string(), z.unknown()).parse(value);
}
