// The request headers of routes that record jobs.

import type { Request } from 'express';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { limits } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';

/** `Prefer: wait=N` (RFC 7240) in seconds, at most 60; undefined without one. What cannot be read is not preferred. */
export function readPreference(request: Request): number | undefined {
  const found = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i.exec(request.get('Prefer') ?? '')?.[1];
  return found === undefined ? undefined : Math.min(Number(found), limits.waitSecondsMax);
}

/** As the document shows the header; what HTTP takes off at its ends does not count. */
export const idempotencyKeyHeader = z
  .string()
  .min(1)
  .max(limits.idempotencyKeyCharactersMax)
  .meta({ pattern: '^[!-~]([ -~]*[!-~])?$' })
  .optional()
  .describe(
    'For 24 hours the same key and request answer as before (`Idempotent-Replayed: true`), for no items',
  );

/**
 * What stands for the request's `Idempotency-Key`: its SHA-256. Clients write what they like into a key, a person's name
 * or words among it; the hash serves as well and can be kept when the person is erased.
 * @throws ProblemError `invalid_header`
 */
export function readIdempotencyKey(request: Request): string | undefined {
  const key = request.get('Idempotency-Key');
  if (key === undefined) return undefined;
  if (key.length < 1 || key.length > limits.idempotencyKeyCharactersMax || !/^[\x20-\x7e]+$/.test(key)) {
    const detail = `Idempotency-Key must have 1 to ${limits.idempotencyKeyCharactersMax} printable ASCII characters`;
    throw new ProblemError('invalid_header', detail);
  }
  return createHash('sha256').update(key).digest('hex');
}
