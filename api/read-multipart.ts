// A file and the fields beside it from a `multipart/form-data` body, the file as it comes.

import type { Request } from 'express';
import busboy, { type Busboy, type BusboyConfig } from 'busboy';
import type { Readable } from 'node:stream';
import { ProblemError } from '../shared/problem.ts';
import { allowLongBody } from './body-time.ts';

export interface UploadedFile<T> {
  readonly stored: T;
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Hands the file in the field `file` to `store` while it comes.
 * @throws ProblemError `unsupported_encoding`, `unsupported_media_type`, `malformed_request`, `payload_too_large`, or what
 * `store` throws
 */
export function readMultipart<T>(
  request: Request,
  bytesMax: number,
  store: (filename: string, pieces: AsyncIterable<Buffer>) => Promise<T>,
): Promise<UploadedFile<T>> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity')
    throw new ProblemError('unsupported_encoding', `Content-Encoding ${encoding} is not accepted`);
  if (!request.is('multipart/form-data'))
    throw new ProblemError('unsupported_media_type', 'Send multipart/form-data with the field file');
  allowLongBody(request);
  return new Promise((resolve, reject) => {
    const fields: Record<string, string> = {};
    let storing: Promise<T> | undefined;
    const limits = { fields: 20, fieldSize: 4096, files: 1, fileSize: bytesMax };
    const form = openForm({ headers: request.headers, limits });
    const fail = (cause: unknown): void => {
      request.unpipe(form);
      request.resume();
      reject(cause);
    };
    form.on('field', (name, value) => {
      fields[name] = value;
    });
    form.on('file', (name, stream, { filename }) => {
      if (name !== 'file') return void stream.resume();
      storing = store(filename, piecesOf(stream, bytesMax));
      storing.catch(fail);
    });
    form.on('error', (cause) => fail(unreadable(cause)));
    form.on('close', () => {
      if (storing === undefined) return fail(new ProblemError('malformed_request', 'There is no field file'));
      storing.then((stored) => resolve({ stored, fields }), fail);
    });
    request.on('aborted', () => form.destroy(new Error('the upload broke off')));
    request.pipe(form);
  });
}

/** @throws ProblemError `malformed_request` if the header does not say where the parts end */
function openForm(settings: BusboyConfig): Busboy {
  try {
    return busboy(settings);
  } catch (cause) {
    throw unreadable(cause);
  }
}

async function* piecesOf(
  stream: Readable & { truncated?: boolean },
  bytesMax: number,
): AsyncGenerator<Buffer> {
  try {
    for await (const piece of stream) {
      if (!Buffer.isBuffer(piece)) throw new TypeError('a file is bytes');
      yield piece;
    }
  } catch (cause) {
    throw unreadable(cause);
  }
  if (stream.truncated === true)
    throw new ProblemError('payload_too_large', `An upload has at most ${bytesMax} bytes`);
}

/** What is wrong with the form, as against what went wrong while its file was stored. */
function unreadable(cause: unknown): ProblemError {
  return new ProblemError('malformed_request', 'The form cannot be read', { cause });
}
