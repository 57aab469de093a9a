// The rows of a query that somebody else wrote, read through a cursor: memory stays flat however many there are.

import { z } from 'zod';
import { createPool } from './client.ts';

const rowsPerFetch = 1000;
/** A query that sorts a large table is silent for long before its first row. */
const fetchMsMax = 3_600_000;

const fetchedRows = z.array(z.record(z.string(), z.unknown()));

/**
 * Yields each row of `sql` as an object, in its order, from one snapshot of the database.
 * @param sql one SELECT; the transaction is read-only
 */
export async function* streamQuery(
  databaseUrl: string,
  sql: string,
): AsyncGenerator<Readonly<Record<string, unknown>>, void, undefined> {
  const pool = createPool(databaseUrl, { role: 'owner', max: 1, statementTimeoutMs: fetchMsMax });
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    // The reader may pause for as long as others need the system.
    await client.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await client.query(`DECLARE backfill NO SCROLL CURSOR FOR ${sql}`);
    for (;;) {
      const { rows } = await client.query(`FETCH ${rowsPerFetch} FROM backfill`);
      yield* fetchedRows.parse(rows);
      if (rows.length < rowsPerFetch) return;
    }
  } finally {
    client.release(true);
    await pool.end();
  }
}
