// A Neo4j of the run's own, whose files can be looked into and thrown away: what an operator does with one that holds
// erased words, since the server has nothing that wipes them out of its files.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNeo4j } from '../../db/graph-neo4j.ts';
import { startNeo4j } from '../../scripts/embedded-neo4j.ts';
import { findFiles } from './find-files.ts';

const readMs = 60_000;

export interface ScratchNeo4j {
  /** Another one after `replace`. */
  readonly url: () => string;
  /** Every node, and every edge with the node that it leaves, as JSON. */
  readonly rows: () => Promise<readonly string[]>;
  /** Files of store, indexes, transaction log and server log with one of the words. */
  readonly findFiles: (words: readonly string[]) => string[];
  /** As an operator stops it: what is in memory goes into the store, and log that recovery does not need goes. */
  readonly stop: () => Promise<void>;
  /** Throws all files of the stopped one away and starts an empty one. */
  readonly replace: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** @throws Error that says what to install */
export async function createScratchNeo4j(): Promise<ScratchNeo4j> {
  let server = await start();
  const stop = async (): Promise<void> => {
    await server.db.close();
    await server.service.stop();
  };
  const remove = () => rmSync(server.folder, { recursive: true, force: true });
  return {
    url: () => server.url,
    rows: async () => {
      const rows: string[] = [];
      const statement = 'MATCH (n) OPTIONAL MATCH (n)-[r]->() RETURN n {.*} AS n, r {.*} AS r';
      await server.db.stream(readMs, statement, {}, (row) => rows.push(JSON.stringify(row)));
      return rows;
    },
    findFiles: (words) => findFiles(server.folder, words),
    stop,
    replace: async () => {
      remove();
      server = await start();
    },
    close: async () => {
      await stop();
      remove();
    },
  };
}

async function start() {
  const folder = mkdtempSync(join(tmpdir(), 'soma-neo4j-'));
  const service = await startNeo4j({ folder, kept: true });
  const url = service.env['NEO4J_URL'] ?? '';
  return { folder, service, url, db: connectNeo4j({ url, user: '', password: '' }) };
}
