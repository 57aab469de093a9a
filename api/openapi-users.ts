// The part of the OpenAPI document that is about people: their history, profile and graph, and the former paths.

import type { RouteConfig } from '@asteasolutions/zod-to-openapi';
import { z } from 'zod';
import { profileSchema } from '../models/analytics/profile.ts';
import { profileDiffSchema } from '../models/analytics/profile-diff.ts';
import { trajectorySchema } from '../models/analytics/trajectory.ts';
import type { ProblemCode } from '../shared/problem.ts';
import {
  communitiesSchema,
  contradictionsSchema,
  formerGraphSchema,
  graphSchema,
  neighboursSchema,
  pathsSchema,
  searchSchema,
  statsSchema,
  whatIfSchema,
} from './graph-view.ts';
import { historyEntrySchema } from './history.ts';
import { userId } from '../shared/text-schema.ts';
import type { Paths } from './openapi-security.ts';
import { analyzeBody, batchBody, extractBody, generateBody } from './routes/compat.ts';
import { bounds, emotionsQuery, key, version, whatIfBody } from './routes/users.ts';

const profileView = z.object({
  user_id: z.string(),
  version: z.int(),
  created_at: z.string(),
  profile: profileSchema,
});
const cause = key.meta({ example: 'concept:rain' });
const effect = key.meta({ example: 'concept:mud' });

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
    graphSchema,
  ],
  [
    '/graph/paths',
    'The strongest ways from a cause to an effect, or the shortest one',
    z.object({ ...bounds, from: cause, to: effect, shortest: z.enum(['true', 'false']).optional() }),
    pathsSchema,
  ],
  [
    '/graph/search',
    'Nodes by a part of their name',
    z.object({ q: key.meta({ example: 'rain' }), limit: bounds.limit }),
    searchSchema,
  ],
  ['/graph/neighbours', 'What is joined to a node', z.object({ ...bounds, node: cause }), neighboursSchema],
  ['/graph/stats', 'Sizes of the graph', z.object({}), statsSchema],
  ['/graph/communities', 'Concepts that belong together', z.object({}), communitiesSchema],
  ['/graph/contradictions', 'Causal circles', z.object({}), contradictionsSchema],
];

export const personParams = z.object({ user_id: userId.meta({ example: 'ada' }) });

/**
 * @param job the job as the document has it
 * @param answers the problem answers of an operation, by their codes
 */
export function registerUsers(
  paths: Paths,
  job: z.ZodType,
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
    responses: { 200: ok(whatIfSchema, 'Estimates with their assumptions'), ...answers([...writeProblems]) },
  });
  registerFormer(paths, job, answers);
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

const score = z.number();
const formerEmotion = z.object({
  emotions: z.array(z.object({ label: z.string(), score })),
  primary_emotion: z.string(),
  primary_score: score,
  all_emotions: z.record(z.string(), score),
  intensity: score,
  valence: score,
  arousal: score,
  is_sarcastic: z.boolean().nullable(),
  mixed_emotions: z.array(z.unknown()),
  confidence: score,
  timestamp: z.iso.datetime().nullable(),
  model_version: z.string(),
});
const itemError = z.object({ error: z.object({ code: z.string(), detail: z.string() }) });
const ofJob = z.object({ user_id: z.string(), job_id: z.string() });

/** The former bodies; a text that failed alone has its error in the place of its emotions. */
const former = {
  emotion: z.union([ofJob.extend(formerEmotion.shape), ofJob.extend(itemError.shape)]),
  emotions: ofJob.extend({
    results: z.array(
      z.union([formerEmotion.extend({ index: z.int() }), itemError.extend({ index: z.int() })]),
    ),
  }),
  reasoning: ofJob.extend({
    causal_chains: z.array(z.unknown()),
    reasoning_graph: z.object({ nodes: z.array(z.unknown()), edges: z.array(z.unknown()) }),
    counterfactuals: z.array(z.unknown()),
  }),
  profile: ofJob.extend({ version: z.int(), profile: profileSchema }),
  history: z.object({
    user_id: z.string(),
    history: z.array(historyEntrySchema),
    trajectory: trajectorySchema,
  }),
};

function registerFormer(
  paths: Paths,
  job: z.ZodType,
  answers: (codes: readonly ProblemCode[]) => RouteConfig['responses'],
): void {
  const ok = (description: string, schema: z.ZodType) => ({
    description,
    content: { 'application/json': { schema } },
  });
  const text = 'I was late because the bus broke down.';
  const posts: readonly (readonly [
    path: string,
    summary: string,
    body: z.ZodType,
    example: object,
    answer: z.ZodType,
  ])[] = [
    ['/api/emotions/analyze', 'Emotions of a text', analyzeBody, { user_id: 'ada', text }, former.emotion],
    [
      '/api/emotions/batch',
      'Emotions of several texts',
      batchBody,
      { user_id: 'ada', texts: [text] },
      former.emotions,
    ],
    [
      '/api/reasoning/extract',
      'Causes, effects and counterfactuals of a text',
      extractBody,
      { user_id: 'ada', text },
      former.reasoning,
    ],
    [
      '/api/profile/generate',
      'Make a profile',
      generateBody,
      { user_id: 'ada', time_window_days: 30 },
      former.profile,
    ],
  ];
  for (const [place, summary, schema, example, answer] of posts) {
    paths.registerPath({
      method: 'post',
      path: place,
      tags: ['Former paths'],
      summary,
      request: { body: { required: true, content: { 'application/json': { schema, example } } } },
      responses: {
        200: ok('The result', answer),
        202: {
          description: 'The job, after ten seconds',
          content: { 'application/json': { schema: job } },
        },
        ...answers([...writeProblems, 'job_failed', 'rate_limited', 'quota_exceeded', 'overloaded']),
      },
    });
  }
  const gets: readonly (readonly [
    path: string,
    summary: string,
    answer: z.ZodType,
    codes: readonly ProblemCode[],
  ])[] = [
    ['/api/emotions/history/{user_id}', 'Emotions over time', former.history, []],
    ['/api/reasoning/graph/{user_id}', 'The knowledge graph', formerGraphSchema, []],
    ['/api/profile/{user_id}', 'The newest profile', profileView, ['profile_not_found']],
  ];
  for (const [place, summary, answer, codes] of gets) {
    paths.registerPath({
      method: 'get',
      path: place,
      tags: ['Former paths'],
      summary,
      request: { params: personParams },
      responses: {
        200: ok(summary, answer),
        ...answers(['invalid_request', 'internal_error', 'ledger_unavailable', ...codes]),
      },
    });
  }
}
