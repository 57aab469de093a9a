// Holds answers to the OpenAPI document that the system publishes: what an operation answers must be a status, a format,
// a body and, where it is a problem, a code that the document names.

import { z } from 'zod';

const mediaSchema = z.looseObject({
  schema: z.record(z.string(), z.unknown()).optional(),
  example: z.unknown().optional(),
  examples: z.record(z.string(), z.object({ $ref: z.string() })).optional(),
});
const parameterSchema = z.looseObject({
  name: z.string(),
  in: z.string(),
  required: z.boolean().default(false),
  example: z.unknown().optional(),
  schema: z.looseObject({ example: z.unknown().optional() }).default({}),
});
const operationSchema = z.looseObject({
  parameters: z.array(parameterSchema).default([]),
  requestBody: z.looseObject({ content: z.record(z.string(), mediaSchema) }).optional(),
  responses: z.record(
    z.string(),
    z.looseObject({ description: z.string(), content: z.record(z.string(), mediaSchema).default({}) }),
  ),
  security: z.array(z.record(z.string(), z.array(z.string()))).default([]),
});
const documentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
});

/** One method of one path, as the document has it. */
export interface Operation extends z.infer<typeof operationSchema> {
  readonly method: string;
  readonly path: string;
}

export interface Contract {
  readonly operations: readonly Operation[];
  /** What an answer has that the document does not say of the operation; the body is read. Empty if all is well. */
  readonly check: (operation: Operation, response: Response) => Promise<readonly string[]>;
  /** What is wrong with a value that should fit a schema of the document. */
  readonly fit: (schema: Record<string, unknown> | undefined, value: unknown) => readonly string[];
}

/** @param published the parsed JSON of `/openapi.json` */
export function readContract(published: unknown): Contract {
  const { paths, components } = documentSchema.parse(published);
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, found]) => ({ ...found, method: method.toUpperCase(), path })),
  );
  const compiled = new Map<string, z.ZodType>();
  const fit: Contract['fit'] = (schema, value) => {
    if (schema === undefined) return [];
    const text = JSON.stringify(schema);
    const known = compiled.get(text) ?? compile(text, components.schemas);
    compiled.set(text, known);
    const parsed = known.safeParse(value);
    return parsed.success ? [] : [z.prettifyError(parsed.error)];
  };
  return { operations, fit, check: (operation, response) => checkAnswer(operation, response, fit) };
}

/** References lead into the document; the validator knows them under `$defs`. */
function compile(text: string, schemas: Readonly<Record<string, unknown>>): z.ZodType {
  const moved = (json: string): unknown => JSON.parse(json.replaceAll('#/components/schemas/', '#/$defs/'));
  const whole = { $defs: moved(JSON.stringify(schemas)), allOf: [moved(text)] };
  return z.fromJSONSchema(JSON.parse(JSON.stringify(whole)));
}

async function checkAnswer(
  operation: Operation,
  response: Response,
  fit: Contract['fit'],
): Promise<readonly string[]> {
  const { status, headers } = response;
  const body = await response.text();
  const told = operation.responses[String(status)];
  if (told === undefined) return [`${status} is not documented: ${body.slice(0, 300)}`];
  const faults = checkHeaders(status, headers);
  const type = (headers.get('content-type') ?? '').split(';')[0] ?? '';
  const media = told.content[type];
  if (media === undefined) {
    const allowed = Object.keys(told.content);
    return type === '' && allowed.length === 0
      ? faults
      : [...faults, `${status} came as ${type || 'nothing'}`];
  }
  for (const value of readValues(type, body)) faults.push(...fit(media.schema, value));
  return [...faults, ...checkError(told, response, { type, body })];
}

const problemSchema = z.object({ status: z.number(), code: z.string(), request_id: z.string() });
const foreignErrorSchema = z.object({ error: z.object({ code: z.string() }) });

/** Answers of 400 and above that name codes: problems, or the errors of a dialect that has the codes in `error`. */
function checkError(
  told: { readonly description: string },
  { status, headers }: Response,
  { type, body }: { readonly type: string; readonly body: string },
): string[] {
  const named = (code: string) =>
    told.description.includes(`\`${code}\``) ? [] : [`${code} is not documented`];
  if (type === 'application/problem+json') {
    const problem = problemSchema.parse(JSON.parse(body));
    return [
      ...(problem.status === status ? [] : [`the problem says ${problem.status}`]),
      ...(problem.request_id === headers.get('x-request-id') ? [] : ['the problem has another request id']),
      ...named(problem.code),
    ];
  }
  const foreign = status < 400 ? undefined : foreignErrorSchema.safeParse(readValues(type, body)[0]).data;
  return foreign === undefined ? [] : named(foreign.error.code);
}

function checkHeaders(status: number, headers: Headers): string[] {
  const wanted: Readonly<Record<number, string>> = {
    401: 'www-authenticate',
    403: 'www-authenticate',
    405: 'allow',
    429: 'retry-after',
    503: 'retry-after',
  };
  const name = wanted[status];
  return ['x-request-id', ...(name === undefined ? [] : [name])].flatMap((one) =>
    headers.has(one) ? [] : [`${status} without ${one}`],
  );
}

/** What of a body is compared with the schema: JSON as a whole, NDJSON line by line, other text as it is. */
function readValues(type: string, body: string): unknown[] {
  if (type === 'application/x-ndjson') {
    const lines = body.split('\n').filter((line) => line !== '');
    return lines.map((line): unknown => JSON.parse(line));
  }
  if (type === 'application/json' || type.endsWith('+json')) return [JSON.parse(body)];
  return type === 'text/event-stream' ? [] : [body];
}
