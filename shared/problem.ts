// The catalogue of everything that can go wrong for a client, and the one error that carries it (RFC 9457).
// Documents, OpenAPI and handler are built from this list.

/** code -> HTTP status, title, and whether the same request may succeed later. */
export const problemCatalogue = {
  malformed_request: { status: 400, title: 'The request cannot be read', retryable: false },
  malformed_json: { status: 400, title: 'The body is not valid JSON', retryable: false },
  invalid_encoding: { status: 400, title: 'The body is not valid UTF-8', retryable: false },
  invalid_header: { status: 400, title: 'A header has an invalid value', retryable: false },
  unauthenticated: { status: 401, title: 'A key is needed', retryable: false },
  invalid_key: { status: 401, title: 'The key is not valid', retryable: false },
  insufficient_scope: { status: 403, title: 'The key does not allow this', retryable: false },
  not_found: { status: 404, title: 'Nothing is here', retryable: false },
  profile_not_found: { status: 404, title: 'There is no profile yet', retryable: false },
  job_not_found: { status: 404, title: 'There is no such job', retryable: false },
  webhook_endpoint_not_found: { status: 404, title: 'There is no such webhook endpoint', retryable: false },
  delivery_not_found: { status: 404, title: 'There is no such delivery', retryable: false },
  endpoint_limit_reached: {
    status: 409,
    title: 'The tenant has as many endpoints as it may',
    retryable: false,
  },
  endpoint_disabled: { status: 409, title: 'The endpoint is disabled', retryable: false },
  delivery_pending: { status: 409, title: 'The delivery is still under way', retryable: true },
  batch_not_found: { status: 404, title: 'There is no such batch', retryable: false },
  file_not_found: { status: 404, title: 'There is no such file', retryable: false },
  erasure_not_found: { status: 404, title: 'There is no such receipt', retryable: false },
  job_failed: { status: 409, title: 'The job did not succeed', retryable: false },
  job_not_finished: { status: 409, title: 'The job has not ended yet', retryable: true },
  job_already_finished: { status: 409, title: 'The job has already ended', retryable: false },
  batch_already_ended: { status: 409, title: 'The batch has already ended', retryable: false },
  batch_superseded: { status: 409, title: 'Another upload of the batch has taken over', retryable: true },
  input_not_stored: { status: 409, title: 'The texts of the job are gone', retryable: false },
  result_expired: { status: 410, title: 'The result is gone', retryable: false },
  method_not_allowed: { status: 405, title: 'The method is not allowed here', retryable: false },
  not_acceptable: { status: 406, title: 'No format that can be answered is accepted', retryable: false },
  payload_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'The body must be application/json', retryable: false },
  unsupported_encoding: { status: 415, title: 'The body must not be compressed', retryable: false },
  invalid_request: { status: 422, title: 'The request is well formed but invalid', retryable: false },
  invalid_lines: { status: 422, title: 'Lines of the batch are invalid', retryable: false },
  idempotency_key_reused: { status: 422, title: 'The key was used with another body', retryable: false },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  quota_exceeded: { status: 429, title: 'Too many items', retryable: true },
  internal_error: { status: 500, title: 'Something is wrong on our side', retryable: true },
  ledger_unavailable: { status: 503, title: 'The job cannot be recorded at the moment', retryable: true },
  deadline_unmeetable: { status: 503, title: 'The deadline cannot be met', retryable: true },
  webhooks_unavailable: {
    status: 503,
    title: 'This server has no key for webhook secrets',
    retryable: false,
  },
  overloaded: { status: 503, title: 'More comes in than can be done', retryable: true },
} as const;

export type ProblemCode = keyof typeof problemCatalogue;

export const problemCodes: readonly ProblemCode[] = Object.keys(problemCatalogue).filter(isProblemCode);

function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problemCatalogue, code);
}

/** One fault of a request: where (a JSON pointer), which (a code), and in words. Never the input itself. */
export interface Fault {
  /** Of a batch, counted from 1. */
  readonly line?: number;
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** What a client is told. `detail` is for people, `code` for programs. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly errors: readonly Fault[];
  /** What a job failed with, where the problem is that it failed. */
  readonly jobError: { readonly code: string; readonly detail: string } | undefined;
  /** How many lines of a batch are bad, where that is the problem; `errors` has the first of them. */
  readonly invalidLines: number | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    extra: {
      errors?: readonly Fault[];
      jobError?: { readonly code: string; readonly detail: string };
      invalidLines?: number;
      headers?: Record<string, string>;
      cause?: unknown;
    } = {},
  ) {
    super(detail, { cause: extra.cause });
    this.name = 'ProblemError';
    this.code = code;
    this.status = problemCatalogue[code].status;
    this.errors = extra.errors ?? [];
    this.jobError = extra.jobError;
    this.invalidLines = extra.invalidLines;
    this.headers = extra.headers ?? {};
  }
}
