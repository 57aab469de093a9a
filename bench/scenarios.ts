// What the simulated users ask for. Names, weights and bodies follow the former system's load test; each of its tasks
// is a few scenarios here, since a client may use the former path, wait in the submit, or submit and wait in a second
// request, which alone shows how long the submit itself takes.

import { buildRequest } from './http-client.ts';
import type { TextSource } from './mix-texts.ts';
import { pickIndex } from './random.ts';

/** What the time from when a request was due to its answer is: of a whole job, or of a read of what is stored. */
export type Measures = 'result' | 'read';

/** What a user has at hand when making a request. */
export interface Hand {
  readonly userId: string;
  readonly texts: TextSource;
  readonly random: () => number;
}

export interface Scenario {
  readonly name: string;
  /** Among the scenarios of its persona. */
  readonly weight: number;
  readonly measures: Measures;
  /** Texts or profiles that one request asks for. */
  readonly asks: Readonly<Partial<Record<'emotion' | 'reasoning' | 'profile', number>>>;
  /** Answers that are right. */
  readonly expects: readonly number[];
  /** The submit is answered with 202 and a second request waits for the result. */
  readonly twoSteps: boolean;
  readonly request: (hand: Hand) => Buffer;
}

const waitHeaders = { Prefer: 'wait=10' };
/** The second request of a scenario of two steps. */
export const secondWaitSeconds = 10;
const contexts = ['message', 'post', 'comment', 'review'] as const;
const windows = [7, 14, 30] as const;
const textsOfBatch = 5;

type Asks = Scenario['asks'];
type Body = (hand: Hand) => object;

function former(name: string, weight: number, path: string, asks: Asks, body: Body): Scenario {
  const request = (hand: Hand) => buildRequest('POST', path, { body: body(hand) });
  return { name, weight, measures: 'result', asks, expects: [200], twoSteps: false, request };
}

function waiting(name: string, weight: number, asks: Asks, body: Body): Scenario {
  const request = (hand: Hand) =>
    buildRequest('POST', '/v1/jobs', { body: body(hand), headers: waitHeaders });
  return { name, weight, measures: 'result', asks, expects: [200], twoSteps: false, request };
}

function twoSteps(name: string, weight: number, asks: Asks, body: Body): Scenario {
  const request = (hand: Hand) => buildRequest('POST', '/v1/jobs', { body: body(hand) });
  return { name, weight, measures: 'result', asks, expects: [202], twoSteps: true, request };
}

function reading(name: string, weight: number, path: (hand: Hand) => string, absent = false): Scenario {
  const request = (hand: Hand) => buildRequest('GET', path(hand));
  const expects = absent ? [200, 404] : [200];
  return { name, weight, measures: 'read', asks: {}, expects, twoSteps: false, request };
}

function pick<T>(values: readonly [T, ...T[]], { random }: Hand): T {
  return values[pickIndex(random, values.length)] ?? values[0];
}

const oneEmotion = { emotion: 1 };
const oneReason = { reasoning: 1 };
const oneProfile = { profile: 1 };
const batchOfEmotions = { emotion: textsOfBatch };

const emotionText: Body = (hand) => ({
  user_id: hand.userId,
  text: hand.texts.emotion(),
  context: pick(contexts, hand),
});
const emotionTexts: Body = ({ userId, texts }) => ({
  user_id: userId,
  texts: Array.from({ length: textsOfBatch }, () => texts.emotion()),
});
const reasonText: Body = ({ userId, texts }) => ({
  user_id: userId,
  text: texts.reasoning(),
  extract_causal: true,
  extract_counterfactual: true,
});
const profileOf: Body = (hand) => ({
  user_id: hand.userId,
  include_emotions: true,
  include_reasoning: true,
  include_knowledge_graph: true,
  time_window_days: pick(windows, hand),
});
const emotionJob: Body = ({ userId, texts }) => ({
  kind: 'emotion',
  user_id: userId,
  input: { text: texts.emotion() },
});
const emotionBatchJob: Body = ({ userId, texts }) => ({
  kind: 'emotion',
  user_id: userId,
  input: { texts: Array.from({ length: textsOfBatch }, () => texts.emotion()) },
});
const reasonJob =
  (options: object = {}): Body =>
  ({ userId, texts }) => ({
    kind: 'reasoning',
    user_id: userId,
    input: { text: texts.reasoning() },
    options,
  });
