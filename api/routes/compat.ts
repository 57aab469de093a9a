// The seven paths of the system that this one replaces, as thin aliases over the same jobs: its clients find 200 and
// the result in the body, or after ten seconds 202 and the job.

import { type Request, type Response, Router } from 'express';
import { z } from 'zod';
import type { NewJob } from '../../db/submissions.ts';
import type { PersonName } from '../../db/users.ts';
import { isTerminal, limits } from '../../shared/job.ts';
import { ProblemError } from '../../shared/problem.ts';
import { admit } from '../admit.ts';
import { tenantOf } from '../authenticate.ts';
import { hangUp, recordAndWait } from '../await-job.ts';
import type { Context } from '../context.ts';
import { toEdgeView } from '../edge-view.ts';
import { showHistory } from '../history.ts';
import { itemText, userId } from '../../shared/text-schema.ts';
import { toNewJob } from '../job-request.ts';
import type { JobView } from '../job-view.ts';
import { refuseMethod } from '../problem-handler.ts';
import { parseJson, readBody } from '../read-json.ts';
import { sendJob } from '../send-job.ts';
import { invalidRequest, validate } from '../validate.ts';
import { findProfile, readPerson, toProfileView } from './users.ts';

const waitSeconds = 10;

export const analyzeBody = z.looseObject({
  user_id: userId,
  text: itemText,
  context: z.enum(['message', 'post', 'comment', 'review']).default('message'),
});
export const batchBody = z.looseObject({
  user_id: userId,
  texts: z.array(itemText).min(1).max(limits.itemsMax),
});
export const extractBody = z.looseObject({
  user_id: userId,
  text: itemText,
  extract_causal: z.boolean().default(true),
  extract_counterfactual: z.boolean().default(true),
});
export const generateBody = z.looseObject({
  user_id: userId,
  include_emotions: z.boolean().default(true),
  include_reasoning: z.boolean().default(true),
  include_knowledge_graph: z.boolean().default(true),
  time_window_days: z.int().min(1).max(365).default(30),
});

export function compatRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  const body = readBody(context.config.BODY_BYTES_MAX);
  const post = (path: string, answer: (call: Call) => Promise<Answer>): void => {
    router
      .route(path)
      .post(...body, async (request, response) => send(response, await answer({ request, response })))
      .all(refuseMethod('POST'));
  };
  const get = (path: string, answer: (person: PersonName) => Promise<object>): void => {
    router
      .route(path)
      .get(async (request, response) => response.json(await answer(readPerson(request))))
      .all(refuseMethod('GET'));
  };
  const run = (call: Call, job: Record<string, unknown>): Promise<JobView> => runJob(context, call, job);

  post('/api/emotions/analyze', async (call) => {
    const { user_id, text, context: kindOfText } = validate(analyzeBody, parseJson(call.request));
    const job = await run(call, {
      kind: 'emotion',
      user_id,
      input: { text },
      metadata: { context: kindOfText },
    });
    return { job, body: () => ({ user_id, ...toEmotionBody(job, 0), job_id: job.id }) };
  });
  post('/api/emotions/batch', async (call) => {
    const { user_id, texts } = validate(batchBody, parseJson(call.request));
    const job = await run(call, { kind: 'emotion', user_id, input: { texts } });
    const results = () => texts.map((_, index) => ({ index, ...toEmotionBody(job, index) }));
    return { job, body: () => ({ user_id, results: results(), job_id: job.id }) };
  });
  post('/api/reasoning/extract', async (call) => {
    const { user_id, text, extract_causal, extract_counterfactual } = validate(
      extractBody,
      parseJson(call.request),
    );
    const options = { extract_causal, extract_counterfactual };
    const job = await run(call, { kind: 'reasoning', user_id, input: { text }, options });
    return { job, body: () => ({ user_id, ...toReasoningBody(job), job_id: job.id }) };
  });
  post('/api/profile/generate', async (call) => {
    const { user_id, include_emotions, include_reasoning, include_knowledge_graph, time_window_days } =
      validate(generateBody, parseJson(call.request));
    const options = { include_emotions, include_reasoning, include_knowledge_graph, time_window_days };
    const job = await run(call, { kind: 'profile', user_id, options });
    return { job, body: () => toProfileBody(user_id, job) };
  });

  get('/api/emotions/history/:user_id', async (person) => {
    const { data, trajectory } = await showHistory(context, person, { limit: 100 });
    return { user_id: person.userId, history: data, trajectory };
  });
  get('/api/reasoning/graph/:user_id', async (person) => {
    const { nodes, edges } = await context.graph.subgraph({ ...person, limit: 1000 });
    return { user_id: person.userId, nodes, edges: edges.map(toEdgeView) };
  });
  get('/api/profile/:user_id', async (person) => toProfileView(await findProfile(context, person)));
  return router;
}

