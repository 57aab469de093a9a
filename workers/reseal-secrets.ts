// Seals with the first key of the configuration what another one sealed, so that the other can be taken out of it.

import type { Pool } from '../db/client.ts';
import { listSealedOtherwise, resealSecret } from '../db/webhook-secrets.ts';
import type { Logger } from '../shared/log.ts';
import { type SecretKeys, secretPlace } from '../shared/sealed-secret.ts';

const secretsAtOnceMax = 200;

/** @throws Error if a secret cannot be opened: its key was taken out too early */
export async function resealSecrets(pool: Pool, keys: SecretKeys | undefined, log: Logger): Promise<void> {
  if (keys === undefined) return;
  for (;;) {
    const secrets = await listSealedOtherwise(pool, keys.primary, secretsAtOnceMax);
    for (const secret of secrets) {
      const place = secretPlace(secret);
      await resealSecret(pool, secret, keys.seal(keys.open(secret, place), place));
    }
    if (secrets.length > 0)
      log.info({ secrets: secrets.length, key: keys.primary }, 'secrets are sealed anew');
    if (secrets.length < secretsAtOnceMax) return;
  }
}
