// Heartbeats: which processes run, where, with what. The dispatcher sizes the window by the workers seen here.

import { z } from 'zod';
import type { Tx } from './client.ts';

/** One running process. `info` is its own report, e.g. the models a worker has loaded. */
export interface ProcessRow {
  readonly id: string;
  readonly type: string;
  readonly host: string;
  readonly pid: number;
  readonly info: Readonly<Record<string, unknown>>;
  readonly startedAt: Date;
  readonly seenAt: Date;
}

/** Older heartbeats count as gone; a process beats every fifth of this. */
export const heartbeatLimitSeconds = 15;

export async function beat(
  tx: Tx,
  process: {
    readonly id: string;
    readonly type: string;
    readonly host: string;
    readonly pid: number;
    readonly info: Record<string, unknown>;
  },
): Promise<void> {
  await tx.query({
    name: 'beat',
    text: `INSERT INTO processes (id, type, host, pid, info) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (id) DO UPDATE SET seen_at = now(), info = excluded.info`,
    values: [process.id, process.type, process.host, process.pid, JSON.stringify(process.info)],
  });
}

export async function removeProcess(tx: Tx, id: string): Promise<void> {
  await tx.query('DELETE FROM processes WHERE id = $1', [id]);
}

/** Forgets processes that ended without saying so. */
export async function pruneProcesses(tx: Tx): Promise<void> {
  await tx.query(`DELETE FROM processes WHERE seen_at < now() - interval '10 minutes'`);
}

const processRows = z.array(
  z.object({
    id: z.string(),
    type: z.string(),
    host: z.string(),
    pid: z.number(),
    info: z.record(z.string(), z.unknown()),
    started_at: z.date(),
    seen_at: z.date(),
  }),
);

/** The processes seen within the limit, oldest first. */
export async function listProcesses(tx: Tx): Promise<ProcessRow[]> {
  const { rows } = await tx.query({
    name: 'list_processes',
    text: `SELECT * FROM processes WHERE seen_at > now() - make_interval(secs => $1) ORDER BY type, started_at, id`,
    values: [heartbeatLimitSeconds],
  });
  return processRows
    .parse(rows)
    .map(({ started_at: startedAt, seen_at: seenAt, ...row }) => ({ ...row, startedAt, seenAt }));
}
