// The five kinds of users of the former system's load test, and when each of its users does what. A user here does not
// wait for answers: the next request is due after the pause that the former test made, however slow the system is, so
// that a slow system meets as many requests as a fast one.

import type { TextSource } from './mix-texts.ts';
import { createRandom } from './random.ts';
import * as scenarios from './scenarios.ts';
import type { Scenario } from './scenarios.ts';

interface Persona {
  readonly name: string;
  /** Users of ten. */
  readonly weight: number;
  readonly pauseSeconds: readonly [min: number, max: number];
  readonly scenarios: readonly Scenario[];
}

/** Weights and pauses of the former test; it had the last persona switched off. */
export const personas: readonly Persona[] = [
  { name: 'emotion', weight: 3, pauseSeconds: [1, 3], scenarios: scenarios.emotionScenarios },
  { name: 'reasoning', weight: 2, pauseSeconds: [1, 4], scenarios: scenarios.reasoningScenarios },
  { name: 'profile', weight: 1, pauseSeconds: [2, 5], scenarios: scenarios.profileScenarios },
  { name: 'mixed', weight: 4, pauseSeconds: [1, 3], scenarios: scenarios.mixedScenarios },
  { name: 'peak', weight: 0, pauseSeconds: [0.1, 0.5], scenarios: scenarios.peakScenarios },
];

/** A request and the moment at which it is due, from the beginning of the stage. */
export interface Arrival {
  readonly dueMs: number;
  readonly scenario: Scenario;
  readonly request: Buffer;
}

/** When a user comes and goes, in seconds from the beginning. */
export interface Visit {
  readonly from: number;
  readonly to: number;
}

interface Crowd {
  /** The visits of every user; a user's place decides which persona it is. */
  readonly visits: readonly (readonly Visit[])[];
  readonly texts: TextSource;
  /** Users share this many ids. */
  readonly people: number;
  readonly seed: number;
  /** All users are of this persona. */
  readonly only?: string;
}

/** Every request of the crowd in the order in which it is due, its bytes ready to be sent. */
export function planArrivals(crowd: Crowd): readonly Arrival[] {
  const dues = crowd.visits.flatMap((visits, user) => planUser(crowd, visits, user));
  dues.sort((a, b) => a.dueMs - b.dueMs);
  const random = createRandom(crowd.seed ^ 0x5eed);
  return dues.map(({ dueMs, scenario, user }) => {
    const userId = `user_${String((user % crowd.people) + 1).padStart(4, '0')}`;
    return { dueMs, scenario, request: scenario.request({ userId, texts: crowd.texts, random }) };
  });
}

interface Due {
  readonly dueMs: number;
  readonly scenario: Scenario;
  readonly user: number;
}

/** A user's first request comes at a random part of a pause, so that users who come together do not ask together. */
function planUser({ only, seed }: Crowd, visits: readonly Visit[], user: number): readonly Due[] {
  const persona = personaOf(user, only);
  const random = createRandom(seed + user * 7919);
  const [min, max] = persona.pauseSeconds;
  const dues: Due[] = [];
  for (const { from, to } of visits) {
    let at = from + random() * max;
    while (at < to) {
      dues.push({ dueMs: at * 1000, scenario: drawScenario(persona.scenarios, random()), user });
      at += min + random() * (max - min);
    }
  }
  return dues;
}

/** Of every ten users in a row, as many as its weight are of a persona. */
function personaOf(user: number, only: string | undefined): Persona {
  const places = personas.flatMap((persona) => Array.from({ length: persona.weight }, () => persona));
  const found =
    only === undefined ? places[user % places.length] : personas.find(({ name }) => name === only);
  if (found === undefined) throw new Error(`no persona ${only}`);
  return found;
}

function drawScenario(all: readonly Scenario[], chance: number): Scenario {
  const total = all.reduce((sum, { weight }) => sum + weight, 0);
  let left = chance * total;
  const found = all.find(({ weight }) => (left -= weight) < 0) ?? all.at(-1);
  if (found === undefined) throw new Error('a persona without scenarios');
  return found;
}

/** What a second of these users asks for on average. */
export function ratesOf(users: number): {
  requests: number;
  emotion: number;
  reasoning: number;
  profile: number;
} {
  const rates = { requests: 0, emotion: 0, reasoning: 0, profile: 0 };
  const weights = personas.reduce((sum, { weight }) => sum + weight, 0);
  for (const persona of personas) {
    const [min, max] = persona.pauseSeconds;
    const requests = (users * persona.weight) / weights / ((min + max) / 2);
    const total = persona.scenarios.reduce((sum, { weight }) => sum + weight, 0);
    rates.requests += requests;
    for (const { weight, asks } of persona.scenarios) {
      for (const kind of ['emotion', 'reasoning', 'profile'] as const)
        rates[kind] += ((requests * weight) / total) * (asks[kind] ?? 0);
    }
  }
  return rates;
}
