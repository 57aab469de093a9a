// The results of a batch, line by line, in pages of bounded size: in the order in which its parts were counted, or in
// that of the lines. A place is the index of a line, which a client has from the last result that it got.

import { sql } from 'drizzle-orm';
import { z } from 'zod';
import type { BatchName } from './batch-counting.ts';
import type { Reader } from './client.ts';

const resultRow = z.object({
  ordinal: z.number(),
  item_index: z.number(),
  index: z.number(),
  custom_id: z.string().nullable(),
  metadata: z.record(z.string(), z.string()).nullable(),
  line_error: z.object({ code: z.string(), detail: z.string(), pointer: z.string() }).nullable(),
  job_id: z.string().nullable(),
  job_status: z.string().nullable(),
  job_error: z.object({ code: z.string(), detail: z.string() }).nullable(),
  user_id: z.string().nullable(),
  output: z.string().nullable(),
  error: z.object({ code: z.string(), detail: z.string() }).nullable(),
});

/** A line with what came of it. `output` is the JSON text that the worker wrote, never parsed on its way. */
export type ResultRow = z.output<typeof resultRow>;

const resultRows = z.array(resultRow);

const fields = sql`coalesce(p.ordinal, 0) AS ordinal, l.item_index, l.index, l.custom_id, l.metadata, l.error AS line_error, j.id AS job_id,
  j.status AS job_status, j.error AS job_error, j.user_id, a.output::text AS output, a.error`;

const outcome = sql`LEFT JOIN jobs j ON j.tenant_id = l.tenant_id AND j.id = l.part_id
  LEFT JOIN analyses a ON a.tenant_id = l.tenant_id AND a.job_id = l.part_id AND a.item_index = l.item_index`;

/** Behind which line of which part a page begins. */
export interface ResultPlace {
  readonly ordinal: number;
  readonly itemIndex: number;
}

export const firstPlace: ResultPlace = { ordinal: 0, itemIndex: 0 };

/** Parts of a page: at most 64 lines each, but for one of bad lines, which is a chunk at the most. */
const partsPerPage = 4;
const linesPerPage = 256;

const placeRows = z.array(z.object({ ordinal: z.number(), itemIndex: z.number() }));

/** Where the result of line `index` stands in the order of completion; undefined if it has none. */
export async function findResult(
  reader: Reader,
  { tenantId, id }: BatchName,
  index: number,
): Promise<ResultPlace | undefined> {
  const { rows } = await reader.execute(sql`
    SELECT p.ordinal, l.item_index AS "itemIndex" FROM batch_lines l
    JOIN batch_parts p ON p.tenant_id = l.tenant_id AND p.part_id = l.part_id
    WHERE l.tenant_id = ${tenantId} AND l.batch_id = ${id} AND l.index = ${index}`);
  return placeRows.parse(rows)[0];
}

/**
 * The results behind `place`, in the order of completion.
 * @returns with them the place behind which the next page begins; the same again if there is nothing more yet
 */
export async function listResults(
  reader: Reader,
  { tenantId, id }: BatchName,
  place: ResultPlace,
): Promise<{ rows: ResultRow[]; next: ResultPlace }> {
  const from = place.itemIndex > 0 ? place.ordinal : place.ordinal + 1;
  const { rows } = await reader.execute(sql`
    SELECT ${fields} FROM (
      SELECT tenant_id, ordinal, part_id FROM batch_parts
      WHERE tenant_id = ${tenantId} AND batch_id = ${id} AND ordinal >= ${from} ORDER BY ordinal LIMIT ${partsPerPage}
    ) p LEFT JOIN batch_lines l ON l.tenant_id = p.tenant_id AND l.part_id = p.part_id ${outcome}
    WHERE p.ordinal > ${place.ordinal} OR l.item_index >= ${place.itemIndex}
    ORDER BY p.ordinal, l.item_index`);
  const last = ordinals.parse(rows).at(-1)?.ordinal;
  const results = resultRows.parse(rows.filter((row) => row['index'] !== null));
  if (last !== undefined) return { rows: results, next: { ordinal: last, itemIndex: 0 } };
  return { rows: results, next: place };
}

/** A part whose job was erased has no lines any more, and stands here with nulls. */
const ordinals = z.array(z.object({ ordinal: z.number() }));

/** The results of the lines behind line `after` (-1 for the first), in their order, up to the first that has none yet. */
export async function listResultsByInput(
  reader: Reader,
  { tenantId, id }: BatchName,
  after: number,
): Promise<ResultRow[]> {
  const { rows } = await reader.execute(sql`
    SELECT ${fields} FROM (
      SELECT * FROM batch_lines WHERE tenant_id = ${tenantId} AND batch_id = ${id} AND index > ${after}
      ORDER BY index LIMIT ${linesPerPage}
    ) l LEFT JOIN batch_parts p ON p.tenant_id = l.tenant_id AND p.part_id = l.part_id ${outcome} ORDER BY l.index`);
  const results = resultRows.parse(rows);
  const open = results.findIndex(({ ordinal }) => ordinal === 0);
  return open === -1 ? results : results.slice(0, open);
}
