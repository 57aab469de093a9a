// Refuses, before anything is done, a request whose client can take none of the formats that the operation answers in.
// Which those are is read from the OpenAPI document. Clients of other systems' paths are answered whatever they say.

import type { RequestHandler } from 'express';
import { z } from 'zod';
import { ProblemError } from '../shared/problem.ts';

const documentSchema = z.object({
  paths: z.record(
    z.string(),
    z.record(
      z.string(),
      z.object({
        responses: z.record(z.string(), z.object({ content: z.record(z.string(), z.unknown()).default({}) })),
      }),
    ),
  ),
});

/** Paths of other systems, whose clients say of `Accept` what they like. */
export function answersAnyway(path: string): boolean {
  return /^\/(api|openai)\//.test(path);
}

interface Formats {
  readonly method: string;
  readonly path: RegExp;
  readonly types: string[];
}

/** @throws ProblemError `not_acceptable` */
export function refuseUnacceptable(document: unknown): RequestHandler {
  const known = readFormats(document);
  return (request, _response, next) => {
    const accept = request.get('Accept');
    if (accept === undefined || accept === '*/*') return next();
    const method = request.method === 'HEAD' ? 'GET' : request.method;
    const operation = known.find((one) => one.method === method && one.path.test(request.path));
    if (operation !== undefined && request.accepts(operation.types) === false) {
      throw new ProblemError('not_acceptable', `The answer is ${operation.types.join(' or ')}`);
    }
    next();
  };
}

/** The formats of each operation's answers, problems left out: those come as they are. */
function readFormats(document: unknown): readonly Formats[] {
  return Object.entries(documentSchema.parse(document).paths)
    .filter(([path]) => !answersAnyway(path))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { responses }]) => ({
        method: method.toUpperCase(),
        path: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}/?$`),
        types: Object.entries(responses).flatMap(([status, { content }]) =>
          status.startsWith('2') ? Object.keys(content) : [],
        ),
      })),
    )
    .filter(({ types }) => types.length > 0);
}
