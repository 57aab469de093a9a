// The examples of the OpenAPI document: each answer of 2xx has one, made of its schema and of one list of words for
// fields, so that a new field or operation is shown without a line here; each problem has one, by its code.

import { z } from 'zod';
import { type ProblemCode, problemCatalogue, problemCodes, ProblemError } from '../shared/problem.ts';
import { toProblemView } from './problem-handler.ts';
import { toForeignError } from './routes/openai.ts';

const schemaNode = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  format: z.string().optional(),
  enum: z.array(z.unknown()).optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  minItems: z.number().optional(),
  example: z.unknown().optional(),
  get properties(): z.ZodOptional<z.ZodRecord<z.ZodString, typeof schemaNode>> {
    return z.record(z.string(), schemaNode).optional();
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
});
type SchemaNode = z.output<typeof schemaNode>;

const mediaSchema = z.looseObject({ schema: schemaNode.optional(), example: z.unknown().optional() });
const responseSchema = z.looseObject({
  description: z.string(),
  content: z.record(z.string(), mediaSchema).optional(),
});
const documentSchema = z.looseObject({
  paths: z.record(
    z.string(),
    z.record(z.string(), z.looseObject({ responses: z.record(z.string(), responseSchema) })),
  ),
  components: z.looseObject({ schemas: z.record(z.string(), schemaNode) }),
});

export type OpenApiDocument = z.output<typeof documentSchema>;

/** @param generated the document without examples of answers; those that it has stay */
export function withExamples(generated: unknown): OpenApiDocument {
  const document = documentSchema.parse(JSON.parse(JSON.stringify(generated)));
  const { schemas } = document.components;
  for (const operation of Object.values(document.paths).flatMap((methods) => Object.values(methods))) {
    const called = z.string().optional().parse(operation['operationId']);
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      for (const media of Object.values(content ?? {})) {
        if (status.startsWith('2')) media.example ??= exampleOfAnswer(media.schema, schemas, called, status);
        else if (Number(status) >= 400) Object.assign(media, namedProblems(description, media.schema));
      }
    }
  }
  return { ...document, components: { ...document.components, examples: problemExamples() } };
}

const at = (second: number) => `2026-11-24T18:00:0${second}.000Z`;
const uuid = (last: number) => `01990a6e-7c00-7000-8000-00000000000${last}`;

/** What a field shows, by its name: the first of these that its schema allows. */
const words: Readonly<Record<string, readonly unknown[]>> = {
  status: ['succeeded', 'ended', 'completed', 'processed', 'enabled', 'ok'],
  end_reason: ['completed'],
  kind: ['emotion'],
  user_id: ['ada'],
  custom_id: ['order-17'],
  tags: [['support']],
  metadata: [{ row: '17' }],
  name: ['emotion'],
  version: ['2026.11.2', 3],
  model: ['emotion'],
  model_version: ['2026.11.2'],
  priority: ['normal'],
  digest: ['2357df5bbc9ffb2cabe316608c8063b18e98ed5a5ca4702c20b0c841bd979101'],
  sha256: ['2357df5bbc9ffb2cabe316608c8063b18e98ed5a5ca4702c20b0c841bd979101'],
  created_at: [at(0), 1_795_543_200],
  queued_at: [at(0)],
  started_at: [at(1)],
  in_progress_at: [at(1), 1_795_543_201],
  ended_at: [at(2)],
  completed_at: [at(2), 1_795_543_202],
  first_at: [at(0)],
  last_at: [at(2)],
  expires_at: ['2026-12-24T18:00:02.000Z', 1_798_135_202],
  job_id: [`job_${uuid(1)}`],
  endpoint_id: [`whep_${uuid(3)}`],
  input_file_id: [`file_${uuid(1)}`],
  output_file_id: [`file_output_${uuid(1)}`],
  worker: ['host-1:4711'],
  outcome: ['succeeded'],
  device: ['cpu'],
  flush_reason: ['goal'],
  cache: ['none'],
  label: ['joy'],
  emotion: ['joy'],
  primary_emotion: ['joy'],
  language: ['en'],
  trend: ['stable'],
  preferred_style: ['causal'],
  key: ['concept:rain'],
  node: ['concept:rain'],
  source: ['concept:rain'],
  target: ['concept:mud'],
  relation: ['causal', 'causes'],
  strongest: [['concept:rain', 'concept:mud']],
  analyses: [[`job_${uuid(1)}:0`]],
  nodes: [['concept:rain', 'concept:mud']],
  filename: ['lines.ndjson'],
  url: ['https://example.com/hooks/soma'],
  events: [['job.*']],
  endpoint: ['/v1/embeddings'],
  secret: ['whsec_bm90IGEgc2VjcmV0LCBhbiBleGFtcGxlIG9mIG9uZQ=='],
  type: ['causes', 'mutual_causation', 'job.succeeded'],
  store: ['postgres'],
  status_code: [200],
  response_body: ['ok'],
  succeeded: [1],
  completed: [1],
  total: [1],
  failed: [0],
  canceled: [0],
  expired: [0],
  processing: [0],
  queued: [0],
  invalid_lines: [0],
  complete: [true],
  index: [0],
  item_index: [0],
  start: [0],
  errors: [[], null],
  exists: [true],
  direct: [true],
  text: ['I finally got the job!'],
  queue: [0],
  batch_wait: [0],
  tokenize: [0],
  persist: [0],
  warnings: [[]],
};

