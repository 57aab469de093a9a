// `npm run faults:erasure`: words that were sent in by every route and in every state are erased, and then looked for:
// in every table, the data files of the cluster, Redis, Neo4j and the logs; and what workers know must be forgotten. Written to bench/results/erasure.json.

import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { connectNeo4j } from '../../db/graph-neo4j.ts';
import { findInRedis, findInTables } from '../../scripts/canary.ts';
import { freePort } from '../../scripts/free-port.ts';
import { createLiveSystem, type LiveSystem, startRedis, until } from '../../scripts/live-system.ts';
import { readConfig } from '../../shared/config.ts';
import { startReport, writeReport } from '../report.ts';

const started = startReport();
const port = await freePort();
const redisServer = startRedis(port);
const system = await createLiveSystem({
  REDIS_URL: `redis://127.0.0.1:${port}`,
  FAULT_INJECTION: 'true',
  RESULT_CACHE_MB: '64',
});
const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null });
await storePlainly(system);
const [api, analysis, ...rest] = await Promise.all([
  system.start('api'),
  system.start('analysis'),
  system.start('profile'),
  system.start('graph'),
  system.start('dispatcher', { RECONCILE_MS: '1000' }),
]);
const others = [analysis, ...rest];
const { NEO4J_URL: url, NEO4J_USER: user, NEO4J_PASSWORD: password } = readConfig();
const neo4j = url === '' ? undefined : connectNeo4j({ url, user, password });

/** Compressed, a word would be in the files and not be found. */
async function storePlainly({ owner }: LiveSystem): Promise<void> {
  const { rows } = await owner.query<{ statement: string }>(
    `SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STORAGE EXTERNAL', c.oid::regclass, a.attname) AS statement
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace
        AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND a.attstorage = 'x'`,
  );
  for (const { statement } of rows) await owner.query(statement);
}

const idSchema = z.object({ id: z.string() });

async function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(api.address + path, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(90_000),
  });
  const text = await response.text();
  if (response.status >= 500) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return { status: response.status, text };
}

/** A Neo4j that has just been started takes its time with the first statements. */
const copyMsMax = 180_000;

const waited = { prefer: 'wait=60' };
const later = () => new Date(Date.now() + 3_600_000).toISOString();
const words: string[] = [];

/** A job with a new word wherever a client may write one. @returns its id */
async function submit(
  changes: Record<string, unknown>,
  headers: Record<string, string>,
  before = '',
): Promise<string> {
  const word = newWord();
  const { text } = await send(
    'POST',
    '/v1/jobs',
    {
      kind: 'reasoning',
      input: { text: `${before}The ${word} died because the ${word} mine flooded.` },
      custom_id: word,
      metadata: { [word]: word },
      tags: [word],
      ...changes,
    },
    { 'idempotency-key': word, ...headers },
  );
  return idSchema.parse(JSON.parse(text)).id;
}

/** Short, so that nothing splits it, and in no dictionary. */
function newWord(): string {
  const word = `zq${randomBytes(6).toString('hex')}`;
  words.push(word);
  return word;
}

/** Leaves a word of the person by each route and in each state. */
async function leaveTraces(person: string): Promise<void> {
  const mine = { user_id: person };
  const first = await submit(mine, waited);
  await submit({ ...mine, kind: 'emotion' }, waited);
  await submit({ ...mine, kind: 'embedding' }, waited);
  await submit({ ...mine, store_input: false }, waited);
  await submit({ ...mine, kind: 'emotion' }, waited, 'soma:fault:crash ');
  await submit({ ...mine, not_before: later() }, {});
  await submit(
    { ...mine, deadline_at: new Date(Date.now() + 1000).toISOString(), not_before: later() },
    {},
  ).catch(() => undefined);
  const canceled = await submit({ ...mine, not_before: later() }, {});
  await send('POST', `/v1/jobs/${canceled}/cancel`);
  const retried = await send('POST', `/v1/jobs/${first}/retry`, undefined, { 'idempotency-key': newWord() });
  await send('GET', `/v1/jobs/${idSchema.parse(JSON.parse(retried.text)).id}?wait=60`);
  const text = () => `I love my ${newWord()}.`;
  await send('POST', '/api/emotions/analyze', { ...mine, text: text() });
  await send('POST', '/api/emotions/batch', { ...mine, texts: [text(), text()] });
  await send('POST', '/api/reasoning/extract', { ...mine, text: `It rained because of the ${newWord()}.` });
  await send('POST', '/api/profile/generate', mine);
  await submit({ ...mine, kind: 'emotion' }, {}, 'soma:fault:slow ');
}

interface Traces {
  readonly tables: readonly string[];
  readonly statistics: number;
  readonly redis: readonly string[];
  readonly neo4j: number;
  readonly logs: number;
  readonly files: readonly string[];
  readonly log_files: readonly string[];
}

async function look(): Promise<Traces> {
  await system.owner.query('CHECKPOINT');
  const tables = new Set<string>();
  const keys = new Set<string>();
  for (const word of words) {
    for (const table of await findInTables(system.owner, word)) tables.add(table);
    for (const key of await findInRedis(redis, '', word)) keys.add(key);
  }
  const { rows } = await system.owner.query<{ text: string }>(
    'SELECT s::text AS text FROM pg_statistic s UNION ALL SELECT d::text FROM pg_statistic_ext_data d',
  );
  const lines = [api, ...others].flatMap((one) => one.lines());
  return {
    tables: [...tables],
    statistics: rows.filter(({ text }) => hasWord(text)).length,
    redis: [...keys],
    neo4j: await countInNeo4j(),
    logs: lines.filter(hasWord).length,
    ...(await findInFiles()),
  };
}

