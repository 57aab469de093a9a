// `npm run faults:erasure`: words that were sent in by every route and in every state are erased, and then looked for:
// in every table, the data files of the cluster, Redis, Neo4j with its files, and the logs; and what workers know must
// be forgotten. Written to bench/results/erasure.json.

import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { findInRedis, findInTables } from '../../scripts/canary.ts';
import { freePort } from '../../scripts/free-port.ts';
import { createLiveSystem, type LiveSystem, startRedis, until } from '../../scripts/live-system.ts';
import { startReport, writeReport } from '../report.ts';
import { findFiles } from './find-files.ts';
import { createScratchNeo4j } from './scratch-neo4j.ts';

const started = startReport();
const port = await freePort();
const redisServer = startRedis(port);
const redis = new Redis(port, '127.0.0.1', { maxRetriesPerRequest: null, lazyConnect: true });
const neo4j = await createScratchNeo4j();
const system = await createLiveSystem({
  REDIS_URL: `redis://127.0.0.1:${port}`,
  FAULT_INJECTION: 'true',
  RESULT_CACHE_MB: '64',
  NEO4J_URL: neo4j.url(),
});
await storePlainly(system);
const [api, graph, analysis, ...others] = await Promise.all([
  system.start('api'),
  system.start('graph'),
  system.start('analysis'),
  system.start('profile'),
  system.start('dispatcher', { RECONCILE_MS: '1000' }),
]);
const processes = [api, graph, analysis, ...others];

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

/** In no dictionary, and longer than what Neo4j packs into a property, where it could not be found by its bytes. */
function newWord(): string {
  const word = `zq${randomBytes(24).toString('hex')}`;
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
  /** Nodes and edges. */
  readonly neo4j: number;
  readonly neo4j_files: readonly string[];
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
  const lines = processes.flatMap((one) => one.lines());
  return {
    tables: [...tables],
    statistics: rows.filter(({ text }) => hasWord(text)).length,
    redis: [...keys],
    neo4j: (await neo4j.rows()).filter(hasWord).length,
    neo4j_files: neo4j.findFiles(words),
    logs: lines.filter(hasWord).length,
    ...(await findInCluster()),
  };
}

function hasWord(text: string): boolean {
  return words.some((word) => text.includes(word));
}

/** Files of the cluster with a word in their bytes, this database's and the shared ones; those of the write-ahead log apart. */
async function findInCluster(): Promise<{ files: string[]; log_files: string[] }> {
  const { rows } = await system.owner.query<{ root: string; oid: string }>(
    `SELECT current_setting('data_directory') AS root, oid::text FROM pg_database WHERE datname = current_database()`,
  );
  const { root = '', oid = '' } = rows[0] ?? {};
  const found = findFiles(root, words).map((path) => path.replace(`base/${oid}/`, ''));
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

// A neighbour who stays: Postgres keeps the statistics of a table that has become empty, and a graph that is filled
// anew must have something in it.
const neighbour = newWord();
await leaveTraces(neighbour);
words.length = 0;
await leaveTraces(newWord());
const ownerless = await submit({}, waited);
await until('the copy', copied(words), copyMsMax).catch((error: unknown) => {
  console.error(processes.flatMap((one) => one.warnings().slice(-5)).join('\n'));
  throw error;
});
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
await graph.stop();
await neo4j.stop();
const leftByNeo4j = neo4j.findFiles(words);
await neo4j.replace();
processes.push(await system.start('graph', { NEO4J_URL: neo4j.url() }));
await until('the copy in an empty Neo4j', copied([neighbour]), copyMsMax);
const rewritten = await look();
const neighbourKept = (await neo4j.rows()).filter((row) => row.includes(neighbour)).length;

/** Whether one of the words is in Neo4j. */
function copied(wanted: readonly string[]): () => Promise<true | undefined> {
  return async () => {
    const rows = await neo4j.rows();
    return rows.some((row) => wanted.some((word) => row.includes(word))) ? true : undefined;
  };
}

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
  settings: { words: words.length },
  rounds: { before, after, vacuumed, rewritten },
  summary: {
    erase_ms: eraseMs,
    left_in_files_after_vacuum: vacuumed.files,
    left_in_write_ahead_log: rewritten.log_files.length,
    left_in_statistics_until_analyze: after.statistics,
    left_in_neo4j_files: leftByNeo4j,
  },
  figures: [
    some('before: tables with a word', before.tables.length),
    some('before: data files with a word', before.files.length),
    some('before: nodes and edges of Neo4j with a word', before.neo4j),
    some('before: files of Neo4j with a word', before.neo4j_files.length),
    some('before: results that the worker knows', keptBefore),
    none('tables with a word', after.tables.length),
    none('keys of Redis with a word', after.redis.length),
    none('nodes and edges of Neo4j with a word', after.neo4j),
    none('results that the worker knows', keptAfter),
    none('lines of logs with a word', rewritten.logs),
    none('statistics with a word, after VACUUM (ANALYZE)', vacuumed.statistics),
    none('data files with a word, after VACUUM (FULL)', rewritten.files.length),
    none('files of Neo4j with a word, after it was filled anew', rewritten.neo4j_files.length),
    some('nodes and edges of another person in it', neighbourKept),
  ],
});
console.log({ after, vacuumed, leftByNeo4j, rewritten });
redis.disconnect();
await system.close();
await neo4j.close();
await redisServer.stop('SIGKILL', 0);
process.exitCode = met ? 0 : 1;
