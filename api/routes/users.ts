// What is stored about a person: emotions over time, profiles, and the graph of what causes what for them.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import { asTenant } from '../../db/client.ts';
import { type GraphPath, graphBounds } from '../../db/graph.ts';
import { getProfile, type PersonName, type ProfileRow } from '../../db/users.ts';
import * as measures from '../../models/analytics/graph-measures.ts';
import { profileSchema } from '../../models/analytics/profile.ts';
import { diffProfiles } from '../../models/analytics/profile-diff.ts';
import { jobIdPattern, limits, parseJobId } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import { tenantOf } from '../authenticate.ts';
import type { Context } from '../context.ts';
import { toEdgeView } from '../edge-view.ts';
import { showHistory } from '../history.ts';
import { boundedText } from '../../shared/text-schema.ts';
import { refuseMethod } from '../problem-handler.ts';
import { parseJson, readBody } from '../read-json.ts';
import { invalidRequest, validate } from '../validate.ts';
import { queryInteger, queryNumber } from '../query-number.ts';

type Show = (context: Context, person: PersonName, request: Request, response: Response) => Promise<void>;

export function userRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  const get = (path: string, show: Show): void => {
    router
      .route(`/v1/users/:user_id${path}`)
      .get((request, response) => show(context, readPerson(request), request, response))
      .all(refuseMethod('GET'));
  };
  get('/emotions', showEmotions);
  get('/profile', showProfile);
  get('/profile/diff', showProfileDiff);
  get('/graph', showGraph);
  get('/graph/paths', showPaths);
  get('/graph/search', searchGraph);
  get('/graph/neighbours', showNeighbours);
  get('/graph/stats', showStats);
  get('/graph/communities', showCommunities);
  get('/graph/contradictions', showContradictions);
  router
    .route('/v1/users/:user_id/graph/what-if')
    .post(...readBody(context.config.BODY_BYTES_MAX), (request, response) =>
      showWhatIf(context, readPerson(request), request, response),
    )
    .all(refuseMethod('POST'));
  return router;
}

const pathId = z.string();

/** @throws ProblemError `invalid_request` for an id that no job could have had. */
export function readPerson(request: Request): PersonName {
  const userId = pathId.parse(request.params['user_id']);
  if (Array.from(userId).length > limits.userIdCharactersMax || !isStorable(userId)) {
    const detail = `Has 1 to ${limits.userIdCharactersMax} characters, without NUL`;
    throw invalidRequest([{ pointer: '/user_id', code: 'invalid_value', detail }]);
  }
  return { tenantId: tenantOf(request), userId };
}

/** Postgres takes no NUL, and no half of a surrogate pair. */
function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed();
}

const place = z
  .string()
  .meta({ pattern: jobIdPattern.source.replace('$', ':[0-9]{1,4}$') })
  .transform((value, ctx) => {
    const [, job = '', item] = /^([^:]+):(\d{1,4})$/.exec(value) ?? [];
    const jobId = parseJobId(job);
    if (jobId !== undefined) return { jobId, itemIndex: Number(item) };
    ctx.addIssue({ code: 'custom', message: 'Is <job_id>:<item_index> of the last entry you have' });
    return z.NEVER;
  });
const moment = z.iso.datetime({ offset: true }).transform((value) => new Date(value));
export const emotionsQuery = z.strictObject({
  from: moment.optional(),
  to: moment.optional(),
  after: place.optional(),
  limit: queryInteger(1, 100).default(20),
});

const showEmotions: Show = async (context, person, request, response) => {
  const history = await showHistory(context, person, validate(emotionsQuery, request.query, '?'));
  response.json({ user_id: person.userId, ...history });
};

export const version = queryInteger(1, 2_147_483_647);

const profileQuery = z.strictObject({ version: version.optional() });

const showProfile: Show = async (context, person, request, response) => {
  const query = validate(profileQuery, request.query, '?');
  const found = await findProfile(context, person, query.version);
  const tag = `"profile-${found.version}-${found.jobId}"`;
  response.setHeader('ETag', tag);
  if (hasTag(request, tag)) {
    response.status(304).end();
    return;
  }
  response.json(toProfileView(found));
};

