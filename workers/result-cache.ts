// Outputs of the model by the digest of what was asked, for as long as they may be kept: bounded in bytes and in age,
// each tenant's apart. It holds no text that was sent, but outputs quote texts, so an erasure empties it.

import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { metrics } from '../shared/metrics.ts';

/** Everything but the text that an output depends on, and whose it is. */
export interface Asked {
  /** The tenant; equal questions of two tenants have nothing to do with each other. */
  readonly scope: string;
  readonly kind: string;
  readonly version: string;
  /** SHA-256 of the weights that run, and where they run: a GPU's figures differ in the last digits. */
  readonly digest: string;
  readonly provider: string;
  readonly options: Readonly<Record<string, unknown>>;
}

export interface ResultCache {
  /** Whether anything is kept or given at the moment. */
  readonly isOpen: () => boolean;
  readonly get: (key: string) => string | undefined;
  /** A mark to bring to `set`: what was asked before an erasure is not kept after it. */
  readonly mark: () => number;
  readonly set: (key: string, entry: { scope: string; output: string; mark: number }) => void;
  /** Drops all of these tenants. */
  readonly forget: (scopes: readonly string[]) => void;
  /** Drops everything, and keeps and gives nothing until opened: erasures would not be heard of. */
  readonly close: () => void;
  readonly open: () => void;
  /** Frees what is too old; without it, that happens when it is asked for or pushed out. */
  readonly sweep: () => void;
}

interface Entry {
  readonly scope: string;
  readonly output: string;
}

/** What an entry costs beside its output: 280 bytes measured, with its key and its places in the maps. */
const entryBytes = 300;

/** A closed cache; one of no bytes stays so. @param options.now milliseconds, of a clock that does not go back */
export function createResultCache(options: {
  readonly bytesMax: number;
  readonly ageMsMax: number;
  readonly now?: () => number;
}): ResultCache {
  const keysOf = new Map<string, Set<string>>();
  const entries = new LRUCache<string, Entry>({
    maxSize: Math.max(1, options.bytesMax),
    ttl: options.ageMsMax,
    sizeCalculation: ({ output }) => entryBytes + bytesOf(output),
    perf: { now: options.now ?? (() => performance.now()) },
    // Ages are told apart to the millisecond; the clock is cheap.
    ttlResolution: 0,
    dispose: ({ scope }, key, reason) => {
      const keys = keysOf.get(scope);
      keys?.delete(key);
      if (keys?.size === 0) keysOf.delete(scope);
      if (reason === 'evict' || reason === 'expire') metrics.cacheEvictions.inc({ reason });
    },
  });
  let isOpen = false;
  let marked = 0;
  const measure = (): void => {
    metrics.cacheBytes.set(entries.calculatedSize);
    metrics.cacheEntries.set(entries.size);
  };

  return {
    isOpen: () => isOpen,
    get: (key) => (isOpen ? entries.get(key)?.output : undefined),
    mark: () => marked,
    set: (key, { scope, output, mark }) => {
      if (!isOpen || mark !== marked) return;
      entries.set(key, { scope, output });
      if (entries.has(key)) keysOf.set(scope, (keysOf.get(scope) ?? new Set()).add(key));
      measure();
    },
    forget: (scopes) => {
      marked += 1;
      for (const scope of scopes) for (const key of keysOf.get(scope) ?? []) entries.delete(key);
      measure();
    },
    close: () => {
      isOpen = false;
      marked += 1;
      entries.clear();
      measure();
    },
    open: () => {
      isOpen = options.bytesMax > 0;
    },
    sweep: () => {
      entries.purgeStale();
      measure();
    },
  };
}

/** What all items of a job have in common in their keys: a JSON array, which tells where it ends. */
export function prefixOf({ scope, kind, version, digest, provider, options }: Asked): string {
  return JSON.stringify([scope, kind, version, digest, provider, inOrder(options)]);
}

/** SHA-256 of a prefix and a text, of which no two different pairs look alike. */
export function keyOf(prefix: string, text: string): string {
  return hash('sha256', prefix + text, 'base64url');
}

/** The same value with the keys of every object in order. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([key, field]) => [key, inOrder(field)]));
}

/** As V8 holds a string: a byte a character, or two when one of them needs it. */
function bytesOf(text: string): number {
  return /[^\0-\u00ff]/.test(text) ? 2 * text.length : text.length;
}