const profileJob =
  (days: (typeof windows)[number]): Body =>
  ({ userId }) => ({ kind: 'profile', user_id: userId, options: { time_window_days: days } });

const analyzePath = '/api/emotions/analyze';
const extractPath = '/api/reasoning/extract';
const generatePath = '/api/profile/generate';

/** Analyze 5, batch 2, history 1. */
export const emotionScenarios: readonly Scenario[] = [
  former('emotion: analyze', 2.5, analyzePath, oneEmotion, emotionText),
  waiting('emotion: job, wait', 1.75, oneEmotion, emotionJob),
  twoSteps('emotion: job, then wait', 0.75, oneEmotion, emotionJob),
  former('emotion: batch of 5', 1, '/api/emotions/batch', batchOfEmotions, emotionTexts),
  waiting('emotion: job of 5, wait', 0.7, batchOfEmotions, emotionBatchJob),
  twoSteps('emotion: job of 5, then wait', 0.3, batchOfEmotions, emotionBatchJob),
  reading('emotion: history', 0.5, ({ userId }) => `/api/emotions/history/${userId}`),
  reading('emotion: history, last 20', 0.5, ({ userId }) => `/v1/users/${userId}/emotions?limit=20`),
];

/** Extract 4, graph 1. */
export const reasoningScenarios: readonly Scenario[] = [
  former('reasoning: extract', 1.6, extractPath, oneReason, reasonText),
  waiting('reasoning: job, wait', 1, oneReason, reasonJob()),
  waiting('reasoning: causes only, wait', 0.5, oneReason, reasonJob({ extract_counterfactual: false })),
  waiting('reasoning: unreal only, wait', 0.5, oneReason, reasonJob({ extract_causal: false })),
  twoSteps('reasoning: job, then wait', 0.4, oneReason, reasonJob()),
  reading('reasoning: graph', 0.6, ({ userId }) => `/api/reasoning/graph/${userId}`),
  reading('reasoning: graph in figures', 0.4, ({ userId }) => `/v1/users/${userId}/graph/stats`),
];

/** Generate 3, get 1. */
export const profileScenarios: readonly Scenario[] = [
  former('profile: generate', 1.5, generatePath, oneProfile, profileOf),
  waiting('profile: job of 7 days, wait', 0.6, oneProfile, profileJob(7)),
  waiting('profile: job of 30 days, wait', 0.6, oneProfile, profileJob(30)),
  twoSteps('profile: job of 14 days, then wait', 0.3, oneProfile, profileJob(14)),
  reading('profile: get', 0.5, ({ userId }) => `/api/profile/${userId}`, true),
  reading('profile: newest version', 0.5, ({ userId }) => `/v1/users/${userId}/profile`, true),
];

/** Emotion 5, reasoning 3, profile 1, health 2. */
export const mixedScenarios: readonly Scenario[] = [
  former('mixed: analyze', 2.5, analyzePath, oneEmotion, emotionText),
  waiting('mixed: emotion job, wait', 2, oneEmotion, emotionJob),
  twoSteps('mixed: emotion job, then wait', 0.5, oneEmotion, emotionJob),
  former('mixed: extract', 1.5, extractPath, oneReason, reasonText),
  waiting('mixed: reasoning job, wait', 1.5, oneReason, reasonJob()),
  former('mixed: generate', 1, generatePath, oneProfile, profileOf),
  reading('mixed: health', 1, () => '/health'),
  reading('mixed: health, live', 1, () => '/health/live'),
];

export const peakScenarios: readonly Scenario[] = [
  former('peak: analyze', 0.5, analyzePath, oneEmotion, emotionText),
  waiting('peak: job, wait', 0.4, oneEmotion, emotionJob),
  twoSteps('peak: job, then wait', 0.1, oneEmotion, emotionJob),
];
