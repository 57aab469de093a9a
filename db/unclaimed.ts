// Jobs that a worker was handed and has not claimed: what another one that has run out of work may take.

import { z } from 'zod';
import { profileKind } from '../shared/queues.ts';
import type { Tx } from './client.ts';
import { run } from './run.ts';

const unclaimedSchema = z.object({
  tenantId: z.string(),
  id: z.string(),
  dispatchId: z.string(),
  class: z.number(),
  kind: z.string(),
  modelVersion: z.string(),
  items: z.number(),
  characters: z.number(),
});

export type UnclaimedJob = Readonly<z.infer<typeof unclaimedSchema>>;

const unclaimedRows = z.array(unclaimedSchema);

/**
 * Analyses that were handed out more than `ageMs` ago and wait to be claimed: the best class first, and of a class the
 * newest first, which their worker comes to last.
 */
export async function listUnclaimed(
  tx: Tx,
  { ageMs, limit }: { readonly ageMs: number; readonly limit: number },
): Promise<UnclaimedJob[]> {
  const rows = await run(
    tx,
    'list_unclaimed',
    `SELECT tenant_id AS "tenantId", id, dispatch_id AS "dispatchId", class, kind, model_version AS "modelVersion",
       item_count AS items, greatest(1, character_count) AS characters
     FROM jobs WHERE dispatch_id IS NOT NULL AND status IN ('queued', 'processing', 'canceling') AND status = 'queued'
       AND dispatched_at < now() - make_interval(secs => $1::float8 / 1000) AND kind <> '${profileKind}'
     ORDER BY class, id DESC LIMIT $2`,
    [ageMs, limit],
  );
  return unclaimedRows.parse(rows);
}
