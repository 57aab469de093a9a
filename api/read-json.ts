// From bytes to a JSON value, with a clear refusal at each step and a bound on everything.

import type { Request, RequestHandler } from 'express';
import { isUtf8 } from 'node:buffer';
import { findTrap, placeOf } from '../shared/faults.ts';
import { ProblemError } from '../shared/problem.ts';

/** Reads the body as bytes, at most `bodyBytesMax` of them; compressed or non-JSON bodies are refused unread. */
export function readBody(bodyBytesMax: number): RequestHandler[] {
  const check: RequestHandler = (request, _response, next) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') {
      throw new ProblemError(
        'unsupported_encoding',
        `Content-Encoding ${encoding} is not accepted; send the body as it is`,
      );
    }
    const type = request.headers['content-type'];
    if (type !== 'application/json' && !request.is(['application/json', 'application/*+json'])) {
      throw new ProblemError(
        'unsupported_media_type',
        `Content-Type is ${type ?? 'missing'}; send application/json`,
      );
    }
    next();
  };
  const read: RequestHandler = (request, _response, next) => {
    readBytes(request, bodyBytesMax).then((body) => {
      request.body = body;
      next();
    }, next);
  };
  return [check, read];
}

/** Our own, since the bytes are all that is wanted: body-parser does much more on the way to them. */
function readBytes(request: Request, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = () => new ProblemError('payload_too_large', `The body has more than ${bytesMax} bytes`);
    if (Number(request.headers['content-length'] ?? 0) > bytesMax) return reject(tooLarge());
    const chunks: Buffer[] = [];
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes <= bytesMax) return void chunks.push(chunk);
      // What else comes is dropped as it comes, or the connection would never get to its next request.
      request.off('data', onData).resume();
      reject(tooLarge());
    };
    request
      .on('data', onData)
      .once('end', () => resolve(chunks.length === 1 ? (chunks[0] ?? Buffer.of()) : Buffer.concat(chunks)))
      .once('error', (cause) =>
        reject(new ProblemError('malformed_request', 'The body broke off', { cause })),
      );
  });
}

/**
 * The JSON value of a body that `readBody` read.
 * @throws ProblemError `invalid_encoding`, `malformed_json`, or `invalid_request` for a forbidden key or depth.
 */
export function parseJson(request: Request): unknown {
  const body: unknown = request.body;
  if (!Buffer.isBuffer(body) || body.length === 0)
    throw new ProblemError('malformed_json', 'The body is empty');
  if (!isUtf8(body)) throw new ProblemError('invalid_encoding', 'The body has bytes that are not UTF-8');
  const value = parseText(body.toString('utf8'));
  refuseTraps(value);
  return value;
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ProblemError('malformed_json', `The body is not JSON${placeOf(error)}`);
  }
}

function refuseTraps(value: unknown): void {
  const trap = findTrap(value);
  if (trap === undefined) return;
  const detail =
    trap.code === 'too_deep' ? 'The body is nested too deeply' : 'The body has a field that is not accepted';
  throw new ProblemError('invalid_request', detail, { errors: [trap] });
}