function hasWord(text: string): boolean {
  return words.some((word) => text.includes(word));
}

async function countInNeo4j(): Promise<number> {
  let hits = 0;
  await neo4j?.stream(
    60_000,
    'MATCH (n) OPTIONAL MATCH (n)-[r]->() RETURN n {.*} AS n, r {.*} AS r',
    {},
    (row) => {
      if (hasWord(JSON.stringify(row))) hits += 1;
    },
  );
  return hits;
}

/** Files of the cluster with a word in their bytes, this database's and the shared ones; those of the write-ahead log apart. */
async function findInFiles(): Promise<{ files: string[]; log_files: string[] }> {
  const { rows } = await system.owner.query<{ root: string; oid: string }>(
    `SELECT current_setting('data_directory') AS root, oid::text FROM pg_database WHERE datname = current_database()`,
  );
  const { root = '', oid = '' } = rows[0] ?? {};
  const found = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const bytes = readFileSync(path);
      return words.some((word) => bytes.includes(word));
    })
    .map((path) => path.slice(root.length + 1).replace(`base/${oid}/`, ''));
  return {
    files: await nameFiles(found.filter((path) => !path.startsWith('pg_wal/'))),
    log_files: found.filter((path) => path.startsWith('pg_wal/')),
  };
}

/** The tables and indexes that the files belong to. */
async function nameFiles(files: readonly string[]): Promise<string[]> {
  const { rows } = await system.owner.query<{ name: string }>(
    `SELECT DISTINCT coalesce(c.relname, f) AS name FROM unnest($1::text[]) AS f
      LEFT JOIN pg_class c ON pg_relation_filenode(c.oid)::text = split_part(f, '.', 1) ORDER BY 1`,
    [files],
  );
  return rows.map(({ name }) => name);
}

async function erase(): Promise<void> {
  const person = words[0] ?? '';
  const receipt = z.object({ links: z.object({ self: z.string() }) });
  const { text } = await send('DELETE', `/v1/users/${person}`);
  const { self } = receipt.parse(JSON.parse(text)).links;
  const isDone = async () => (await send('GET', self)).text.includes('"status":"completed"');
  await until('the erasure', async () => ((await isDone()) ? true : undefined), copyMsMax);
}

// A neighbour who stays: Postgres keeps the statistics of a table that has become empty.
await leaveTraces(newWord());
words.length = 0;
await leaveTraces(newWord());
const ownerless = await submit({}, waited);
if (neo4j !== undefined) {
  await until('the copy', async () => ((await countInNeo4j()) > 0 ? true : undefined), copyMsMax).catch(
    (error: unknown) => {
      console.error([api, ...others].flatMap((one) => one.warnings().slice(-5)).join('\n'));
      throw error;
    },
  );
}
await system.owner.query('ANALYZE');
const before = await look();
const keptBefore = await countKept();
const eraseStartedMs = performance.now();
await erase();
await send('DELETE', `/v1/jobs/${ownerless}`);
const eraseMs = Math.round(performance.now() - eraseStartedMs);
await until('an empty cache', async () => ((await countKept()) === 0 ? true : undefined), 10_000).catch(
  () => undefined,
);
const keptAfter = await countKept();
// The slow job is still in a worker's hands: what comes of it must leave nothing either.
await submitAfterwards();
const after = await look();
await system.owner.query('VACUUM (ANALYZE)');
const vacuumed = await look();
await system.owner.query('VACUUM (FULL)');
const rewritten = await look();

/** Results that the worker knows. */
async function countKept(): Promise<number> {
  const page = await (await fetch(`${analysis.address}/metrics`)).text();
  return Number(/^soma_cache_entries (\d+)$/m.exec(page)?.[1]);
}

/** Goes through the worker that had the erased job, and is in nobody's way. */
async function submitAfterwards(): Promise<void> {
  await send('POST', '/v1/jobs', { kind: 'emotion', input: { text: 'Something else' } }, waited);
}

const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;
const some = (name: string, value: number) => ({ name, value, bound: 1, holds: 'at least' }) as const;
const met = writeReport(started, {
  part: 'erasure',
  seed: 0,
  kind: 'reasoning',
  settings: { words: words.length, neo4j: neo4j !== undefined },
  rounds: { before, after, vacuumed, rewritten },
  summary: {
    erase_ms: eraseMs,
    left_in_files_after_vacuum: vacuumed.files,
    left_in_write_ahead_log: rewritten.log_files.length,
    left_in_statistics_until_analyze: after.statistics,
  },
  figures: [
    some('before: tables with a word', before.tables.length),
    some('before: data files with a word', before.files.length),
    ...(neo4j === undefined ? [] : [some('before: nodes of Neo4j with a word', before.neo4j)]),
    some('before: results that the worker knows', keptBefore),
    none('tables with a word', after.tables.length),
    none('keys of Redis with a word', after.redis.length),
    none('nodes and edges of Neo4j with a word', after.neo4j),
    none('results that the worker knows', keptAfter),
    none('lines of logs with a word', rewritten.logs),
    none('statistics with a word, after VACUUM (ANALYZE)', vacuumed.statistics),
    none('data files with a word, after VACUUM (FULL)', rewritten.files.length),
  ],
});
console.log({ after, vacuumed, rewritten });
redis.disconnect();
await neo4j?.close();
await system.close();
await redisServer.stop('SIGKILL', 0);
process.exitCode = met ? 0 : 1;
