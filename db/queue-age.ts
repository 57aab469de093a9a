// How long the first in line has waited: what admission asks several times a second, however long the backlog.

import { z } from 'zod';
import type { Tx } from './client.ts';
import { waitingPairsSql } from './dispatch.ts';

/** Jobs of a class that wait, and when the first of them was queued. */
export interface Line {
  readonly class: number;
  /** Whose jobs wait in the ledger; null for what all tenants have in the window, where they stand in one line. */
  readonly tenantId: string | null;
  readonly firstQueuedAt: Date;
}

// A few rows: a scheduled job has an old id and a young queued_at, and must not hide those behind it.
const measureLinesSql = `
WITH RECURSIVE ${waitingPairsSql}
SELECT p.class, p.tenant_id AS "tenantId", first.at AS "firstQueuedAt" FROM pairs p,
  LATERAL (SELECT min(queued_at) AS at FROM (SELECT queued_at FROM jobs WHERE class = p.class AND tenant_id = p.tenant_id
    AND status = 'queued' AND dispatch_id IS NULL ORDER BY id LIMIT 8) AS ahead) AS first
WHERE first.at IS NOT NULL
UNION ALL
SELECT class, NULL, min(queued_at) FROM jobs
WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling') AND status = 'queued' GROUP BY class`;

const lineRows = z.array(
  z.object({ class: z.number(), tenantId: z.string().nullable(), firstQueuedAt: z.date() }),
);

/** The lines that are not empty. */
export async function measureLines(tx: Tx): Promise<Line[]> {
  const { rows } = await tx.query({ name: 'measure_lines', text: measureLinesSql });
  return lineRows.parse(rows);
}
