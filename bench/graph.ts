// How fast the graph answers for one user: 100,000 edges over 1,000 users of very different size, the same questions to
// Postgres and to Neo4j, one after another. Run with `npm run bench:graph`, which starts both servers.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { v7 } from 'uuid';
import { createPool, type Pool } from '../db/client.ts';
import type { GraphQuery, GraphStore } from '../db/graph.ts';
import { connectNeo4j, createNeo4jGraph, migrateNeo4j, type Neo4j } from '../db/graph-neo4j.ts';
import { createPostgresGraph } from '../db/graph-postgres.ts';
import { migrate } from '../db/migrate.ts';
import { asProjector, projectEdges } from '../db/projection.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { selfKey } from '../shared/fact.ts';
import { describeCommit, describeMachine, load } from './machine.ts';
import { createRandom, pickIndex } from './random.ts';
import { printTable } from './report.ts';

const settings = {
  seed: 42,
  edges: 100_000,
  users: 1000,
  warmUpQuestions: 100,
  questions: 500,
  largestUsers: 20,
  p95MsMax: 100,
} as const;

interface Edge {
  readonly user_id: string;
  readonly type: 'causes' | 'mentions' | 'feels';
  readonly source: string;
  readonly target: string;
  readonly evidence_count: number;
  readonly strength_ppm: number;
}

/** A user with what questions need: concepts, and a pair of which the first leads to the second in a few hops. */
interface User {
  readonly userId: string;
  readonly edges: readonly Edge[];
}

type Random = () => number;

/** Sizes fall as 1 / rank^0.7: the first user has about 4,000 edges, the last about 30. */
function makeUsers(random: Random): User[] {
  const shares = Array.from({ length: settings.users }, (_, rank) => (rank + 1) ** -0.7);
  const total = shares.reduce((sum, share) => sum + share, 0);
  const users = shares.map((share, rank) =>
    makeUser(`user-${rank + 1}`, Math.round((share / total) * settings.edges), random),
  );
  const missing = settings.edges - users.reduce((sum, { edges }) => sum + edges.length, 0);
  const first = users[0];
  if (first === undefined || missing <= 0) return users;
  return [makeUser(first.userId, first.edges.length + missing, random), ...users.slice(1)];
}

/** 60 % causes between concepts, of which few are named often; 10 % feelings, 28 at most; the rest mentions. */
function makeUser(userId: string, count: number, random: Random): User {
  const concepts = Math.max(4, Math.round(count * 0.35));
  const concept = () => `concept:c${Math.floor(concepts * random() ** 2)}`;
  const feelings = Math.min(28, Math.round(count * 0.1));
  const edges = new Map<string, Edge>();
  const add = (type: Edge['type'], source: string, target: string) => {
    const evidence_count = 1 + Math.floor(10 * random() ** 3);
    const strength_ppm = Math.round(evidence_count * (0.3 + 0.7 * random()) * 1e6);
    const edge = { user_id: userId, type, source, target, evidence_count, strength_ppm };
    if (source !== target) edges.set(`${type} ${source} ${target}`, edge);
  };
  for (let index = 0; index < feelings; index++) add('feels', selfKey, `emotion:e${index}`);
  const mentions = Math.min(concepts, Math.round(count * 0.3));
  for (let index = 0; index < mentions; index++) add('mentions', selfKey, `concept:c${index}`);
  for (let tries = 0; edges.size < count && tries < count * 20; tries++) add('causes', concept(), concept());
  return { userId, edges: [...edges.values()].slice(0, count) };
}

