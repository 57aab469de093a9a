// The part of the OpenAPI document that is about people: their history, profile and graph, and the former paths.

import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { profileSchema } from '../models/analytics/profile.ts';
import { profileDiffSchema } from '../models/analytics/profile-diff.ts';
import { trajectorySchema } from '../models/analytics/trajectory.ts';
import type { ProblemCode } from '../shared/problem.ts';
import { edgeSchema } from './edge-view.ts';
import { historyEntrySchema } from './history.ts';
import { userId } from '../shared/text-schema.ts';
import type { Paths } from './openapi-security.ts';
import { analyzeBody, batchBody, extractBody, generateBody } from './routes/compat.ts';
import { bounds, emotionsQuery, key, version, whatIfBody } from './routes/users.ts';

const node = z.object({ key: z.string(), type: z.string(), name: z.string() });
const edge = edgeSchema;
const path = z.object({ nodes: z.array(z.string()), strength: z.number(), edges: z.array(edge) });
const profileView = z.object({
  user_id: z.string(),
  version: z.int(),
  created_at: z.string(),
  profile: profileSchema,
});
const cause = key.meta({ example: 'concept:rain' });
const effect = key.meta({ example: 'concept:mud' });
const open = z.looseObject({ user_id: z.string() });

/** A GET under `/v1/users/{user_id}`: path, what it shows, what it takes, what it gives. */
const questions: readonly (readonly [
  path: string,
  summary: string,
  query: z.ZodObject,
  answer: z.ZodType,
])[] = [
  [
    '/emotions',
    'Emotions over time, newest first, with the trajectory of the range',
    emotionsQuery,
    z.object({
      user_id: z.string(),
      data: z.array(historyEntrySchema),
      has_more: z.boolean(),
      trajectory: trajectorySchema,
    }),
  ],
  [
    '/profile',
    'The newest profile, or a version of it',
    z.object({ version: version.optional() }),
    profileView,
  ],
  [
    '/profile/diff',
    'What changed between two versions of the profile',
    z.object({ from: version.meta({ example: 1 }), to: version.meta({ example: 2 }) }),
    z.object({ user_id: z.string(), from: z.int(), to: z.int(), diff: profileDiffSchema }),
  ],
  [
    '/graph',
    'The knowledge graph, or what surrounds a node',
    z.object({ ...bounds, from: key.optional() }),
    z.object({ user_id: z.string(), nodes: z.array(node), edges: z.array(edge), truncated: z.boolean() }),
  ],
  [
    '/graph/paths',
    'The strongest ways from a cause to an effect, or the shortest one',
    z.object({ ...bounds, from: cause, to: effect, shortest: z.enum(['true', 'false']).optional() }),
    open.extend({ paths: z.array(path) }),
  ],
  [
    '/graph/search',
    'Nodes by a part of their name',
    z.object({ q: key.meta({ example: 'rain' }), limit: bounds.limit }),
    open.extend({ nodes: z.array(node) }),
  ],
  [
    '/graph/neighbours',
    'What is joined to a node',
    z.object({ ...bounds, node: cause }),
    open.extend({ neighbours: z.array(z.object({ node, direction: z.enum(['in', 'out']), edge })) }),
  ],
  ['/graph/stats', 'Sizes of the graph', z.object({}), open],
  ['/graph/communities', 'Concepts that belong together', z.object({}), open],
  ['/graph/contradictions', 'Causal circles', z.object({}), open],
];

export const personParams = z.object({ user_id: userId.meta({ example: 'ada' }) });

/** @param answers the problem answers of an operation, by their codes */
export function registerUsers(
  paths: Paths,
  answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'],
): void {
  const params = personParams;
  const ok = (schema: z.ZodType, description: string) => ({
    description,
    content: { 'application/json': { schema } },
  });
  const readProblems: readonly ProblemCode[] = ['invalid_request', 'internal_error', 'ledger_unavailable'];
  for (const [place, summary, query, schema] of questions) {
    const missing: readonly ProblemCode[] = place.startsWith('/profile') ? ['profile_not_found'] : [];
    paths.registerPath({
      method: 'get',
      path: `/v1/users/{user_id}${place}`,
      tags: ['Users'],
      summary,
      request: { params, query },
      responses: {
        200: ok(schema, summary),
        ...(place === '/profile'
          ? { 304: { description: 'The profile has not changed (`If-None-Match`)' } }
          : {}),
        ...answers([...readProblems, ...missing]),
      },
    });
  }
  paths.registerPath({
    method: 'post',
    path: '/v1/users/{user_id}/graph/what-if',
    tags: ['Users'],
    summary: 'An estimate of what a change of one concept would do to others',
    request: {
      params,
      body: {
        required: true,
        content: {
          'application/json': { schema: whatIfBody, example: { node: 'concept:rain', change: -1 } },
        },
      },
    },
    responses: { 200: ok(open, 'Estimates with their assumptions'), ...answers([...writeProblems]) },
  });
  registerFormer(paths, answers);
}

const writeProblems: readonly ProblemCode[] = [
  'malformed_request',
  'malformed_json',
  'invalid_encoding',
  'payload_too_large',
  'unsupported_media_type',
  'unsupported_encoding',
  'invalid_request',
  'internal_error',
  'ledger_unavailable',
];

function registerFormer(
  paths: Paths,
  answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'],
): void {
  const ok = (description: string) => ({ description, content: { 'application/json': { schema: open } } });
  const text = 'I was late because the bus broke down.';
  const posts: readonly (readonly [path: string, summary: string, body: z.ZodType, example: object])[] = [
    ['/api/emotions/analyze', 'Emotions of a text', analyzeBody, { user_id: 'ada', text }],
    ['/api/emotions/batch', 'Emotions of several texts', batchBody, { user_id: 'ada', texts: [text] }],
    [
      '/api/reasoning/extract',
      'Causes, effects and counterfactuals of a text',
      extractBody,
      { user_id: 'ada', text },
    ],
    ['/api/profile/generate', 'Make a profile', generateBody, { user_id: 'ada', time_window_days: 30 }],
  ];
  for (const [place, summary, schema, example] of posts) {
    paths.registerPath({
      method: 'post',
      path: place,
      tags: ['Former paths'],
      summary,
      request: { body: { required: true, content: { 'application/json': { schema, example } } } },
      responses: {
        200: ok('The result'),
        202: {
          description: 'The job, after ten seconds',
          content: { 'application/json': { schema: z.looseObject({ id: z.string() }) } },
        },
        ...answers([...writeProblems, 'job_failed', 'rate_limited', 'quota_exceeded', 'overloaded']),
      },
    });
  }
  const gets: readonly (readonly [path: string, summary: string, codes: readonly ProblemCode[]])[] = [
    ['/api/emotions/history/{user_id}', 'Emotions over time', []],
    ['/api/reasoning/graph/{user_id}', 'The knowledge graph', []],
    ['/api/profile/{user_id}', 'The newest profile', ['profile_not_found']],
  ];
  for (const [place, summary, codes] of gets) {
    paths.registerPath({
      method: 'get',
      path: place,
      tags: ['Former paths'],
      summary,
      request: { params: personParams },
      responses: {
        200: ok(summary),
        ...answers(['invalid_request', 'internal_error', 'ledger_unavailable', ...codes]),
      },
    });
  }
}
