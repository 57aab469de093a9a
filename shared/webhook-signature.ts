// Signatures as Standard Webhooks has them, made with node:crypto. The public package verifies them in the tests.

import { createHmac, randomBytes } from 'node:crypto';

const prefix = 'whsec_';

/** A new secret: `whsec_` and 32 random bytes in base64. */
export function createWebhookSecret(): string {
  return prefix + randomBytes(32).toString('base64');
}

/**
 * The headers of one attempt, with one signature per secret: during a rotation the receiver may know either.
 * @param message.id without a dot, the same on every attempt
 * @param message.body exactly the bytes that are sent
 */
export function signWebhook(
  secrets: readonly string[],
  message: { readonly id: string; readonly at: Date; readonly body: Buffer },
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(message.at.getTime() / 1000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(prefix.length), 'base64');
    const hmac = createHmac('sha256', key).update(`${message.id}.${timestamp}.`).update(message.body);
    return `v1,${hmac.digest('base64')}`;
  });
  return {
    'webhook-id': message.id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
