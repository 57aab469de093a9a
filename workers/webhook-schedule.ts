// When a message is tried again. Pure: the clock and the dice are arguments.

import { scheduleMs, webhookLimits } from '../shared/webhook.ts';

/**
 * Milliseconds until attempt `tries + 1` of a schedule: its step times 0.8 to 1.2, and no sooner than the receiver asked
 * for. Undefined when the schedule is over.
 * @param tries attempts that failed so far
 * @param retryAfterMs what the receiver asked for
 * @param random 0 to 1
 */
export function nextDelayMs(tries: number, retryAfterMs: number, random: number): number | undefined {
  const step = scheduleMs[tries];
  if (step === undefined) return undefined;
  return Math.max(
    Math.round(step * (0.8 + 0.4 * random)),
    Math.min(retryAfterMs, webhookLimits.retryAfterMsMax),
  );
}

/** `Retry-After` in milliseconds from `now`: seconds or a date (RFC 9110, section 10.2.3). 0 if it says nothing sound. */
export function readRetryAfterMs(header: string | undefined, now: Date): number {
  if (header === undefined) return 0;
  const text = header.trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = /[a-z]/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? 0 : Math.max(0, date - now.getTime());
}
