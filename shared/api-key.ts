// API keys: how they look, what they allow, and what is kept of them. The API reads them and scripts/keys.ts makes them.

import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** What a key may be allowed to do. `admin` is the system's own state: metrics and the detailed health. */
export const scopes = ['jobs:write', 'jobs:read', 'users:read', 'users:write', 'webhooks', 'admin'] as const;
export type Scope = (typeof scopes)[number];

/** A key in its parts; only `id` and `hash` are stored. */
export interface ApiKey {
  readonly id: string;
  /** sha-256 of the whole key: a secret of 190 random bits needs no slow hash. */
  readonly hash: Buffer;
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const idCharacters = 12;
/** 32 of 62 characters: 190 bits. */
const secretCharacters = 32;
/** 62^6 exceeds 2^32. */
const crcCharacters = 6;

const keyPattern = new RegExp(
  `^(soma_live_([0-9A-Za-z]{${idCharacters}})_[0-9A-Za-z]{${secretCharacters}})([0-9A-Za-z]{${crcCharacters}})$`,
);

/** @returns a new key with its text, `soma_live_<id>_<secret><crc>`, which is nowhere kept. */
export function createApiKey(): ApiKey & { readonly text: string } {
  const id = randomText(idCharacters);
  const body = `soma_live_${id}_${randomText(secretCharacters)}`;
  const text = body + checksum(body);
  return { id, hash: hash(text), text };
}

/** The key in `text`, or undefined if it is none or was mistyped: its last characters check the others. */
export function parseApiKey(text: string): ApiKey | undefined {
  const [, body = '', id = '', crc] = keyPattern.exec(text) ?? [];
  return crc !== undefined && crc === checksum(body) ? { id, hash: hash(text) } : undefined;
}

function randomText(characters: number): string {
  return Array.from({ length: characters }, () => alphabet.charAt(randomInt(alphabet.length))).join('');
}

/** CRC32 in base62. */
function checksum(body: string): string {
  let rest = crc32(body);
  let digits = '';
  for (let place = 0; place < crcCharacters; place++) {
    digits = alphabet.charAt(rest % alphabet.length) + digits;
    rest = Math.floor(rest / alphabet.length);
  }
  return digits;
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
