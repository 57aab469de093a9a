// What one attempt means for its message: done, over, or once more at its time.

import type { DueDelivery, FinishedAttempt } from '../db/delivery-work.ts';
import { webhookLimits } from '../shared/webhook.ts';
import type { Answer } from './webhook-request.ts';
import { nextDelayMs, readRetryAfterMs } from './webhook-schedule.ts';

/** @param random 0 to 1 */
export function toFinished(delivery: DueDelivery, answer: Answer, at: Date, random: number): FinishedAttempt {
  const { outcome, statusCode, latencyMs, detail, excerpt } = answer;
  const tried = { ...toUntried(delivery, at), outcome, statusCode, latencyMs, detail, excerpt };
  if (outcome === 'succeeded') return { ...tried, status: 'succeeded', statusReason: null };
  if (outcome === 'gone') return { ...tried, status: 'failed', statusReason: 'gone' };
  const delayMs = nextDelayMs(delivery.tries + 1, retryAfterOf(answer, at), random);
  if (delayMs === undefined) return { ...tried, status: 'failed', statusReason: 'exhausted' };
  const nextAttemptAt = new Date(at.getTime() + latencyMs + delayMs);
  return { ...tried, status: 'pending', statusReason: null, nextAttemptAt };
}

/** The end of a message that is not tried: its endpoint is off, or it has been under way for too long. */
export function endUntried(delivery: DueDelivery, at: Date): FinishedAttempt | undefined {
  const late = at.getTime() - delivery.since.getTime() > webhookLimits.failingMsMax;
  const reason =
    delivery.targetStatus === 'enabled' ? late && 'gave_up' : (`endpoint_${delivery.targetStatus}` as const);
  if (reason === false) return undefined;
  return { ...toUntried(delivery, at), status: 'failed', statusReason: reason };
}

/** A message that cannot be signed or made is looked at again after this; that is no attempt. */
const unmadeDelayMs = 60_000;

export function postpone(delivery: DueDelivery, at: Date): FinishedAttempt {
  const nextAttemptAt = new Date(at.getTime() + unmadeDelayMs);
  return { ...toUntried(delivery, at), status: 'pending', statusReason: 'not_made', nextAttemptAt };
}

/** How long the receiver wants to be left alone; only 429 and 503 are about that. */
export function retryAfterOf({ statusCode, retryAfter }: Answer, at: Date): number {
  return statusCode === 429 || statusCode === 503 ? readRetryAfterMs(retryAfter, at) : 0;
}

function toUntried({ tenantId, id, endpointId, attempt }: DueDelivery, at: Date) {
  const untried = { outcome: undefined, statusCode: null, latencyMs: 0, detail: null, excerpt: null };
  return { tenantId, id, endpointId, attempt, at, nextAttemptAt: null, ...untried };
}
