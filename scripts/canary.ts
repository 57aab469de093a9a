// Looks for a word in everything that a system keeps: each column of each table, and all that its queue has in Redis.
// What the tests of erasure have in common.

import { Redis } from 'ioredis';
import type { Pool } from '../db/client.ts';

/** Tables of every schema whose rows, as text, have the word in them; `schema.table`, those of Postgres left out. */
export async function findInTables(owner: Pool, word: string): Promise<string[]> {
  const { rows } = await owner.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1`,
  );
  const found = new Set<string>();
  for (const { name } of rows) {
    const hits = await owner.query(
      `SELECT FROM ${name} t WHERE strpos(lower(t::text), lower($1)) > 0 LIMIT 1`,
      [word],
    );
    // A month's partition is told as its table.
    if (hits.rowCount !== 0) found.add(name.replace(/^public\./, '').replace(/_\d{4}_\d\d$/, ''));
  }
  return [...found].sort();
}

/** Keys that begin with `prefix` whose name or value has the word in it. */
export async function findInRedis(redis: Redis, prefix: string, word: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.keys(`${prefix}*`)) {
    const value = JSON.stringify(await readKey(redis, key));
    if (`${key} ${value}`.toLowerCase().includes(word.toLowerCase())) found.push(key);
  }
  return found.sort();
}

/** How many keys begin with `prefix`: a search that looked at none has shown nothing. */
export async function countKeys(redis: Redis, prefix: string): Promise<number> {
  return (await redis.keys(`${prefix}*`)).length;
}

async function readKey(redis: Redis, key: string): Promise<unknown> {
  const read: Readonly<Record<string, () => Promise<unknown>>> = {
    string: () => redis.get(key),
    hash: () => redis.hgetall(key),
    list: () => redis.lrange(key, 0, -1),
    set: () => redis.smembers(key),
    zset: () => redis.zrange(key, '0', '-1'),
    stream: () => redis.xrange(key, '-', '+'),
    none: () => Promise.resolve(null),
  };
  const type = await redis.type(key);
  const reader = read[type];
  if (reader === undefined) throw new Error(`${key} is of the type ${type}, which this cannot read`);
  return reader();
}