/** By what an object is, since all have an `id` and links. */
const places: Readonly<Record<string, readonly [id: string, path: string]>> = {
  job: [`job_${uuid(1)}`, '/v1/jobs/'],
  batch: [`batch_${uuid(1)}`, '/v1/batches/'],
  file: [`file_${uuid(1)}`, '/v1/files/'],
  webhook_endpoint: [`whep_${uuid(3)}`, '/v1/webhook_endpoints/'],
  delivery: [`dlv_${uuid(4)}`, '/v1/deliveries/'],
};

/** Optional fields that a thing that went well does not have. */
const leftOut = ['error', 'anomaly', 'result_omitted'];

type Schemas = Readonly<Record<string, SchemaNode>>;

function exampleOf(schema: SchemaNode, schemas: Schemas, name = ''): unknown {
  const found = schema.$ref === undefined ? schema : schemas[schema.$ref.split('/').at(-1) ?? ''];
  if (found === undefined) throw new Error(`No schema ${schema.$ref}`);
  if (found.example !== undefined) return found.example;
  const word = words[name]?.find((one) => allows(found, one));
  if (word !== undefined) return word;
  if (found.enum !== undefined) return found.enum[0];
  const choice = found.anyOf ?? found.oneOf;
  if (choice?.[0] !== undefined) return exampleOf(choice[0], schemas, name);
  // What may be null is null when all went well, but for the timing and the execution of a job.
  if (allows(found, null) && found.properties === undefined) return null;
  if (allows(found, null) && ['queue', 'error'].includes(name)) return null;
  return exampleOfType(found, schemas, name);
}

function exampleOfType(schema: SchemaNode, schemas: Schemas, name: string): unknown {
  const types = [schema.type ?? (schema.properties === undefined ? 'unknown' : 'object')].flat();
  if (types.includes('object')) return exampleOfObject(schema, schemas);
  if (types.includes('array')) {
    const ofEach = name.replace(/s$/, '');
    if (schema.prefixItems !== undefined)
      return schema.prefixItems.map((one) => exampleOf(one, schemas, ofEach));
    const one = schema.items === undefined ? {} : exampleOf(schema.items, schemas, ofEach);
    return Array.from({ length: schema.minItems ?? 1 }, () => one);
  }
  if (types.includes('integer')) return Math.min(schema.maximum ?? 1, Math.max(schema.minimum ?? 1, 1));
  if (types.includes('number')) return 0.5;
  if (types.includes('boolean')) return false;
  if (types.includes('string')) return schema.format === 'date-time' ? at(0) : name;
  return {};
}

function exampleOfObject({ properties = {}, required }: SchemaNode, schemas: Schemas): unknown {
  const needed = z.array(z.string()).default([]).parse(required);
  const shown = Object.entries(properties).filter(
    ([name]) => needed.includes(name) || !leftOut.includes(name),
  );
  const example = Object.fromEntries(shown.map(([name, one]) => [name, exampleOf(one, schemas, name)]));
  const [id, path] = places[String(example['object'])] ?? [];
  if (id !== undefined && 'id' in example) example['id'] = id;
  if ('data' in example && 'first_id' in example) {
    const [first] = z.array(z.looseObject({ id: z.string() })).parse(example['data']);
    Object.assign(example, { first_id: first?.id ?? null, last_id: first?.id ?? null });
  }
  if (path !== undefined && 'links' in example) {
    const linked = Object.keys(z.record(z.string(), z.unknown()).parse(example['links']));
    const link = (name: string) => [name, `${path}${id}${name === 'self' ? '' : `/${name}`}`];
    example['links'] = Object.fromEntries(linked.map(link));
  }
  return example;
}