/** Whether `If-None-Match` names the tag, which a proxy may have weakened (RFC 9110, section 13.1.2). */
function hasTag(request: Request, tag: string): boolean {
  const given = (request.get('If-None-Match') ?? '').split(',');
  return given.some((entry) => ['*', tag].includes(entry.trim().replace(/^W\//, '')));
}

const diffQuery = z.strictObject({ from: version, to: version });

const showProfileDiff: Show = async (context, person, request, response) => {
  const query = validate(diffQuery, request.query, '?');
  const [from, to] = await Promise.all([
    findProfile(context, person, query.from),
    findProfile(context, person, query.to),
  ]);
  const diff = diffProfiles(profileSchema.parse(from.profile), profileSchema.parse(to.profile));
  response.json({ user_id: person.userId, from: query.from, to: query.to, diff });
};

/** @throws ProblemError `profile_not_found` */
export async function findProfile(
  context: Context,
  person: PersonName,
  wanted?: number,
): Promise<ProfileRow> {
  const found = await asTenant(context.readers, person.tenantId, (reader) =>
    getProfile(reader, person, wanted),
  );
  if (found !== undefined) return found;
  throw new ProblemError('profile_not_found', 'Make one with POST /v1/jobs and kind profile');
}

export function toProfileView(row: ProfileRow) {
  return {
    user_id: row.userId,
    version: row.version,
    created_at: row.createdAt.toISOString(),
    profile: row.profile,
  };
}

const strength = queryNumber(0, 1);
const depth = queryInteger(1, graphBounds.depthMax);
const rows = queryInteger(1, graphBounds.limitMax);
// A character may be two units of UTF-16, of which a question takes `textMax`.
export const key = boundedText(1, graphBounds.textMax / 2);
export const bounds = { depth: depth.optional(), min_strength: strength.optional(), limit: rows.optional() };

/** The bounds that every graph question takes, from its query string. */
function readBounds(query: {
  depth?: number | undefined;
  min_strength?: number | undefined;
  limit?: number | undefined;
}) {
  return { depth: query.depth, minStrength: query.min_strength, limit: query.limit };
}

const graphQuery = z.strictObject({ ...bounds, from: key.optional() });

const showGraph: Show = async ({ graph }, person, request, response) => {
  const query = validate(graphQuery, request.query, '?');
  const { nodes, edges, truncated } = await graph.subgraph({
    ...person,
    ...readBounds(query),
    from: query.from,
  });
  response.json({ user_id: person.userId, nodes, edges: edges.map(toEdgeView), truncated });
};

const pathsQuery = z.strictObject({
  ...bounds,
  from: key,
  to: key,
  shortest: z.enum(['true', 'false']).default('false'),
});

const showPaths: Show = async ({ graph }, person, request, response) => {
  const query = validate(pathsQuery, request.query, '?');
  const asked = { ...person, ...readBounds(query), from: query.from, to: query.to };
  const shortest = query.shortest === 'true' ? await graph.shortestPath(asked) : undefined;
  const paths = query.shortest === 'true' ? (shortest ? [shortest] : []) : await graph.strongestPaths(asked);
  const { edges } = await graph.subgraph({ ...person, limit: graphBounds.limitMax });
  response.json({
    user_id: person.userId,
    paths: paths.map(toPathView),
    explanation: toSnakeCase(measures.explain(edges, query.from, query.to)),
    confounders: toSnakeCase(measures.confounders(edges, query.from, query.to)),
  });
};

const searchQuery = z.strictObject({ q: key, limit: rows.optional() });

const searchGraph: Show = async ({ graph }, person, request, response) => {
  const query = validate(searchQuery, request.query, '?');
  const nodes = await graph.search({ ...person, text: query.q, limit: query.limit });
  response.json({ user_id: person.userId, nodes });
};

const neighboursQuery = z.strictObject({ ...bounds, node: key });

const showNeighbours: Show = async ({ graph }, person, request, response) => {
  const query = validate(neighboursQuery, request.query, '?');
  const neighbours = await graph.neighbours({ ...person, ...readBounds(query), node: query.node });
  response.json({
    user_id: person.userId,
    neighbours: neighbours.map(({ node, direction, edge }) => ({ node, direction, edge: toEdgeView(edge) })),
  });
};

const noQuery = z.strictObject({});

const showStats: Show = async ({ graph }, person, request, response) => {
  validate(noQuery, request.query, '?');
  const stats = await graph.stats(person);
  response.json({ user_id: person.userId, store: graph.name, ...toSnakeCase(stats) });
};

const showCommunities: Show = async ({ graph }, person, request, response) => {
  validate(noQuery, request.query, '?');
  const { edges, truncated } = await graph.subgraph({ ...person, limit: graphBounds.limitMax });
  response.json({ user_id: person.userId, ...toSnakeCase(measures.communities(edges)), truncated });
};

const showContradictions: Show = async ({ graph }, person, request, response) => {
  validate(noQuery, request.query, '?');
  const { edges } = await graph.subgraph({ ...person, limit: graphBounds.limitMax });
  response.json({ user_id: person.userId, ...toSnakeCase(measures.contradictions(edges)) });
};

export const whatIfBody = z.strictObject({ node: key, change: z.number().min(-1).max(1) });

const showWhatIf: Show = async ({ graph }, person, request, response) => {
  const intervention = validate(whatIfBody, parseJson(request));
  const { edges } = await graph.subgraph({ ...person, limit: graphBounds.limitMax });
  response.json({ user_id: person.userId, ...toSnakeCase(measures.whatIf(edges, intervention)) });
};

function toPathView({ nodes, edges, strength: product }: GraphPath) {
  return { nodes, strength: product, edges: edges.map(toEdgeView) };
}

/** The measures speak camelCase, the wire snake_case; keys that are data (node keys, types) have no capitals. */
function toSnakeCase(value: object): Record<string, unknown> {
  const turn = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(turn);
    if (typeof inner !== 'object' || inner === null) return inner;
    return toSnakeCase(inner);
  };
  const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [snake(name), turn(inner)]));
}
