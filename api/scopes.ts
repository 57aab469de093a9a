// Which scope a request needs, by its method and path: one list, which the gate and the OpenAPI document both read.

import type { Scope } from '../shared/api-key.ts';

/** `open` needs no key, `key` any key. */
export type Need = Scope | 'open' | 'key';

/** The first line that matches decides. */
const rules: readonly (readonly [path: RegExp, reading: Need, writing: Need])[] = [
  [/^\/health(\/live|\/ready)?$/, 'open', 'open'],
  [/^\/(docs(\/.*)?|openapi\.json)$/, 'open', 'open'],
  [/^\/(health\/detailed|metrics)$/, 'admin', 'admin'],
  [/^(\/openai)?\/v1\/(jobs|batches|files)(\/|$)/, 'jobs:read', 'jobs:write'],
  // A question that needs a body.
  [/^\/v1\/users\/[^/]+\/graph\/what-if$/, 'users:read', 'users:read'],
  [/^\/v1\/users(\/|$)/, 'users:read', 'users:write'],
  [/^\/v1\/(webhook_endpoints|deliveries)(\/|$)/, 'webhooks', 'webhooks'],
  [/^\/api\/(emotions\/history|reasoning\/graph)(\/|$)/, 'users:read', 'users:read'],
  [/^\/api\/profile\/generate$/, 'jobs:write', 'jobs:write'],
  [/^\/api\/profile(\/|$)/, 'users:read', 'users:read'],
  [/^\/api\/(emotions|reasoning)(\/|$)/, 'jobs:write', 'jobs:write'],
];

/**
 * @param path without a query. Case and a slash at the end are ignored, as a router might: a spelling must never
 * need less than the route that it reaches.
 */
export function needOf(method: string, path: string): Need {
  const plain = path.toLowerCase().replace(/(?<=.)\/$/, '');
  const rule = rules.find(([pattern]) => pattern.test(plain));
  if (rule === undefined) return 'key';
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? rule[1] : rule[2];
}