/** Whether a value is of a schema's types; no more than the lists above need. */
function allows({ type, enum: values, format, items }: SchemaNode, value: unknown): boolean {
  if (values !== undefined) return values.includes(value);
  const types = [type ?? []].flat();
  if (value === null) return types.includes('null');
  if (Array.isArray(value))
    return types.includes('array') && items !== undefined && value.every((one) => allows(items, one));
  if (typeof value === 'number') return types.includes('integer') || types.includes('number');
  if (format === 'date-time') return typeof value === 'string' && !Number.isNaN(Date.parse(value));
  return types.includes(typeof value);
}

const waiting = {
  status: 'queued',
  started_at: null,
  ended_at: null,
  attempts: [],
  counts: { total: 1, succeeded: 0, failed: 0 },
  queue: { position: 3, eta_p50_at: at(2), eta_p90_at: at(4) },
  timing_ms: null,
  execution: null,
  result: null,
};
const nothingCounted = { queued: 0, processing: 0, succeeded: 0, failed: 0, canceled: 0, expired: 0 };
const underWay = {
  status: 'in_progress',
  end_reason: null,
  ended_at: null,
  counts: { ...nothingCounted, total: 2, queued: 2 },
};
const pending = { status: 'pending', ended_at: null, next_attempt_at: at(0), attempt_count: 0 };

/** Answers about what has not gone well to its end: what they show instead, by operation and status. */
const changes: Readonly<Record<string, object>> = {
  'submitJob 202': waiting,
  'retryJob 202': { ...waiting, retry_of: `job_${uuid(2)}` },
  'cancelJob 200': { ...waiting, status: 'canceled', queue: null, ended_at: at(2) },
  'cancelJob 202': { ...waiting, status: 'canceling', queue: null, started_at: at(1) },
  'createBatch 202': underWay,
  'cancelBatch 202': { ...underWay, status: 'canceling', cancel_requested_at: at(2) },
  'cancelBatch 200': {
    end_reason: 'canceled',
    cancel_requested_at: at(2),
    counts: { ...nothingCounted, total: 2, succeeded: 1, canceled: 1 },
  },
  'testWebhookEndpoint 202': pending,
  'replayDelivery 202': { ...pending, attempts: [] },
  'openaiCreateBatch 200': {
    status: 'validating',
    in_progress_at: null,
    completed_at: null,
    output_file_id: null,
  },
};

function exampleOfAnswer(
  schema: SchemaNode | undefined,
  schemas: Schemas,
  operation: string | undefined,
  status: string,
): unknown {
  const example = schema === undefined ? {} : exampleOf(schema, schemas);
  const change = changes[`${operation} ${status}`];
  return change === undefined ? example : { ...z.looseObject({}).parse(example), ...change };
}

/** What examples of a form of problems are called, before the code. */
const prefixes: Readonly<Record<string, string>> = {
  '#/components/schemas/Problem': '',
  '#/components/schemas/OpenaiError': 'openai_',
};

/** References to the examples of the codes that a description names. */
function namedProblems(description: string, schema: SchemaNode | undefined) {
  const prefix = prefixes[schema?.$ref ?? ''];
  if (prefix === undefined) return {};
  const codes = [...description.matchAll(/`(\w+)`: /g)].map(([, code = '']) => code);
  const named = codes.map((code) => [code, { $ref: `#/components/examples/${prefix}${code}` }] as const);
  return { examples: Object.fromEntries(named) };
}

/** Each problem in our form and in that of OpenAI's dialect. */
function problemExamples(): Readonly<Record<string, { readonly value: object }>> {
  const examples = problemCodes.flatMap((code) => {
    const problem = new ProblemError(code, problemCatalogue[code].title, faults[code]);
    return [
      [code, { value: toProblemView(problem, uuid(5)) }] as const,
      [`openai_${code}`, { value: toForeignError(problem) }] as const,
    ];
  });
  return Object.fromEntries(examples);
}

/** What a problem tells besides. */
const faults: Partial<Record<ProblemCode, ConstructorParameters<typeof ProblemError>[2]>> = {
  invalid_request: {
    errors: [{ pointer: '/input/text', code: 'too_small', detail: 'Has 1 character at least' }],
  },
  invalid_lines: {
    errors: [{ line: 3, pointer: '/text', code: 'invalid_type', detail: 'Expected string' }],
    invalidLines: 1,
  },
  job_failed: { jobError: { code: 'attempts_exhausted', detail: 'Three attempts failed' } },
};
