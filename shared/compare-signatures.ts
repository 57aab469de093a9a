// Our signatures beside those of the public package, on bodies made by chance. For the test and the bench.

import { Webhook } from 'standardwebhooks';
import { createWebhookSecret, signWebhook } from './webhook-signature.ts';

/**
 * @param random 0 to 1, 1 excluded
 * @returns on how many of `bodies` both sign alike, each with a secret of its own
 */
export function compareSignatures(bodies: number, random: () => number): number {
  const whole = (count: number): number => Math.floor(random() * count);
  let equal = 0;
  for (let index = 0; index < bodies; index++) {
    const secret = createWebhookSecret();
    const id = `dlv_${index}_${whole(2 ** 32)}`;
    const at = new Date(1_700_000_000_000 + whole(2 ** 40));
    // Half of them any bytes read as UTF-8, half any Latin letters and controls; surrogate pairs in all.
    const bytes = Buffer.from(Array.from({ length: whole(400) }, () => whole(256)));
    const text = JSON.stringify({
      text: bytes.toString(index % 2 === 0 ? 'utf8' : 'latin1'),
      emoji: String.fromCodePoint(0x1f300 + whole(500)),
    });
    const headers = signWebhook([secret], { id, at, body: Buffer.from(text) });
    if (headers['webhook-signature'] === new Webhook(secret).sign(id, at, text)) equal += 1;
  }
  return equal;
}