interface Call {
  readonly request: Request;
  readonly response: Response;
}

interface Answer {
  readonly job: JobView;
  readonly body: () => Record<string, unknown>;
}

/** 200 with the former body once the job succeeded, 202 with the job while it runs, its error if it failed. */
function send(response: Response, { job, body }: Answer): void {
  response.setHeader('Location', job.links.self);
  if (!isTerminal(job.status)) return sendJob(response, job, 202);
  if (job.status !== 'succeeded') {
    throw new ProblemError('job_failed', job.error?.detail ?? `The job ended as ${job.status}`);
  }
  response.status(200).json(body());
}

async function runJob(
  context: Context,
  { request, response }: Call,
  job: Record<string, unknown>,
): Promise<JobView> {
  const owner = { tenantId: tenantOf(request), registry: context.registry, idempotencyKey: undefined };
  const newJob = toFormerJob(() => toNewJob(job, owner));
  const charge = await admit(context, request, response, newJob);
  const { view } = await recordAndWait(context, newJob, { waitSeconds, signal: hangUp(response), charge });
  return view;
}

/** The former bodies have texts and options at the top, so the pointers to what is wrong with them start there. */
function toFormerJob(make: () => NewJob): NewJob {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const pointerOf = (pointer: string) => pointer.replace(/^\/(input|options)(?=\/)/, '');
    throw invalidRequest(error.errors.map((fault) => ({ ...fault, pointer: pointerOf(fault.pointer) })));
  }
}

const emotionOutput = z.looseObject({
  emotions: z.array(z.object({ label: z.string(), score: z.number() })),
  primary_emotion: z.string(),
  primary_score: z.number(),
  all_emotions: z.record(z.string(), z.number()),
  intensity: z.number(),
  valence: z.number(),
  arousal: z.number(),
  is_sarcastic: z.boolean().nullable(),
  mixed_emotions: z.array(z.unknown()),
  confidence: z.number(),
});

/** The former fields of one item, or its error. */
function toEmotionBody(job: JobView, index: number): Record<string, unknown> {
  const item = job.result?.items[index];
  if (item?.error !== undefined) return { error: item.error };
  const output = emotionOutput.parse(item?.output);
  return {
    emotions: output.emotions,
    primary_emotion: output.primary_emotion,
    primary_score: output.primary_score,
    all_emotions: output.all_emotions,
    intensity: output.intensity,
    valence: output.valence,
    arousal: output.arousal,
    is_sarcastic: output.is_sarcastic,
    mixed_emotions: output.mixed_emotions,
    confidence: output.confidence,
    timestamp: job.ended_at,
    model_version: job.model.version,
  };
}

const reasoningOutput = z.looseObject({
  causal_chains: z.array(z.unknown()),
  reasoning_graph: z.object({ nodes: z.array(z.unknown()), edges: z.array(z.unknown()) }),
  counterfactuals: z.array(z.unknown()),
});

function toReasoningBody(job: JobView): Record<string, unknown> {
  const { causal_chains, reasoning_graph, counterfactuals } = reasoningOutput.parse(
    job.result?.items[0]?.output,
  );
  return { causal_chains, reasoning_graph, counterfactuals };
}

function toProfileBody(userId: string, job: JobView): Record<string, unknown> {
  const { version, ...profile } = z.looseObject({ version: z.int() }).parse(job.result?.items[0]?.output);
  return { user_id: userId, profile, version, job_id: job.id };
}
