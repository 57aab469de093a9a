// The table into which a backfill puts its results. A row is stored once, whoever tries how often: its key is the run
// and its place in the input.

import { z } from 'zod';
import type { Tx } from './client.ts';

/** A result as it is stored; `output` and `error` are JSON texts. */
export interface StoredResult {
  readonly row: number;
  readonly id: string;
  readonly status: string;
  readonly output: string | null;
  readonly error: string | null;
}

/** `table` or `schema.table`, of letters, digits and underscores: it is part of the statements. */
export const tableName = z
  .string()
  .regex(
    /^[a-z_][a-z0-9_]{0,62}(\.[a-z_][a-z0-9_]{0,62})?$/,
    'is a table: lower-case letters, digits and _, with a schema and a dot before it if need be',
  );

export async function createResultTable(tx: Tx, table: string): Promise<void> {
  await tx.query(`CREATE TABLE IF NOT EXISTS ${tableName.parse(table)} (
    run_id uuid NOT NULL, row bigint NOT NULL, id text NOT NULL, status text NOT NULL, output json, error json,
    PRIMARY KEY (run_id, row))`);
}

/** Adds the results of a chunk; those that are there already stay as they are. */
export async function insertResults(
  tx: Tx,
  table: string,
  runId: string,
  results: readonly StoredResult[],
): Promise<void> {
  await tx.query(
    `INSERT INTO ${tableName.parse(table)} (run_id, row, id, status, output, error)
      SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[], $5::json[], $6::json[])
      ON CONFLICT (run_id, row) DO NOTHING`,
    [
      runId,
      results.map(({ row }) => row),
      results.map(({ id }) => id),
      results.map(({ status }) => status),
      results.map(({ output }) => output),
      results.map(({ error }) => error),
    ],
  );
}
