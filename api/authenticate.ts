// The gate: who sends a request, and whether the key allows it. What the gate found out is asked for by `accessOf`.

import type { Request, RequestHandler } from 'express';
import { timingSafeEqual } from 'node:crypto';
import type { Pool } from '../db/client.ts';
import { getKey, type StoredKey } from '../db/keys.ts';
import { parseApiKey, type Scope } from '../shared/api-key.ts';
import type { Config } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';
import type { Tier } from '../shared/tenant.ts';
import type { KeyUse } from './key-use.ts';
import { needOf } from './scopes.ts';

/** Who asks. Under AUTH=off, and where no key is needed, that is the one tenant, without a tier and its limits. */
export interface Access {
  readonly tenantId: string;
  readonly tier: Tier | undefined;
}

const nobody: Access = { tenantId: defaultTenantId, tier: undefined };
const accesses = new WeakMap<Request, Access>();

/** Who sent this request. */
export function accessOf(request: Request): Access {
  return accesses.get(request) ?? nobody;
}

/** The tenant whose rows this request may see and make. */
export function tenantOf(request: Request): string {
  return accessOf(request).tenantId;
}

/**
 * Lets a request pass that needs no key or has a right one.
 * @throws ProblemError `unauthenticated` or `invalid_key` (401), `insufficient_scope` (403)
 */
export function authenticate(config: Config, keys: Keys, use: Pick<KeyUse, 'mark'>): RequestHandler {
  if (config.AUTH === 'off') return (_request, _response, next) => next();
  return async (request, _response, next) => {
    const need = needOf(request.method, request.path);
    if (need !== 'open') {
      const key = await readKey(request, keys, use);
      if (need !== 'key' && !key.scopes.includes(need)) throw refuseScope(need);
      accesses.set(request, { tenantId: key.tenantId, tier: key.tier });
    }
    next();
  };
}

async function readKey(request: Request, keys: Keys, use: Pick<KeyUse, 'mark'>): Promise<StoredKey> {
  const header = request.get('Authorization');
  if (header === undefined) {
    const headers = { 'WWW-Authenticate': 'Bearer realm="soma"' };
    throw new ProblemError('unauthenticated', 'Send Authorization: Bearer with your key', { headers });
  }
  const given = parseApiKey(/^Bearer +(\S+)$/i.exec(header)?.[1] ?? '');
  if (given === undefined) throw refuseKey('What came is no key: a character is wrong, missing or too many');
  const stored = await keys.find(given.id);
  if (stored === undefined || !timingSafeEqual(stored.hash, given.hash))
    throw refuseKey('The key is not known, was revoked or has expired');
  use.mark(given.id);
  return stored;
}

function refuseKey(detail: string): ProblemError {
  const headers = { 'WWW-Authenticate': 'Bearer realm="soma", error="invalid_token"' };
  return new ProblemError('invalid_key', detail, { headers });
}

function refuseScope(scope: Scope): ProblemError {
  const challenge = `Bearer realm="soma", error="insufficient_scope", scope="${scope}"`;
  return new ProblemError('insufficient_scope', `The key lacks the scope ${scope}`, {
    headers: { 'WWW-Authenticate': challenge },
  });
}

export interface Keys {
  /**
   * The key of that id unless it is revoked, as it was at most `keyAgeMsMax` ago.
   * @throws the database's error if it cannot be asked and nothing recent is known
   */
  readonly find: (id: string) => Promise<StoredKey | undefined>;
}

/** A revoked key is refused this long after at the latest, in every process; the promise is 5 s. */
const keyAgeMsMax = 4000;

/** Known keys, and as many unknown ones: whoever invents ids displaces only other invented ids. */
const keysMax = 10_000;

interface Known {
  readonly askedAtMs: number;
  readonly key: Promise<StoredKey | undefined>;
}

/** Remembers keys, and ids that are none, for a few seconds, counted from the moment at which the ledger was asked. */
export function createKeys(pool: Pool, nowMs: () => number = () => performance.now()): Keys {
  const found = new Map<string, Known>();
  const absent = new Map<string, Known>();

  const ask = (id: string): Known => {
    const known = { askedAtMs: nowMs(), key: getKey(pool, id) };
    remember(found, id, known);
    known.key.then(
      (key) => {
        if (key === undefined && found.get(id) === known) {
          found.delete(id);
          remember(absent, id, known);
        }
      },
      () => found.delete(id),
    );
    return known;
  };

  return {
    find: (id) => {
      const known = found.get(id) ?? absent.get(id);
      if (known !== undefined && nowMs() - known.askedAtMs < keyAgeMsMax) return known.key;
      absent.delete(id);
      return ask(id).key;
    },
  };
}

function remember(map: Map<string, Known>, id: string, known: Known): void {
  map.delete(id);
  map.set(id, known);
  const oldest = map.keys().next().value;
  if (map.size > keysMax && oldest !== undefined) map.delete(oldest);
}
