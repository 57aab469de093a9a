// Holds a tenant to its tier: every request takes one of its requests, every submit its items, and every answer says
// how much is left (draft-ietf-httpapi-ratelimit-headers).

import type { Request, RequestHandler, Response } from 'express';
import { metrics } from '../shared/metrics.ts';
import { ProblemError } from '../shared/problem.ts';
import { accessOf } from './authenticate.ts';
import type { Cost, Quota, Standing } from './quota.ts';

/**
 * Takes one request from the tenant's allowance; those without a key, and all under AUTH=off, have no limit.
 * @throws ProblemError `rate_limited` (429)
 */
export function limitRequests(quota: Quota): RequestHandler {
  return (request, response, next) => {
    if (accessOf(request).tier === undefined) return next();
    return take(quota, request, response, { requests: 1, items: 0 }).then(() => next());
  };
}

/** @throws ProblemError `quota_exceeded` (429) if the tenant has fewer items left than `items` */
export async function takeItems(
  quota: Quota,
  request: Request,
  response: Response,
  items: number,
): Promise<void> {
  await take(quota, request, response, { requests: 0, items });
}

/** Gives back what `takeItems` took for something that was not recorded. */
export async function giveBackItems(
  quota: Quota,
  request: Request,
  response: Response,
  items: number,
): Promise<void> {
  await take(quota, request, response, { requests: 0, items: -items });
}

async function take(quota: Quota, request: Request, response: Response, cost: Cost): Promise<void> {
  const { tenantId, tier } = accessOf(request);
  if (tier === undefined) return;
  const { refusedBy, standings } = await quota.take(tenantId, tier, cost);
  response.setHeader('RateLimit-Policy', standings.map(policyOf).join(', '));
  response.setHeader('RateLimit', standings.map(stateOf).join(', '));
  if (refusedBy === undefined) return;
  metrics.rateLimited.inc({ allowance: refusedBy.name });
  const headers = { 'Retry-After': String(Math.max(1, Math.ceil(refusedBy.resetSeconds))) };
  const { limit, windowSeconds, name, remaining } = refusedBy;
  const detail = `The tier allows ${limit} ${name} in ${windowSeconds} s, and ${remaining} are left`;
  throw new ProblemError(name === 'items' ? 'quota_exceeded' : 'rate_limited', detail, { headers });
}

function policyOf({ name, limit, windowSeconds }: Standing): string {
  return `"${name}";q=${limit};w=${windowSeconds}`;
}

function stateOf({ name, remaining, resetSeconds }: Standing): string {
  return `"${name}";r=${remaining};t=${Math.ceil(resetSeconds)}`;
}
