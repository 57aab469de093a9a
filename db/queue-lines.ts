// What the forecast reads of the queue: the lines that wait in the ledger, from where it has read them on, and what is
// in the window. Each job that waits is read once by each process that forecasts.

import { z } from 'zod';
import type { Tx } from './client.ts';
import { waitingPairsSql } from './dispatch.ts';

/** Jobs of a line, next to each other in the order in which they go. */
export interface LinePart {
  readonly firstId: string;
  readonly lastId: string;
  readonly jobs: number;
  readonly items: number;
}

/** The jobs of a tenant and class that wait in the ledger. */
export interface WaitingLine {
  readonly tenantId: string;
  readonly class: number;
  /** The job that goes next. */
  readonly headId: string;
  /** What stands behind the place that was read before. */
  readonly parts: readonly LinePart[];
}

/** Jobs in a part; a place inside one is told by the time in the id. */
export const partJobsMax = 64;

/** Jobs that one call reads of a line; the rest comes with the next. */
const readJobsMax = 20_000;

const readLinesSql = `
WITH RECURSIVE ${waitingPairsSql}
SELECT p.class, p.tenant_id AS "tenantId", head.id AS "headId", part."firstId", part."lastId", part.jobs, part.items
FROM pairs p
LEFT JOIN json_to_recordset($1) AS known("tenantId" uuid, class smallint, after uuid)
  ON known."tenantId" = p.tenant_id AND known.class = p.class
CROSS JOIN LATERAL (SELECT id FROM jobs WHERE class = p.class AND tenant_id = p.tenant_id
  AND status = 'queued' AND dispatch_id IS NULL ORDER BY id LIMIT 1) AS head
LEFT JOIN LATERAL (
  SELECT (array_agg(id ORDER BY id))[1] AS "firstId", (array_agg(id ORDER BY id DESC))[1] AS "lastId", count(*)::integer AS jobs, sum(item_count)::integer AS items
  FROM (SELECT id, item_count, (row_number() OVER (ORDER BY id) - 1) / ${partJobsMax} AS part FROM (
    SELECT id, item_count FROM jobs WHERE class = p.class AND tenant_id = p.tenant_id AND status = 'queued'
      AND dispatch_id IS NULL AND id > coalesce(known.after, '00000000-0000-0000-0000-000000000000')
    ORDER BY id LIMIT ${readJobsMax}) AS next) AS numbered
  GROUP BY numbered.part ORDER BY numbered.part) AS part ON true`;

const lineRows = z.array(
  z.object({
    class: z.number(),
    tenantId: z.string(),
    headId: z.string(),
    firstId: z.string().nullable(),
    lastId: z.string().nullable(),
    jobs: z.number().nullable(),
    items: z.number().nullable(),
  }),
);

/** The lines that are not empty, each from behind the job `after` on. */
export async function readLines(
  tx: Tx,
  known: readonly { readonly tenantId: string; readonly class: number; readonly after: string }[],
): Promise<WaitingLine[]> {
  const { rows } = await tx.query({
    name: 'read_lines',
    text: readLinesSql,
    values: [JSON.stringify(known)],
  });
  const lines = new Map<string, { tenantId: string; class: number; headId: string; parts: LinePart[] }>();
  for (const { firstId, lastId, jobs, items, ...row } of lineRows.parse(rows)) {
    const name = `${row.tenantId} ${row.class}`;
    const line = lines.get(name) ?? { ...row, parts: [] };
    lines.set(name, line);
    if (firstId !== null && lastId !== null && jobs !== null && items !== null)
      line.parts.push({ firstId, lastId, jobs, items });
  }
  return [...lines.values()];
}

/** A tenant's and class's part of the window. */
export interface WindowLine {
  readonly tenantId: string;
  readonly class: number;
  /** Items that a worker has claimed. */
  readonly claimedItems: number;
  /** What waits in Redis or in a worker's pool. */
  readonly queuedItems: number;
  readonly queuedJobs: number;
  readonly firstDispatchedAt: Date | null;
  readonly lastDispatchedAt: Date | null;
}

const windowRows = z.array(
  z.object({
    tenantId: z.string(),
    class: z.number(),
    claimedItems: z.number(),
    queuedItems: z.number(),
    queuedJobs: z.number(),
    firstDispatchedAt: z.date().nullable(),
    lastDispatchedAt: z.date().nullable(),
  }),
);

/** The window by tenant and class. */
export async function readWindow(tx: Tx): Promise<WindowLine[]> {
  const { rows } = await tx.query({
    name: 'read_window',
    text: `SELECT tenant_id AS "tenantId", class,
        coalesce(sum(item_count) FILTER (WHERE status <> 'queued'), 0)::integer AS "claimedItems",
        coalesce(sum(item_count) FILTER (WHERE status = 'queued'), 0)::integer AS "queuedItems",
        (count(*) FILTER (WHERE status = 'queued'))::integer AS "queuedJobs",
        min(dispatched_at) FILTER (WHERE status = 'queued') AS "firstDispatchedAt",
        max(dispatched_at) FILTER (WHERE status = 'queued') AS "lastDispatchedAt"
      FROM jobs WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling')
      GROUP BY tenant_id, class`,
  });
  return windowRows.parse(rows);
}

const endRows = z.array(z.object({ id: z.string(), endedAt: z.date(), finished: z.boolean() }));

/** When those of the jobs ended that have; `finished` if they came to a result or an error of their own. */
export async function listEnds(
  tx: Tx,
  jobs: readonly { readonly tenantId: string; readonly id: string }[],
): Promise<{ id: string; endedAt: Date; finished: boolean }[]> {
  const { rows } = await tx.query({
    name: 'list_ends',
    text: `SELECT j.id, j.ended_at AS "endedAt", j.status IN ('succeeded', 'failed') AS finished
      FROM json_to_recordset($1) AS x("tenantId" uuid, id uuid)
      JOIN jobs j ON j.tenant_id = x."tenantId" AND j.id = x.id AND j.id = ANY($2::uuid[])
      WHERE j.ended_at IS NOT NULL`,
    values: [JSON.stringify(jobs), jobs.map(({ id }) => id)],
  });
  return endRows.parse(rows);
}
