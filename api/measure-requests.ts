// How long requests took. A wait, a stream or an upload takes as long as a job or a client does, and is counted apart:
// among the others it would say that the API is slow.

import type { Request, RequestHandler, Response } from 'express';
import { metrics } from '../shared/metrics.ts';

const long = new WeakSet<Request | Response>();

/** Says of a request, or of its answer, that how long it takes is not up to us. */
export function expectLong(message: Request | Response): void {
  long.add(message);
}

export const measureRequests: RequestHandler = (request, response, next) => {
  const started = performance.now();
  const observe = (): void => {
    const path: unknown = request.route?.path;
    const route = typeof path === 'string' ? path : 'none';
    const seconds = (performance.now() - started) / 1000;
    const { method } = request;
    if (long.has(request) || long.has(response)) metrics.httpOpenSeconds.observe({ method, route }, seconds);
    else metrics.httpRequestSeconds.observe({ method, route, status: response.statusCode }, seconds);
  };
  // A client that hangs up on a stream has had its answer; one that hangs up on another request has had none.
  response.on('finish', observe);
  response.on('close', () => {
    if (!response.writableFinished && long.has(response)) observe();
  });
  next();
};
