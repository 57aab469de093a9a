// Brings a database to the newest schema. Safe to run from many processes at once: all but one wait.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as runMigrations } from 'drizzle-orm/node-postgres/migrator';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { createPool, type Tx } from './client.ts';

// Any constant serves; all migrators of one database must agree on it.
const migrationLock = 7_318_020_411;

const migrationsFolder = join(packageRoot, 'db/migrations');
const journalSchema = z.object({ entries: z.array(z.object({ when: z.number() })) });

/**
 * Applies what is missing, under an advisory lock held by the one connection that migrates.
 * @throws the database's error; nothing is applied by halves, since all of it is one transaction.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  const pool = createPool(databaseUrl, {
    role: 'owner',
    max: 1,
    statementTimeoutMs: 600_000,
    lockTimeoutMs: 600_000,
  });
  try {
    const client = await pool.connect();
    try {
      await client.query('SELECT pg_advisory_lock($1)', [migrationLock]);
      await runMigrations(drizzle(client), { migrationsFolder });
      await client.query('GRANT USAGE ON SCHEMA drizzle TO soma_reader, soma_intake, soma_worker');
      await client.query(
        'GRANT SELECT ON drizzle.__drizzle_migrations TO soma_reader, soma_intake, soma_worker',
      );
    } finally {
      client.release(true);
    }
  } finally {
    await pool.end();
  }
}

/** True if the database has every migration that this code knows. */
export async function isMigrated(tx: Tx): Promise<boolean> {
  const journal = journalSchema.parse(
    JSON.parse(readFileSync(join(migrationsFolder, 'meta/_journal.json'), 'utf8')),
  );
  const newest = Math.max(...journal.entries.map((entry) => entry.when));
  const found = await tx.query(
    `SELECT 1 FROM pg_class WHERE oid = to_regclass('drizzle.__drizzle_migrations')`,
  );
  if (found.rowCount === 0) return false;
  const applied = await tx.query('SELECT 1 FROM drizzle.__drizzle_migrations WHERE created_at = $1', [
    newest,
  ]);
  return applied.rowCount === 1;
}
