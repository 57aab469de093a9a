// The typed client of Soma's API: every call of the OpenAPI document by name, and the few that people want in words
// of their own (submit, wait, stream, cancel). Needs nothing but Node, so that it can be taken anywhere.

import { answerFields, type Job, type JobRequest, type Operations } from './contract.ts';
import { followEvents, type FollowOptions, type StreamEvent } from './event-stream.ts';
import { SomaError } from './soma-error.ts';
import { createTransport, pause, type TransportOptions } from './transport.ts';

/** The name of a call, e.g. `GET /v1/jobs/{id}`. */
export type CallName = keyof Operations;
/** What a call takes. */
export type CallInput<Name extends CallName> = Omit<Operations[Name], 'answer'>;
/** What a call answers with. */
export type CallAnswer<Name extends CallName> = Operations[Name]['answer'];

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface SubmitOptions extends CallOptions {
  /** The same key and request give the same job for 24 hours; made by chance if left out. */
  readonly idempotencyKey?: string;
  /** Seconds for which the answer may be held back until the job has ended, 60 at most. */
  readonly waitSeconds?: number;
}

export interface WaitOptions extends CallOptions {
  /** Milliseconds after which to give up with `timed_out`; without it there is no limit but `signal`. */
  readonly timeoutMs?: number;
}

/** Every method throws SomaError when the server refuses or cannot be reached, and the reason of an aborted signal. */
export interface SomaClient {
  /** Any call of the API. GET, DELETE and what carries an Idempotency-Key is repeated when that may help. */
  readonly call: <Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    options?: CallOptions,
  ) => Promise<CallAnswer<Name>>;
  /** Records a job. It is safe against lost answers: repeated under one Idempotency-Key. */
  readonly submit: (request: JobRequest, options?: SubmitOptions) => Promise<Job>;
  /** The job once it has ended, however: look at its `status`. */
  readonly wait: (jobId: string, options?: WaitOptions) => Promise<Job>;
  /** Every event of a job in order, over cuts and restarts of the server, until its last. */
  readonly stream: (jobId: string, options?: FollowOptions) => AsyncGenerator<StreamEvent, void, undefined>;
  readonly cancel: (jobId: string, options?: CallOptions) => Promise<Job>;
}

const terminal: ReadonlySet<string> = new Set(['succeeded', 'failed', 'canceled', 'expired']);
/** Below the minute that proxies commonly allow. */
const pollSeconds = 25;

/** True once nothing more will happen to the job. */
export function hasEnded(job: { readonly status: string }): boolean {
  return terminal.has(job.status);
}

export function createClient(options: TransportOptions): SomaClient {
  const transport = createTransport(options);

  const call: SomaClient['call'] = async (name, input, { signal } = {}) => {
    const [method = 'GET', template = '/'] = name.split(' ');
    const headers = readStrings(input, 'header');
    const body: unknown = Reflect.get(input, 'body');
    const waitSeconds = Number(Reflect.get(Object(Reflect.get(input, 'query')), 'wait') ?? 0);
    const response = await transport.send({
      method,
      path: fillPath(template, readStrings(input, 'path'), readStrings(input, 'query')),
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
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

  const submit: SomaClient['submit'] = (request, { idempotencyKey, waitSeconds, signal } = {}) => {
    const prefer = waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` };
    const header = { 'Idempotency-Key': idempotencyKey ?? crypto.randomUUID(), ...prefer };
    return call('POST /v1/jobs', { header, body: request }, { signal });
  };

  const wait: SomaClient['wait'] = async (id, { timeoutMs = Number.POSITIVE_INFINITY, signal } = {}) => {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const askedAt = performance.now();
      const seconds = Math.min(pollSeconds, Math.max(0, Math.ceil((deadline - askedAt) / 1000)));
      const job = await call('GET /v1/jobs/{id}', { path: { id }, query: { wait: seconds } }, { signal });
      if (hasEnded(job)) return job;
      if (performance.now() >= deadline)
        throw new SomaError('timed_out', `${id} is ${job.status} after ${timeoutMs} ms`, { retryable: true });
      // A server that is about to stop answers at once; it must not be asked in a circle.
      await pause(Math.max(0, Math.min(1000, deadline - askedAt) - (performance.now() - askedAt)), signal);
    }
  };

  return {
    call,
    submit,
    wait,
    stream: (id, follow = {}) =>
      followEvents(
        transport,
        `/v1/jobs/${encodeURIComponent(id)}/events`,
        ({ type }) => terminal.has(type.replace('job.', '')),
        follow,
      ),
    cancel: (id, { signal } = {}) => call('POST /v1/jobs/{id}/cancel', { path: { id } }, { signal }),
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
  if (!contentType.includes('json')) return text;
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