async function insertEdges(pool: Pool, tenantId: string, users: readonly User[]): Promise<void> {
  for (let start = 0; start < users.length; start += 50) {
    const edges = users.slice(start, start + 50).flatMap((user) => user.edges);
    await pool.query(
      `WITH edges AS (
         INSERT INTO graph_edges (tenant_id, user_id, type, source, target, relation, evidence_count, strength_ppm, analyses,
           first_at, last_at)
         SELECT $1, user_id, type, source, target, 'causal', evidence_count, strength_ppm, '{}', now(), now()
         FROM json_populate_recordset(NULL::graph_edges, $2) RETURNING *)
       INSERT INTO graph_nodes (tenant_id, user_id, key, type, name)
       SELECT DISTINCT tenant_id, user_id, key, split_part(key, ':', 1), split_part(key, ':', 2)
       FROM edges, LATERAL (VALUES (source), (target)) AS ends(key)`,
      [tenantId, JSON.stringify(edges)],
    );
  }
  await pool.query('ANALYZE graph_edges, graph_nodes');
}

/** Copies everything to Neo4j. @returns edges per second. */
async function copyEdges(pool: Pool, neo4j: Neo4j): Promise<number> {
  const started = performance.now();
  await asProjector(pool, async (client) => {
    await migrateNeo4j(neo4j, () => Promise.resolve());
    await projectEdges(client, neo4j);
  });
  return Math.round(settings.edges / ((performance.now() - started) / 1000));
}

interface Subject {
  readonly scope: GraphQuery;
  readonly node: string;
  readonly from: string;
  readonly to: string;
}

/** A user, one of their concepts, and a pair that is 1 to 4 hops apart. */
function drawSubject(tenantId: string, user: User, random: Random): Subject {
  const causes = user.edges.filter(({ type }) => type === 'causes');
  const first = causes[pickIndex(random, causes.length)];
  let [from, to] = [first?.source ?? '', first?.target ?? ''];
  for (let hops = pickIndex(random, 4); hops > 0; hops--) {
    const next = causes.filter(({ source, target }) => source === to && target !== from);
    to = next[pickIndex(random, next.length)]?.target ?? to;
  }
  return { scope: { tenantId, userId: user.userId, timeoutMs: 10_000 }, node: from, from, to };
}

type Question = (store: GraphStore, subject: Subject) => Promise<unknown>;

const questions: Readonly<Record<string, Question>> = {
  neighbours: (store, { scope, node }) => store.neighbours({ ...scope, node }),
  'subgraph, 2 hops': (store, { scope, node }) => store.subgraph({ ...scope, from: node }),
  'subgraph, whole': (store, { scope }) => store.subgraph(scope),
  'paths, 3 hops': (store, { scope, from, to }) => store.strongestPaths({ ...scope, from, to, depth: 3 }),
  'paths, 5 hops': (store, { scope, from, to }) => store.strongestPaths({ ...scope, from, to }),
  'shortest path': (store, { scope, from, to }) => store.shortestPath({ ...scope, from, to }),
  search: (store, { scope }) => store.search({ ...scope, text: 'c1' }),
  stats: (store, { scope }) => store.stats(scope),
};

interface Row {
  readonly store: string;
  readonly users: 'all' | 'largest';
  readonly question: string;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly maxMs: number;
}

async function measure(
  store: GraphStore,
  name: string,
  question: Question,
  subjects: readonly Subject[],
): Promise<Omit<Row, 'users'>> {
  for (const subject of subjects.slice(0, settings.warmUpQuestions)) await question(store, subject);
  const times: number[] = [];
  for (const subject of subjects) {
    const started = performance.now();
    await question(store, subject);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => Number((times[Math.ceil(times.length * share) - 1] ?? Number.NaN).toFixed(2));
  return { store: store.name, question: name, p50Ms: at(0.5), p95Ms: at(0.95), maxMs: at(1) };
}

async function measureAll(
  stores: readonly GraphStore[],
  tenantId: string,
  users: readonly User[],
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const group of ['all', 'largest'] as const) {
    const random = createRandom(settings.seed);
    const pool = group === 'all' ? users : users.slice(0, settings.largestUsers);
    const subjects = Array.from({ length: settings.questions }, () => {
      const user = pool[pickIndex(random, pool.length)];
      if (user === undefined) throw new Error('there are no users');
      return drawSubject(tenantId, user, random);
    });
    for (const store of stores) {
      for (const [name, question] of Object.entries(questions)) {
        rows.push({ users: group, ...(await measure(store, name, question, subjects)) });
      }
    }
  }
  return rows;
}

