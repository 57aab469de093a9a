// What can go wrong for a user of the client, as one error: what the server answered (a problem of its catalogue), or
// what kept an answer from coming.

import type { Problem } from './contract.ts';

/** Faults that are the client's own word: no answer, none in time, one that is none of ours, a webhook not from us. */
export type ClientFault = 'connection_failed' | 'timed_out' | 'unexpected_answer' | 'invalid_signature';

/** `code` is for programs, `message` for people. */
export class SomaError extends Error {
  readonly code: Problem['code'] | ClientFault;
  /** HTTP status; undefined if there was no answer. */
  readonly status: number | undefined;
  /** Whether the same call may succeed later; calls that are safe to repeat were repeated already. */
  readonly retryable: boolean;
  /** For the server's operator: the request in its logs. */
  readonly requestId: string | undefined;
  /** What is wrong with the request, each by JSON pointer. */
  readonly errors: NonNullable<Problem['errors']>;
  /** When the server lets the call in again, in milliseconds from the answer. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: SomaError['code'],
    message: string,
    extra: {
      readonly status?: number | undefined;
      readonly retryable?: boolean;
      readonly problem?: Problem | undefined;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: extra.cause });
    this.name = 'SomaError';
    this.code = code;
    this.status = extra.status;
    this.retryable = extra.problem?.retryable ?? extra.retryable ?? false;
    this.requestId = extra.problem?.request_id;
    this.errors = extra.problem?.errors ?? [];
    this.retryAfterMs = extra.retryAfterMs;
  }
}

/**
 * The error that an answer other than 2xx stands for.
 * @param body the answer's body as it came
 */
export function toSomaError(response: Response, body: string): SomaError {
  const { status } = response;
  const retryAfterMs = readRetryAfter(response.headers.get('Retry-After'), Date.now());
  const problem = readProblem(body);
  if (problem === undefined) {
    const detail = `the answer is ${status} and no problem of Soma: is this the address of a Soma API?`;
    return new SomaError('unexpected_answer', detail, { status, retryable: status >= 500, retryAfterMs });
  }
  return new SomaError(problem.code, problem.detail, { status, problem, retryAfterMs });
}

/** Milliseconds from `now` that a Retry-After header asks for: seconds, or a date (RFC 9110, section 10.2.3). */
export function readRetryAfter(value: string | null, now: number): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function readProblem(body: string): Problem | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isProblem(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isProblem(value: unknown): value is Problem {
  return (
    typeof value === 'object' &&
    value !== null &&
    'code' in value &&
    typeof value.code === 'string' &&
    'detail' in value &&
    typeof value.detail === 'string'
  );
}
