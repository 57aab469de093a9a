// What an idempotency key is bound to: the request that it first came with.

import { createHash } from 'node:crypto';

/** SHA-256 of the body with its keys in order: the same request whatever the order in which it was written. */
export function fingerprint(body: unknown): string {
  const sortKeys = (_key: string, value: unknown): unknown =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value;
  return createHash('sha256').update(JSON.stringify(body, sortKeys)).digest('hex');
}