/** How many of the questions about the largest users both stores answer alike, row by row. */
async function compareAnswers(
  stores: readonly [GraphStore, GraphStore],
  tenantId: string,
  users: readonly User[],
): Promise<{ asked: number; alike: number; rows: number }> {
  const random = createRandom(settings.seed + 1);
  const total = { asked: 0, alike: 0, rows: 0 };
  for (const user of users.slice(0, settings.largestUsers)) {
    const subject = drawSubject(tenantId, user, random);
    for (const question of Object.values(questions)) {
      const [a, b] = await Promise.all([question(stores[0], subject), question(stores[1], subject)]);
      total.asked++;
      total.alike += isDeepStrictEqual(a, b) ? 1 : 0;
      total.rows += Array.isArray(a) ? a.length : 1;
    }
  }
  return total;
}

function writeResults(result: Readonly<Record<string, unknown>>): void {
  const folder = join(packageRoot, 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'graph.json'), `${JSON.stringify(result, undefined, 1)}\n`);
}

async function main(): Promise<void> {
  const { DATABASE_URL, NEO4J_URL: url, NEO4J_USER: user, NEO4J_PASSWORD: password } = readConfig();
  if (url === '') throw new Error('NEO4J_URL is not set: run `npm run bench:graph`');
  const started = { started_at: new Date().toISOString(), ...describeCommit(), load_before: load() };
  await migrate(DATABASE_URL);
  const owner = createPool(DATABASE_URL, { role: 'owner', max: 1 });
  const worker = createPool(DATABASE_URL, { role: 'worker', max: 2 });
  const reader = createPool(DATABASE_URL, { role: 'reader', max: 2 });
  const neo4j = connectNeo4j({ url, user, password });
  const tenantId = v7();
  const users = makeUsers(createRandom(settings.seed));
  await insertEdges(owner, tenantId, users);
  const projectedPerSecond = await copyEdges(worker, neo4j);
  const stores = [createPostgresGraph(reader), createNeo4jGraph(neo4j)] as const;
  const rows = await measureAll(stores, tenantId, users);
  const answers = await compareAnswers(stores, tenantId, users);
  await Promise.all([owner.end(), worker.end(), reader.end(), neo4j.close()]);

  const counts = users.map(({ edges }) => edges.length);
  const sizes = { edges: counts.reduce((a, b) => a + b, 0), largest: counts[0], smallest: counts.at(-1) };
  const worst = Math.max(...rows.filter(({ users: group }) => group === 'all').map(({ p95Ms }) => p95Ms));
  const isMet = worst <= settings.p95MsMax;
  const figures = [
    { name: 'p95 ms of the slowest question', value: worst, bound: settings.p95MsMax, met: isMet },
  ];
  const summary = { sizes, answers, projected_edges_per_second: projectedPerSecond };
  const machine = describeMachine();
  writeResults({ part: 'graph', ...started, machine, load_after: load(), settings, figures, summary, rows });
  const cells = rows.map((row) => [
    `${row.store}, ${row.users} users: ${row.question}`,
    row.p50Ms,
    row.p95Ms,
    row.maxMs,
  ]);
  printTable(['question', 'p50 ms', 'p95 ms', 'max ms'], cells);
  console.log(`${answers.alike} of ${answers.asked} answers are alike on both stores`);
  console.log(
    `${projectedPerSecond} edges/s copied to Neo4j; slowest p95 ${worst} ms: ${isMet ? 'met' : 'MISSED'}`,
  );
  process.exitCode = isMet ? 0 : 1;
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
