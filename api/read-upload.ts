// The body of an upload, piece by piece: never more of it in memory than the client has sent since the last look.

import type { Request } from 'express';
import { setTimeout as delay } from 'node:timers/promises';
import { ProblemError } from '../shared/problem.ts';
import { allowLongBody } from './body-time.ts';

/** The client is gone, or has stood still for too long. */
export class UploadBroken extends Error {
  constructor(cause: unknown) {
    super('the upload broke off', { cause });
    this.name = 'UploadBroken';
  }
}

/** The media types of lines. */
export const lineTypes = ['application/x-ndjson', 'application/jsonl', 'application/x-jsonlines'];

/** @throws ProblemError `unsupported_media_type`, `unsupported_encoding` */
export function checkUpload(request: Request): void {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') throw compressed(`Content-Encoding ${encoding} is not accepted`);
  if (!request.is(lineTypes)) {
    const type = request.headers['content-type'] ?? 'missing';
    throw new ProblemError('unsupported_media_type', `Content-Type is ${type}; send application/x-ndjson`);
  }
}

function compressed(detail: string): ProblemError {
  return new ProblemError('unsupported_encoding', `${detail}; send the lines as they are`);
}

/** How often a reader is told that nothing came. */
const tickMs = 200;

/**
 * Pieces of the body as they come; undefined each 200 ms in which none does.
 * @throws ProblemError `payload_too_large`, `unsupported_encoding`; UploadBroken
 */
export async function* readUpload(
  request: Request,
  limits: { readonly bytesMax: number; readonly idleMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Buffer | undefined> {
  allowLongBody(request);
  const pieces: AsyncIterator<unknown> = request[Symbol.asyncIterator]();
  let bytes = 0;
  let next = pieces.next();
  let idleSinceMs = performance.now();
  let over = false;
  try {
    for (;;) {
      const come = await nextPiece(next, limits.signal);
      if (limits.signal.aborted) throw new UploadBroken('the process stops');
      if (come === 'tick') {
        if (performance.now() - idleSinceMs > limits.idleMs) {
          request.destroy();
          throw new UploadBroken('the client stood still');
        }
        yield undefined;
        continue;
      }
      if (come.done === true) {
        over = true;
        return;
      }
      if (!Buffer.isBuffer(come.value)) throw new TypeError('a body is bytes');
      if (bytes === 0 && come.value[0] === 0x1f && come.value[1] === 0x8b)
        throw compressed('The body is gzip');
      bytes += come.value.length;
      if (bytes > limits.bytesMax)
        throw new ProblemError('payload_too_large', `An upload has at most ${limits.bytesMax} bytes`);
      yield come.value;
      idleSinceMs = performance.now();
      next = pieces.next();
    }
  } finally {
    if (!over) void discard(request, pieces, next);
  }
}

/** How long a client that was answered may go on sending; a connection that is closed at once takes the answer along. */
const discardMsMax = 10_000;

async function discard(
  request: Request,
  pieces: AsyncIterator<unknown>,
  next: Promise<IteratorResult<unknown>>,
): Promise<void> {
  const late = setTimeout(() => request.destroy(), discardMsMax);
  try {
    for (let come = await next; come.done !== true; come = await pieces.next());
  } catch {
    // The client is gone, which is as well.
  } finally {
    clearTimeout(late);
  }
}

async function nextPiece(
  next: Promise<IteratorResult<unknown>>,
  signal: AbortSignal,
): Promise<IteratorResult<unknown> | 'tick'> {
  const nap = new AbortController();
  const tick = delay(tickMs, 'tick' as const, { signal: AbortSignal.any([nap.signal, signal]) }).catch(
    () => 'tick' as const,
  );
  try {
    return await Promise.race([next, tick]);
  } catch (error) {
    throw new UploadBroken(error);
  } finally {
    nap.abort();
  }
}
