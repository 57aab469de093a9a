// How long a client may take to send a request: a limit for all of it, but for uploads, which may take long and must not
// stand still.

import type { Request, RequestHandler } from 'express';
import { expectLong } from './measure-requests.ts';

const deadlines = new WeakMap<Request, NodeJS.Timeout>();

/** Cuts the connection of a client whose request is not there after `limitMs`. */
export function limitBodyTime(limitMs: number): RequestHandler {
  return (request, _response, next) => {
    if (hasBody(request)) {
      const deadline = setTimeout(() => request.destroy(), limitMs);
      const clear = (): void => clearTimeout(deadline);
      request.once('end', clear).once('close', clear);
      deadlines.set(request, deadline);
    }
    next();
  };
}

/** From now on the request may take its time; whoever reads it sees that it does not stand still. */
export function allowLongBody(request: Request): void {
  expectLong(request);
  clearTimeout(deadlines.get(request));
}

function hasBody({ headers }: Request): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}
