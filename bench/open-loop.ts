// The open loop: every request leaves when it is due, however slow the answers are, and its latency counts from that
// moment, so that a stall is seen by all who would have come in it and not by the one who met it.

import { z } from 'zod';
import { type Answer, buildRequest, type HttpClient } from './http-client.ts';
import type { Arrival } from './personas.ts';
import { secondWaitSeconds, type Scenario } from './scenarios.ts';

const timingSchema = z.object({
  queue: z.number(),
  batch_wait: z.number(),
  tokenize: z.number(),
  inference: z.number(),
  persist: z.number(),
  total: z.number(),
});
/** Where a job's time went, as the server saw it, in milliseconds; the stages add up to `total`. */
export type Timing = z.infer<typeof timingSchema>;

/** What became of one arrival. Latencies are milliseconds from when it was due. */
export interface Sample {
  readonly dueMs: number;
  readonly scenario: Scenario;
  /** How late it left: the generator's own fault. */
  readonly lagMs: number;
  /** Until the answer that the job is recorded: of submits of two steps alone. */
  readonly acceptMs?: number;
  /** Until the result, or the answer to a read. */
  readonly doneMs: number;
  /** Why it counts as an error. */
  readonly error?: string;
  readonly timing?: Timing;
}

/** Watched by the live view while the loop runs. */
export interface LoopState {
  sent: number;
  readonly samples: Sample[];
}

export function createLoopState(): LoopState {
  return { sent: 0, samples: [] };
}

/** Sends every arrival when it is due and resolves when the last has its answer. */
export async function runOpenLoop(
  client: HttpClient,
  arrivals: readonly Arrival[],
  state: LoopState = createLoopState(),
): Promise<readonly Sample[]> {
  const startMs = performance.now();
  const pending: Promise<void>[] = [];
  const perform = async (arrival: Arrival): Promise<void> => {
    state.samples.push(await performArrival(client, arrival, startMs + arrival.dueMs));
  };
  await new Promise<void>((resolve) => {
    const sendDue = (): void => {
      const passedMs = performance.now() - startMs;
      while (state.sent < arrivals.length) {
        const next = arrivals[state.sent];
        if (next === undefined || next.dueMs > passedMs) break;
        state.sent += 1;
        pending.push(perform(next));
      }
      const next = arrivals[state.sent];
      if (next === undefined) resolve();
      else setTimeout(sendDue, next.dueMs - (performance.now() - startMs));
    };
    sendDue();
  });
  await Promise.all(pending);
  return state.samples;
}

/** @param dueAtMs the moment that its latencies count from, by `performance.now()` */
export async function performArrival(
  client: HttpClient,
  { dueMs, scenario, request }: Arrival,
  dueAtMs: number,
): Promise<Sample> {
  const sinceDue = () => performance.now() - dueAtMs;
  const lagMs = sinceDue();
  const first = await send(client, request);
  const firstMs = sinceDue();
  const wrong = faultOf(first, scenario.expects);
  if (wrong !== undefined) return { dueMs, scenario, lagMs, doneMs: firstMs, error: wrong };
  if (!scenario.twoSteps) return { dueMs, scenario, lagMs, doneMs: firstMs, ...judgeResult(first, scenario) };
  const id = /"id":"(job_[^"]+)"/.exec(first.body)?.[1] ?? '';
  const second = await send(client, buildRequest('GET', `/v1/jobs/${id}?wait=${secondWaitSeconds}`));
  const fault = faultOf(second, [200]);
  const judged = fault === undefined ? judgeResult(second, scenario) : { error: fault };
  return { dueMs, scenario, lagMs, acceptMs: firstMs, doneMs: sinceDue(), ...judged };
}

function send(client: HttpClient, request: Buffer): Promise<Answer> {
  return client.send(request).catch((error: unknown) => {
    const body = error instanceof Error ? error.message : String(error);
    return { status: 0, body, retryAfterSeconds: undefined };
  });
}

function faultOf({ status, body }: Answer, expects: readonly number[]): string | undefined {
  if (expects.includes(status)) return undefined;
  if (status === 202) return 'no result in time';
  return status === 0 ? body : `status ${status}`;
}

/** A job's view must say that it succeeded; its timing comes along. Bodies of the former paths have neither. */
function judgeResult({ body }: Answer, { measures }: Scenario): Pick<Sample, 'error' | 'timing'> {
  if (measures === 'read' || !body.startsWith('{"id":"job_')) return {};
  if (!body.slice(0, 300).includes('"status":"succeeded"')) return { error: 'not succeeded in time' };
  return { timing: readTiming(body) };
}

/**
 * Cut out of the body: parsing the whole would cost the generator more than the request. Attempts have timings of their
 * own, without the stages of the job's.
 */
function readTiming(body: string): Timing {
  const found = /"timing_ms":(\{"queue":\d+,"batch_wait"[^}]*\})/.exec(body)?.[1];
  return timingSchema.parse(JSON.parse(found ?? 'null'));
}
