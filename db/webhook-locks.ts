// Who sends to which target: the process that holds its advisory lock. The locks live in one connection, which also
// hears of new messages; when the process dies so does the connection, and another process takes over at once.

import pg from 'pg';
import { z } from 'zod';
import { deliveriesChannel } from '../shared/webhook.ts';

export interface TargetLocks {
  /** Those of the targets that are ours now; the others are another process's. */
  readonly acquire: (targetIds: readonly string[]) => Promise<string[]>;
  readonly release: (targetIds: readonly string[]) => Promise<void>;
  readonly isConnected: () => boolean;
  readonly close: () => Promise<void>;
}

/** Any constant serves; it keeps these locks apart from the others of the database. */
const lockSeed = 7_318_020_413;

const reconnectMs = 250;

const targetRows = z.array(z.object({ id: z.string() }));

/**
 * Connects until closed and reconnects by itself. It must be direct: a pooler drops LISTEN and locks.
 * @param on.told the ids of targets that got new messages
 * @param on.lost all locks are gone; whoever had a target must ask for it again
 */
export function createTargetLocks(
  url: string,
  on: {
    readonly told: (targetId: string) => void;
    readonly lost: () => void;
    readonly connected: () => void;
    readonly failed: (error: unknown) => void;
  },
): TargetLocks {
  let client: pg.Client | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const fail = (error: unknown): void => {
    if (closed || retry !== undefined) return;
    const gone = client;
    client = undefined;
    void gone?.end().catch(() => undefined);
    on.failed(error);
    on.lost();
    retry = setTimeout(() => {
      retry = undefined;
      void connect();
    }, reconnectMs);
  };

  const connect = async (): Promise<void> => {
    const next = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: 2000,
      query_timeout: 10_000,
      keepAlive: true,
    });
    next.on('error', fail);
    next.on('end', () => client === next && fail(new Error('the connection that holds the locks ended')));
    next.on('notification', ({ payload = '' }) => on.told(payload));
    try {
      await next.connect();
      await next.query(`LISTEN ${deliveriesChannel}`);
      client = next;
      on.connected();
    } catch (error) {
      void next.end().catch(() => undefined);
      fail(error);
    }
  };

  const ask = async (statement: string, targetIds: readonly string[]): Promise<string[]> => {
    if (client === undefined || targetIds.length === 0) return [];
    const text = `SELECT id FROM unnest($1::text[]) AS id WHERE ${statement}(hashtextextended(id, ${lockSeed}))`;
    const { rows } = await client.query(text, [targetIds]);
    return targetRows.parse(rows).map(({ id }) => id);
  };

  void connect();
  return {
    acquire: (targetIds) => ask('pg_try_advisory_lock', targetIds),
    release: async (targetIds) => {
      await ask('pg_advisory_unlock', targetIds);
    },
    isConnected: () => client !== undefined,
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await client?.end().catch(() => undefined);
    },
  };
}
