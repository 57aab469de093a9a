// Batches as the tenant that owns them reads them. One that is to be erased is not there any more.

import { and, asc, desc, eq, getTableColumns, gt, isNull, lt, sql } from 'drizzle-orm';
import type { Dialect } from '../shared/batch.ts';
import type { BatchName } from './batch-counting.ts';
import type { Reader } from './client.ts';
import * as schema from './schema.ts';

const { batches, batchEvents, jobs } = schema;

export type BatchRow = Omit<typeof batches.$inferSelect, 'lineHash' | 'fingerprint'>;
export type BatchEventRow = typeof batchEvents.$inferSelect;

const { lineHash: _lineHash, fingerprint: _fingerprint, ...columns } = getTableColumns(batches);
/** Of a page, the faults stay where they are: they may be long. */
const pageColumns = { ...columns, faults: sql<unknown>`'[]'::jsonb` };

/** A batch, and how many of its lines are in a worker's hands. */
export interface RunningBatch {
  readonly batch: BatchRow;
  readonly processing: number;
}

/** Undefined if the tenant has no such batch. Its counts are read, not made; what is in workers' hands is a few rows. */
export async function getBatch(reader: Reader, name: BatchName): Promise<RunningBatch | undefined> {
  const [batch] = await reader.select(columns).from(batches).where(isThere(name));
  if (batch === undefined) return undefined;
  return { batch, processing: batch.status === 'ended' ? 0 : await countProcessing(reader, batch) };
}

function isThere({ tenantId, id }: BatchName) {
  return and(eq(batches.tenantId, tenantId), eq(batches.id, id), isNull(batches.eraseRequestedAt));
}

/** The condition is that of the index `jobs_in_window`, which holds the bounded window alone. */
async function countProcessing(reader: Reader, batch: BatchRow): Promise<number> {
  const [row] = await reader
    .select({ items: sql<number>`coalesce(sum(${jobs.itemCount}), 0)::integer` })
    .from(jobs)
    .where(
      and(
        eq(jobs.tenantId, batch.tenantId),
        eq(jobs.class, batch.class),
        eq(jobs.batchId, batch.id),
        sql`${jobs.dispatchId} IS NOT NULL AND ${jobs.status} IN ('queued', 'processing', 'canceling')`,
        sql`${jobs.status} <> 'queued'`,
      ),
    );
  return row?.items ?? 0;
}

/** What waiting clients look at. */
export interface BatchVersion {
  readonly status: string;
  readonly eventSequence: number;
  readonly partCount: number;
  readonly expiresAt: Date;
}

export async function getBatchVersion(reader: Reader, name: BatchName): Promise<BatchVersion | undefined> {
  const [found] = await reader
    .select({
      status: batches.status,
      eventSequence: batches.eventSequence,
      partCount: batches.partCount,
      expiresAt: batches.expiresAt,
    })
    .from(batches)
    .where(isThere(name));
  return found;
}

export interface BatchFilter {
  readonly status?: string | undefined;
  readonly kind?: string | undefined;
  readonly dialect?: Dialect | undefined;
}

export interface PagePlace {
  readonly after?: string | undefined;
  readonly before?: string | undefined;
  readonly limit: number;
}

/** A page of the tenant's batches, newest first; `hasMore` in the direction that was asked for. */
export async function listBatchPage(
  reader: Reader,
  tenantId: string,
  filter: BatchFilter,
  place: PagePlace,
): Promise<{ batches: RunningBatch[]; hasMore: boolean }> {
  const backwards = place.before !== undefined;
  const found = await reader
    .select(pageColumns)
    .from(batches)
    .where(
      and(
        eq(batches.tenantId, tenantId),
        isNull(batches.eraseRequestedAt),
        filter.status === undefined ? undefined : eq(batches.status, filter.status),
        filter.kind === undefined ? undefined : eq(batches.kind, filter.kind),
        filter.dialect === undefined ? undefined : eq(batches.dialect, filter.dialect),
        place.after === undefined ? undefined : lt(batches.id, place.after),
        place.before === undefined ? undefined : gt(batches.id, place.before),
      ),
    )
    .orderBy(backwards ? asc(batches.id) : desc(batches.id))
    .limit(place.limit + 1);
  const rows = found.slice(0, place.limit);
  const running = [];
  for (const batch of backwards ? rows.toReversed() : rows) {
    running.push({ batch, processing: batch.status === 'ended' ? 0 : await countProcessing(reader, batch) });
  }
  return { batches: running, hasMore: found.length > place.limit };
}

/** The events of a batch behind `after`, in their order. */
export function listBatchEvents(
  reader: Reader,
  { tenantId, id }: BatchName,
  after: number,
  limit: number,
): Promise<BatchEventRow[]> {
  return reader
    .select()
    .from(batchEvents)
    .where(
      and(eq(batchEvents.tenantId, tenantId), eq(batchEvents.batchId, id), gt(batchEvents.sequence, after)),
    )
    .orderBy(asc(batchEvents.sequence))
    .limit(limit);
}
