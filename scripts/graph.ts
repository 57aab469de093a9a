// `node dist/scripts/graph.js rebuild|checksum [--tenant <id>]`: makes the graph anew from the facts, in Postgres and in
// the Neo4j that is configured, or says whether the two hold the same.

import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createPool, inTransaction, type Pool } from '../db/client.ts';
import { checksumGraph, rebuildGraph } from '../db/facts.ts';
import { connectNeo4j, migrateNeo4j, type Neo4j } from '../db/graph-neo4j.ts';
import {
  asProjector,
  checksumCopy,
  clearCopy,
  measureProjection,
  projectEdges,
  resetProjection,
} from '../db/projection.ts';
import { readConfig } from '../shared/config.ts';
import { describeError } from './describe-error.ts';

const usage = 'usage: node dist/scripts/graph.js rebuild|checksum [--tenant <id>]';
const lockWaitMs = 60_000;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tenant: { type: 'string' } },
  });
  const command = positionals.length === 1 ? positionals[0] : undefined;
  if (command !== 'rebuild' && command !== 'checksum') throw new Error(usage);
  const { DATABASE_URL, NEO4J_URL: url, NEO4J_USER: user, NEO4J_PASSWORD: password } = readConfig();
  const pool = createPool(DATABASE_URL, { role: 'worker', max: 2, statementTimeoutMs: 600_000 });
  const neo4j = url === '' ? undefined : connectNeo4j({ url, user, password });
  try {
    if (command === 'rebuild') await rebuild(pool, neo4j, values.tenant);
    process.exitCode = (await compare(pool, neo4j, values.tenant)) ? 0 : 1;
  } finally {
    await neo4j?.close();
    await pool.end();
  }
}

async function rebuild(pool: Pool, neo4j: Neo4j | undefined, tenantId: string | undefined): Promise<void> {
  const { users, edges, nodes } = await rebuildGraph(pool, tenantId);
  console.log(`postgres: ${users} users looked at, ${edges} edges and ${nodes} nodes put right`);
  if (neo4j === undefined) return;
  const deadline = performance.now() + lockWaitMs;
  const copy = async (client: Parameters<typeof projectEdges>[0]) => {
    await migrateNeo4j(neo4j, () => Promise.resolve());
    await clearCopy(neo4j, tenantId);
    await resetProjection(client, tenantId);
    console.log(`neo4j: ${await projectEdges(client, neo4j)} edges copied`);
  };
  // The graph process gives the lock back after each tick.
  while (!(await asProjector(pool, copy))) {
    if (performance.now() > deadline) throw new Error('another process has copied to Neo4j for a minute');
    await delay(20);
  }
}

/** Prints the checksums. @returns false if they differ though nothing waits to be copied. */
async function compare(pool: Pool, neo4j: Neo4j | undefined, tenantId: string | undefined): Promise<boolean> {
  const here = await inTransaction(pool, async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    return checksumGraph(tx, tenantId);
  });
  console.log(`postgres: ${here.nodes} nodes, ${here.edges} edges, checksum ${here.checksum}`);
  if (neo4j === undefined) return true;
  const there = await checksumCopy(neo4j, tenantId);
  const { pending } = await measureProjection(pool);
  console.log(`neo4j:    ${there.nodes} nodes, ${there.edges} edges, checksum ${there.checksum}`);
  if (pending > 0) console.log(`${pending} edges wait to be copied`);
  return pending > 0 || here.checksum === there.checksum;
}

main().catch((error: unknown) => {
  console.error(describeError(error));
  process.exitCode = 1;
});
