// Connections to the ledger: one pool per process and role, with limits on every wait.

import { DrizzleQueryError } from 'drizzle-orm';
import { type NodePgDatabase, drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import * as schema from './schema.ts';

/** What a database function needs: a pool (one statement = one transaction) or a client inside a transaction. */
export type Tx = Pick<pg.ClientBase, 'query'>;
export type Pool = pg.Pool;

/** Typed reads that see the rows of one tenant. */
export type Reader = NodePgDatabase<typeof schema>;

/** `reader` sees one tenant at a time, `intake` may only add, `worker` serves all tenants; `owner` migrates. */
export type DatabaseRole = 'reader' | 'intake' | 'worker' | 'owner';

export interface PoolOptions {
  readonly role: DatabaseRole;
  readonly max: number;
  /** Longest statement, in milliseconds; what takes longer fails. */
  readonly statementTimeoutMs?: number;
  /** Longest wait for a row lock, in milliseconds. */
  readonly lockTimeoutMs?: number;
  /** Longest wait for a connection, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /** Whether a reader finds all that it reads by ids, as `intake` and `worker` do. */
  readonly byId?: boolean;
}

// The hot statements join a few hundred ids to a large table. A plan made while that table was empty would scan it
// for as long as the plan is cached; these settings leave the planner the index look-up only, which it plans once. And a
// plain index scan marks the entries of dead rows as dead for those that come after it, which a bitmap scan does not: the
// small indexes of what waits and what is in hand are read several times a second, and every job leaves entries in them.
const pointLookups = {
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
  plan_cache_mode: 'force_generic_plan',
};

// What else a tenant reads is named and sent again and again, but the best plan of a page or a graph depends on the
// values. Planning a look at one job costs as much as the look.
const customPlans = { plan_cache_mode: 'force_custom_plan' };

/**
 * A pool whose every connection has the role's rights and no more.
 * Errors of idle connections are dropped: the next query reports them.
 */
export function createPool(url: string, options: PoolOptions): Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  const settings = {
    ...(options.role === 'owner' ? {} : { role: `soma_${options.role}` }),
    ...plansOf(options),
    statement_timeout: statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs ?? 10_000,
    idle_in_transaction_session_timeout: 60_000,
  };
  const pool = new pg.Pool({
    connectionString: url,
    max: options.max,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5000,
    // Kept while idle: a connection's first statement costs many times the next ones (api/warm-up.ts).
    idleTimeoutMillis: 0,
    query_timeout: statementTimeoutMs + 300,
    keepAlive: true,
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
  });
  pool.on('error', () => undefined);
  return pool;
}

function plansOf({ role, byId = false }: PoolOptions): Readonly<Record<string, string>> {
  if (role === 'owner') return {};
  return role === 'reader' && !byId ? customPlans : pointLookups;
}

/** Runs `work` in one transaction; rolled back if it throws. */
export async function inTransaction<T>(pool: Pool, work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    client.release();
    return result;
  } catch (error) {
    await client.query('ROLLBACK').then(
      () => client.release(),
      (lost: Error) => client.release(lost),
    );
    throw error;
  }
}

/** As `inTransaction`, for statements that find old rows by a BRIN index: only a bitmap scan reads one. */
export function inSweep<T>(pool: Pool, work: (tx: pg.PoolClient) => Promise<T>): Promise<T> {
  return inTransaction(pool, async (tx) => {
    await tx.query('SET LOCAL enable_bitmapscan = on');
    return work(tx);
  });
}

/** What a connection of a reader is set to: nothing but `asTenant` sets it. */
const readers = new WeakMap<pg.PoolClient, { readonly reader: Reader; tenantId: string | undefined }>();

/** Runs `read` as the reader of one tenant: row-level security hides all other rows. */
export async function asTenant<T>(
  pool: Pool,
  tenantId: string,
  read: (reader: Reader) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    const own = readers.get(client) ?? { reader: drizzle(client, { schema }), tenantId: undefined };
    readers.set(client, own);
    if (own.tenantId !== tenantId) {
      // Nobody's, until the database has said yes to somebody.
      own.tenantId = undefined;
      await client.query({
        name: 'as_tenant',
        text: `SELECT set_config('app.tenant', $1, false)`,
        values: [tenantId],
      });
      own.tenantId = tenantId;
    }
    const result = await read(own.reader);
    client.release();
    return result;
  } catch (error) {
    client.release(error instanceof Error ? error : true);
    // Drizzle's own error repeats the parameters, a person's words among them, and hides the database's code.
    throw error instanceof DrizzleQueryError && error.cause !== undefined ? error.cause : error;
  }
}

/** True for an error that says "no database" rather than "bad statement": a connection lost, refused or timed out. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  // Class 08 connection, 53 resources, 57 operator intervention (shutdown, statement timeout), 55P03 lock timeout.
  if (/^(08|53|57)/.test(code) || code === '55P03') return true;
  if (/^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN)$/.test(code)) return true;
  return /timeout|terminated|Connection ended|not queryable/i.test(error.message);
}
