// Every error leaves as application/problem+json (RFC 9457), and none with a stack or a piece of the input.

import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { isUnavailable } from '../db/client.ts';
import type { Logger } from '../shared/log.ts';
import { ProblemError, problemCatalogue } from '../shared/problem.ts';

export const notFound: RequestHandler = (request) => {
  throw new ProblemError('not_found', `No route answers ${request.method} here; see /docs`);
};

/** 405 with `Allow`, for a path that exists under other methods; Express itself would go on to the 404. */
export function refuseMethod(...allowed: readonly string[]): RequestHandler {
  return () => {
    const allow = allowed.join(', ');
    throw new ProblemError('method_not_allowed', `Use ${allow} here`, { headers: { Allow: allow } });
  };
}

export function problemHandler(log: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    const problem = toProblem(error);
    sendProblem(response, problem, logProblem(log, response, { error, problem }));
  };
}

/**
 * Logs what an operator must look at.
 * @returns the id of the request
 */
export function logProblem(
  log: Logger,
  response: Response,
  { error, problem }: { readonly error: unknown; readonly problem: ProblemError },
): string {
  const id = String(response.getHeader('X-Request-Id') ?? '');
  if (problem.code === 'internal_error') log.error({ err: error, request: id }, 'a request failed');
  else if (problem.status >= 500) log.warn({ err: problem, request: id }, 'a request was refused');
  return id;
}

function sendProblem(response: Response, problem: ProblemError, requestId: string): void {
  for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
  response
    .status(problem.status)
    .type('application/problem+json')
    .send(JSON.stringify(toProblemView(problem, requestId)));
}

/** The body of a problem. */
export function toProblemView(problem: ProblemError, requestId: string) {
  const { title, status, retryable } = problemCatalogue[problem.code];
  return {
    type: `/docs/problems#${problem.code}`,
    title,
    status,
    detail: problem.message,
    code: problem.code,
    request_id: requestId,
    retryable,
    ...(problem.errors.length > 0 ? { errors: problem.errors } : {}),
    ...(problem.invalidLines === undefined ? {} : { invalid_lines: problem.invalidLines }),
    ...(problem.jobError === undefined ? {} : { error: problem.jobError }),
  };
}

/** What a client is told of an error. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (isUnavailable(error)) {
    return new ProblemError('ledger_unavailable', 'The ledger is away', {
      headers: { 'Retry-After': '2' },
      cause: error,
    });
  }
  if (error instanceof URIError)
    return new ProblemError('malformed_request', 'The path is not well encoded', { cause: error });
  return new ProblemError('internal_error', 'The request could not be answered; the log has the reason', {
    cause: error,
  });
}
