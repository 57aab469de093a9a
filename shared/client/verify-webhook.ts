// Whether a webhook is ours and fresh: Standard Webhooks signatures, checked in constant time. For receivers, which
// import nothing else of the client.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { SomaError } from './soma-error.ts';

/** What a delivery says; `data` depends on `type`, e.g. a job with `job.succeeded`. */
export interface WebhookEvent {
  readonly type: string;
  readonly timestamp: string;
  /** Puts deliveries that overtook each other in order. */
  readonly sequence: number;
  readonly data: unknown;
}

/** The delivery as it came. Take the body before anything parses it: the signature is over its bytes. */
export interface WebhookDelivery {
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: string | Uint8Array;
}

export interface VerifyOptions {
  /** How far the sender's clock and the way here may be off, in milliseconds; older deliveries may be replays. */
  readonly toleranceMs?: number;
  readonly now?: number;
}

const toleranceMsDefault = 5 * 60_000;

/**
 * @param secret `whsec_...`, or several while a secret is being rotated
 * @returns what the delivery says.
 * @throws SomaError `invalid_signature` if it is not ours, was changed, or is too old or too new.
 */
export function verifyWebhook(
  delivery: WebhookDelivery,
  secret: string | readonly string[],
  { toleranceMs = toleranceMsDefault, now = Date.now() }: VerifyOptions = {},
): WebhookEvent {
  const id = readHeader(delivery, 'webhook-id');
  const timestamp = readHeader(delivery, 'webhook-timestamp');
  const sentAt = /^\d{1,12}$/.test(timestamp) ? Number(timestamp) * 1000 : Number.NaN;
  if (!(Math.abs(now - sentAt) <= toleranceMs)) throw invalid('its timestamp is too far from our clock');
  const given = readHeader(delivery, 'webhook-signature')
    .split(' ')
    .filter((part) => part.startsWith('v1,'))
    .map((part) => Buffer.from(part.slice(3), 'base64'));
  const secrets = typeof secret === 'string' ? [secret] : secret;
  const expected = secrets.map((one) =>
    createHmac('sha256', toKey(one)).update(`${id}.${timestamp}.`).update(delivery.body).digest(),
  );
  if (!given.some((signature) => expected.some((ours) => isSame(signature, ours))))
    throw invalid('no signature fits');
  return toEvent(delivery.body);
}

function toKey(secret: string): Buffer {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  // An empty key would sign whatever a stranger sends.
  if (key.length === 0) throw new TypeError('the webhook secret is empty');
  return key;
}

function isSame(given: Buffer, ours: Buffer): boolean {
  return given.length === ours.length && timingSafeEqual(given, ours);
}

function readHeader({ headers }: WebhookDelivery, name: string): string {
  const value = headers instanceof Headers ? headers.get(name) : headers[name];
  if (typeof value !== 'string' || value === '') throw invalid(`it has no header ${name}`);
  return value;
}

function invalid(why: string): SomaError {
  return new SomaError('invalid_signature', `the webhook is refused: ${why}`);
}

function toEvent(body: string | Uint8Array): WebhookEvent {
  const value: unknown = JSON.parse(typeof body === 'string' ? body : new TextDecoder().decode(body));
  if (!isEvent(value)) throw new SomaError('unexpected_answer', 'the webhook has a body that is no event');
  return value;
}

function isEvent(value: unknown): value is WebhookEvent {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    'data' in value
  );
}
