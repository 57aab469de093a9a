// Any call of the OpenAPI document by its method and path, typed by the contract. What has words of its own stands on
// this.

import { answerFields, type Operations } from './contract.ts';
import { SomaError } from './soma-error.ts';
import type { Transport } from './transport.ts';

/** The name of a call, e.g. `GET /v1/jobs/{id}`. */
export type CallName = keyof Operations;
/** What a call takes. */
export type CallInput<Name extends CallName> = Omit<Operations[Name], 'answer'>;
/** What a call answers with. */
export type CallAnswer<Name extends CallName> = Operations[Name]['answer'];

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export type Call = <Name extends CallName>(
  name: Name,
  input: CallInput<Name>,
  options?: CallOptions,
) => Promise<CallAnswer<Name>>;

export function createCall(transport: Transport): Call {
  return async (name, input, { signal } = {}) => {
    const [method = 'GET', template = '/'] = name.split(' ');
    const headers = readStrings(input, 'header');
    const body: unknown = Reflect.get(input, 'body');
    const waitSeconds = Number(Reflect.get(Object(Reflect.get(input, 'query')), 'wait') ?? 0);
    // Lines are the one body that is no JSON value.
    const isText = typeof body === 'string';
    const type = isText ? 'application/x-ndjson' : 'application/json';
    const response = await transport.send({
      method,
      path: fillPath(template, readStrings(input, 'path'), readStrings(input, 'query')),
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': type }) },
      ...(body === undefined ? {} : { body: isText ? body : JSON.stringify(body) }),
      repeatable: method !== 'POST' || 'Idempotency-Key' in headers || template.endsWith('/cancel'),
      extraMs: (waitSeconds + preferredSeconds(headers)) * 1000,
      signal,
    });
    const answer = readBody(await response.text(), response.headers.get('content-type') ?? '');
    if (isAnswer(name, answer)) return answer;
    throw new SomaError('unexpected_answer', `the answer to ${name} lacks what it should have`, {
      status: response.status,
    });
  };
}

/** The fields of one part of a call's input, as text; those without a value are left out. */
function readStrings(input: object, part: 'path' | 'query' | 'header'): Readonly<Record<string, string>> {
  const fields: unknown = Reflect.get(input, part);
  if (typeof fields !== 'object' || fields === null) return {};
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

function fillPath(
  template: string,
  values: Readonly<Record<string, string>>,
  query: Readonly<Record<string, string>>,
): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ''));
  const search = new URLSearchParams(query).toString();
  return search === '' ? path : `${path}?${search}`;
}

function preferredSeconds(headers: Readonly<Record<string, string>>): number {
  return Number(/wait=(\d+)/.exec(headers['Prefer'] ?? '')?.[1] ?? 0);
}

function readBody(text: string, contentType: string): unknown {
  // Lines of JSON are no JSON.
  if (!/[/+]json\b/.test(contentType)) return text;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new SomaError('unexpected_answer', 'the answer is cut or is no JSON', { retryable: true, cause });
  }
}

/** What the contract says is always there is there; the rest is the contract's word. */
function isAnswer<Name extends CallName>(name: Name, value: unknown): value is CallAnswer<Name> {
  const fields = answerFields[name];
  return (
    fields.length === 0 ||
    (typeof value === 'object' && value !== null && fields.every((field) => field in value))
  );
}
