// Secrets at rest: AES-256-GCM under named keys from the configuration. The first key seals, all of them open, so a key
// is replaced by putting a new one in front and taking the old one out when nothing is sealed with it any more.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** A secret as it is stored. */
export interface SealedSecret {
  readonly keyId: string;
  /** Nonce (12 bytes), tag (16 bytes), ciphertext. */
  readonly sealed: Buffer;
}

export interface SecretKeys {
  /** The key that seals. */
  readonly primary: string;
  /** @param place where it will be stored: it opens nowhere else. */
  readonly seal: (secret: string, place: string) => SealedSecret;
  /** @throws Error if the key is not there, or what is stored was changed or comes from another place. */
  readonly open: (stored: SealedSecret, place: string) => string;
}

/** The place of a webhook secret, for `seal` and `open`. */
export function secretPlace(secret: {
  readonly tenantId: string;
  readonly ownerId: string;
  readonly id: string;
}): string {
  return `${secret.tenantId}/${secret.ownerId}/${secret.id}`;
}

const nonceBytes = 12;
const tagBytes = 16;

/**
 * @param text `<id>:<base64 of 32 bytes>`, several with commas, the one that seals first
 * @returns undefined for an empty text
 * @throws Error naming what is wrong with it, but no key
 */
export function readSecretKeys(text: string): SecretKeys | undefined {
  const parts = text.split(',').filter((part) => part.trim() !== '');
  const keys = new Map(parts.map(readKey));
  const [primary] = keys.keys();
  if (primary === undefined) return undefined;
  if (keys.size < parts.length) throw new Error('two keys have the same id');
  const keyOf = (id: string): Buffer => {
    const key = keys.get(id);
    if (key === undefined)
      throw new Error(`a webhook secret is sealed with key ${id}, which WEBHOOK_KEYS lacks`);
    return key;
  };
  return {
    primary,
    seal: (secret, place) => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', keyOf(primary), nonce).setAAD(Buffer.from(place));
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
      return { keyId: primary, sealed: Buffer.concat([nonce, cipher.getAuthTag(), text]) };
    },
    open: ({ keyId, sealed }, place) => {
      const nonce = sealed.subarray(0, nonceBytes);
      const decipher = createDecipheriv('aes-256-gcm', keyOf(keyId), nonce, { authTagLength: tagBytes })
        .setAAD(Buffer.from(place))
        .setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
      const text = decipher.update(sealed.subarray(nonceBytes + tagBytes));
      return Buffer.concat([text, decipher.final()]).toString('utf8');
    },
  };
}

function readKey(part: string): [id: string, key: Buffer] {
  const [, id, base64 = ''] = /^\s*([\w-]{1,32}):([\w+/=-]+)\s*$/.exec(part) ?? [];
  const key = Buffer.from(base64, 'base64');
  if (id === undefined || key.length !== 32) throw new Error('a key is <id>:<base64 of 32 bytes>');
  return [id, key];
}
