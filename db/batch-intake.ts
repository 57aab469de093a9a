// How the lines of a batch get into the ledger: under an upload id that fences off all other uploads of the batch, a
// chunk in one transaction, each behind the one before. Lines become items of jobs at once; with `reject` the jobs stay
// `scheduled` with no time set, which nothing but the release of the batch moves on.

import { z } from 'zod';
import {
  type Dialect,
  dialects,
  type InvalidLinePolicy,
  invalidLinePolicies,
  type LineFault,
} from '../shared/batch.ts';
import { inTransaction, type Pool, type Tx } from './client.ts';
import { jobsChannel, progressChannel } from './jobs.ts';
import { insertJobs, type NewJob, type WebhookRequest } from './submissions.ts';

/** The id of a batch in notifications (`packUuid`). */
export const packedBatch = (id: string): string =>
  `translate(rtrim(encode(uuid_send(${id}), 'base64'), '='), '+/', '-_')`;

export interface NewBatch {
  readonly tenantId: string;
  readonly id: string;
  readonly uploadId: string;
  readonly kind: string;
  readonly modelVersion: string;
  readonly modelDigest: string;
  readonly class: number;
  readonly onInvalid: InvalidLinePolicy;
  readonly userId: string | null;
  readonly options: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly storeInput: boolean;
  readonly fileId: string | null;
  readonly dialect: Dialect;
  /** Where the batch's own events go, signed with the tenant's default secret. */
  readonly webhook?: WebhookRequest | undefined;
  readonly idempotencyKey: string | null;
  /** sha-256 of the options, in hex. */
  readonly fingerprint: string;
  readonly deadlineAt: string | null;
  readonly createdAt: string;
  readonly expiresAt: string;
}

const openBatchSql = `
WITH opened AS (
  INSERT INTO batches AS b (tenant_id, id, upload_id, kind, model_version, model_digest, class, status, on_invalid, user_id,
    options, metadata, store_input, file_id, dialect, idempotency_key, fingerprint, deadline_at, created_at, in_progress_at, expires_at,
    touched_at, event_sequence)
  SELECT "tenantId", id, "uploadId", kind, "modelVersion", "modelDigest", class,
    CASE WHEN "onInvalid" = 'skip' THEN 'in_progress' ELSE 'validating' END, "onInvalid", "userId", options, metadata,
    "storeInput", "fileId", dialect, "idempotencyKey", decode(fingerprint, 'hex'), "deadlineAt", "createdAt",
    CASE WHEN "onInvalid" = 'skip' THEN "createdAt" END, "expiresAt",
    CASE WHEN "fileId" IS NULL THEN now() ELSE '-infinity' END, 1
  FROM json_to_record($1) AS x("tenantId" uuid, id uuid, "uploadId" uuid, kind text, "modelVersion" text, "modelDigest" text,
    class smallint, "onInvalid" text, "userId" text, options jsonb, metadata jsonb, "storeInput" boolean, "fileId" uuid,
    dialect text, "idempotencyKey" text, fingerprint text, "deadlineAt" timestamptz, "createdAt" timestamptz, "expiresAt" timestamptz)
  ON CONFLICT (tenant_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO UPDATE SET
    upload_id = CASE WHEN b.sealed OR b.file_id IS NOT NULL OR b.fingerprint IS DISTINCT FROM excluded.fingerprint
      THEN b.upload_id ELSE excluded.upload_id END,
    touched_at = CASE WHEN b.sealed OR b.file_id IS NOT NULL THEN b.touched_at ELSE now() END
  RETURNING tenant_id, id, upload_id, status, sealed, line_count, line_hash, fingerprint, expires_at, xmax = 0 AS inserted
), told AS (
  INSERT INTO batch_events (tenant_id, batch_id, sequence, type, at)
  SELECT tenant_id, id, 1, 'batch.' || status, now() FROM opened WHERE inserted
), webhooks AS (
  INSERT INTO webhook_requests (tenant_id, subject_id, url, events, include_result)
  SELECT tenant_id, id, webhook->>'url', ARRAY(SELECT json_array_elements_text(webhook->'events')),
    (webhook->>'includeResult')::boolean
  FROM opened CROSS JOIN json_to_record($1) AS x(webhook json) WHERE inserted AND webhook IS NOT NULL
)
SELECT id, upload_id, sealed, line_count, encode(line_hash, 'hex') AS line_hash, encode(fingerprint, 'hex') AS fingerprint,
  expires_at, inserted FROM opened`;

const openedRow = z
  .object({
    id: z.string(),
    upload_id: z.string(),
    sealed: z.boolean(),
    line_count: z.number(),
    line_hash: z.string().nullable(),
    fingerprint: z.string(),
    expires_at: z.date(),
    inserted: z.boolean(),
  })
  .transform((row) => ({
    id: row.id,
    uploadId: row.upload_id,
    sealed: row.sealed,
    lineCount: row.line_count,
    lineHash: row.line_hash,
    fingerprint: row.fingerprint,
    expiresAt: row.expires_at,
    inserted: row.inserted,
  }));

/** A batch that was just made, or the one that its key made before, as it was found and taken over. */
export type OpenedBatch = z.output<typeof openedRow>;

const openedRows = z.array(openedRow);

/**
 * Records a batch without lines. If its idempotency key has one already, that one is taken over by this upload, unless
 * all its lines are there or its options differ.
 */
export async function openBatch(tx: Tx, batch: NewBatch): Promise<OpenedBatch> {
  await tx.query(
    `UPDATE batches SET idempotency_key = NULL WHERE tenant_id = $1 AND idempotency_key = $2
     AND created_at < now() - interval '24 hours'`,
    [batch.tenantId, batch.idempotencyKey],
  );
  const { rows } = await tx.query({
    name: 'open_batch',
    text: openBatchSql,
    values: [JSON.stringify(batch)],
  });
  const [opened] = openedRows.parse(rows);
  if (opened === undefined) throw new Error('a batch was neither made nor found');
  return opened;
}

/** Which upload writes to which batch. */
export interface Upload {
  readonly tenantId: string;
  readonly id: string;
  readonly uploadId: string;
}

/** A line in its place: in a job, or in a part of bad lines. */
export interface PlacedLine {
  readonly index: number;
  readonly partId: string;
  readonly itemIndex: number;
  readonly customId: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
  readonly error: Omit<LineFault, 'line'> | null;
}

/** Some lines on end, with the jobs that they were cut into. */
export interface LineChunk {
  readonly jobs: readonly NewJob[];
  readonly lines: readonly PlacedLine[];
  /** The part that the bad ones among them make; null if there are none. */
  readonly badPartId: string | null;
  readonly faults: readonly LineFault[];
  /** How many lines there were before, and the sha-256 (hex) of all lines up to the end of this chunk. */
  readonly lineCountBefore: number;
  readonly lineHash: string;
}

const advanceSql = `
WITH advanced AS (
  UPDATE batches SET line_count = line_count + $5::integer, line_hash = decode($6, 'hex'), touched_at = now(),
    invalid_count = invalid_count + $7::integer, failed_count = failed_count + $7::integer,
    part_count = part_count + CASE WHEN $7 > 0 THEN 1 ELSE 0 END,
    faults = CASE WHEN $8::jsonb = '[]' THEN faults ELSE faults || $8::jsonb END
  WHERE tenant_id = $1 AND id = $2 AND upload_id = $3 AND NOT sealed AND line_count = $4
  RETURNING id, part_count
)
SELECT part_count, CASE WHEN $7 > 0 THEN pg_notify('${progressChannel}', ${packedBatch('id')})::text END FROM advanced`;

const insertLinesSql = `
WITH placed AS (
  INSERT INTO batch_lines (tenant_id, batch_id, index, part_id, item_index, custom_id, metadata, error)
  SELECT $1, $2, index, "partId", "itemIndex", "customId", metadata, error
  FROM json_to_recordset($3) AS x(index integer, "partId" uuid, "itemIndex" integer, "customId" text, metadata jsonb, error jsonb)
)
INSERT INTO batch_parts (tenant_id, batch_id, ordinal, part_id)
SELECT $1, $2, $4, $5::uuid WHERE $5::uuid IS NOT NULL`;

const advancedRows = z.array(z.object({ part_count: z.number() }));

/**
 * Records the next lines of a batch, with their jobs: all of them or none.
 * @returns false if the upload may not add lines: another took over, the batch was canceled, or these lines are there
 */
export function recordLines(pool: Pool, upload: Upload, chunk: LineChunk): Promise<boolean> {
  const { tenantId, id, uploadId } = upload;
  const bad = chunk.lines.filter(({ error }) => error !== null).length;
  return inTransaction(pool, async (tx) => {
    const { rows } = await tx.query({
      name: 'advance_batch',
      text: advanceSql,
      values: [
        tenantId,
        id,
        uploadId,
        chunk.lineCountBefore,
        chunk.lines.length,
        chunk.lineHash,
        bad,
        JSON.stringify(chunk.faults),
      ],
    });
    const [advanced] = advancedRows.parse(rows);
    if (advanced === undefined) return false;
    if (chunk.jobs.length > 0) await insertJobs(tx, chunk.jobs);
    await tx.query({
      name: 'insert_batch_lines',
      text: insertLinesSql,
      values: [tenantId, id, JSON.stringify(chunk.lines), advanced.part_count, chunk.badPartId],
    });
    return true;
  });
}

const uploadRows = z.array(
  z.object({ uploadId: z.string(), sealed: z.boolean(), lineCount: z.number(), status: z.string() }),
);

/** How the upload stands in the ledger; undefined if the batch is gone. */
export async function getUpload(
  tx: Tx,
  { tenantId, id }: Pick<Upload, 'tenantId' | 'id'>,
): Promise<{ uploadId: string; sealed: boolean; lineCount: number; status: string } | undefined> {
  const { rows } = await tx.query(
    `SELECT upload_id AS "uploadId", sealed, line_count AS "lineCount", status FROM batches
     WHERE tenant_id = $1 AND id = $2`,
    [tenantId, id],
  );
  return uploadRows.parse(rows)[0];
}

const sealSql = `
WITH found AS MATERIALIZED (
  SELECT tenant_id, id, status FROM batches WHERE tenant_id = $1 AND id = $2 AND upload_id = $3 AND NOT sealed FOR UPDATE
), moved AS (
  UPDATE batches b SET sealed = true, touched_at = now(), status = 'in_progress', error = $4,
    in_progress_at = coalesce(b.in_progress_at, now()), sweep = CASE WHEN b.on_invalid = 'reject' THEN 'release' END,
    event_sequence = b.event_sequence + CASE WHEN f.status = 'validating' THEN 1 ELSE 0 END
  FROM found f WHERE b.tenant_id = f.tenant_id AND b.id = f.id
  RETURNING b.tenant_id, b.id, b.event_sequence, f.status AS before
), told AS (
  INSERT INTO batch_events (tenant_id, batch_id, sequence, type, at)
  SELECT tenant_id, id, event_sequence, 'batch.in_progress', now() FROM moved WHERE before = 'validating'
)
SELECT pg_notify('${progressChannel}', ${packedBatch('id')}) FROM moved`;

/**
 * Says that the last line is there; with `reject` the jobs are released from now on.
 * @param error why lines are missing, if they are
 * @returns false if the upload may not say so
 */
export async function sealBatch(
  tx: Tx,
  { tenantId, id, uploadId }: Upload,
  error: { readonly code: string; readonly detail: string } | null,
): Promise<boolean> {
  const values = [tenantId, id, uploadId, error === null ? null : JSON.stringify(error)];
  const { rowCount } = await tx.query({ name: 'seal_batch', text: sealSql, values });
  return rowCount === 1;
}

/** Forgets a batch that was not accepted, with the jobs that were laid out for it. The key is free again at once. */
export async function dropBatch(tx: Tx, { tenantId, id, uploadId }: Upload): Promise<void> {
  await tx.query({
    name: 'drop_batch',
    text: `UPDATE batches SET sealed = true, status = 'ended', end_reason = 'invalid', ended_at = now(), sweep = 'drop',
        erase_requested_at = now(), idempotency_key = NULL
      WHERE tenant_id = $1 AND id = $2 AND upload_id = $3 AND NOT sealed`,
    values: [tenantId, id, uploadId],
  });
}

const endUnreadSql = `
WITH ended AS (
  UPDATE batches SET sealed = true, status = 'ended', end_reason = $4, ended_at = now(), sweep = 'drop', error = $5,
    faults = $6, invalid_count = $7::integer, failed_count = $7::integer,
    canceled_count = $8::integer - $7::integer - line_count, line_count = $8::integer,
    event_sequence = event_sequence + 1
  WHERE tenant_id = $1 AND id = $2 AND upload_id = $3 AND NOT sealed
  RETURNING tenant_id, id, event_sequence, end_reason, line_count, failed_count, canceled_count
), told AS (
  INSERT INTO batch_events (tenant_id, batch_id, sequence, type, data, at)
  SELECT tenant_id, id, event_sequence, 'batch.ended', jsonb_build_object('end_reason', end_reason, 'counts',
    jsonb_build_object('total', line_count, 'succeeded', 0, 'failed', failed_count, 'canceled', canceled_count, 'expired', 0)),
    now() FROM ended
)
SELECT pg_notify('${jobsChannel}', ${packedBatch('id')}) FROM ended`;

/** Ends a batch of which nothing may run, and tells why; what was laid out of it is canceled. */
export async function endUnread(
  tx: Tx,
  { tenantId, id, uploadId }: Upload,
  end: {
    readonly reason: 'invalid' | 'error';
    readonly error: { readonly code: string; readonly detail: string };
    readonly faults: readonly LineFault[];
    readonly linesBad: number;
    readonly linesRead: number;
  },
): Promise<void> {
  const { reason, error, faults, linesBad, linesRead } = end;
  const values = [
    tenantId,
    id,
    uploadId,
    reason,
    JSON.stringify(error),
    JSON.stringify(faults),
    linesBad,
    linesRead,
  ];
  await tx.query({ name: 'end_unread', text: endUnreadSql, values });
}

const fileBatchRow = z.object({
  tenantId: z.string(),
  id: z.string(),
  uploadId: z.string(),
  kind: z.string(),
  modelVersion: z.string(),
  modelDigest: z.string(),
  class: z.number(),
  onInvalid: z.enum(invalidLinePolicies),
  userId: z.string().nullable(),
  options: z.record(z.string(), z.unknown()),
  storeInput: z.boolean(),
  fileId: z.string(),
  dialect: z.enum(dialects),
  lineCount: z.number(),
  lineHash: z.string().nullable(),
  deadlineAt: z.date().nullable(),
  expiresAt: z.date(),
});

/** A batch whose file is to be read, or read on, by whoever has its upload id. */
export type FileBatch = z.output<typeof fileBatchRow>;

const fileBatchRows = z.array(fileBatchRow);

/** Batches of a file that nobody has read from for so many milliseconds, the longest waiting first. */
export const batchesToRead = (idleMs: string): string =>
  `FROM batches WHERE NOT sealed AND file_id IS NOT NULL
    AND touched_at < now() - make_interval(secs => ${idleMs}::float8 / 1000) ORDER BY touched_at, id`;

/** Takes over a batch of a file that nobody has read from for `idleMs`. */
export async function claimFileBatch(
  tx: Tx,
  uploadId: string,
  idleMs: number,
): Promise<FileBatch | undefined> {
  const { rows } = await tx.query({
    name: 'claim_file_batch',
    text: `UPDATE batches b SET upload_id = $1, touched_at = now() FROM (
        SELECT tenant_id, id ${batchesToRead('$2')} LIMIT 1 FOR UPDATE SKIP LOCKED) c
      WHERE b.tenant_id = c.tenant_id AND b.id = c.id
      RETURNING b.tenant_id AS "tenantId", b.id, upload_id AS "uploadId", kind, model_version AS "modelVersion",
        model_digest AS "modelDigest", class, on_invalid AS "onInvalid", user_id AS "userId", options,
        store_input AS "storeInput", file_id AS "fileId", dialect, line_count AS "lineCount",
        encode(line_hash, 'hex') AS "lineHash", deadline_at AS "deadlineAt", expires_at AS "expiresAt"`,
    values: [uploadId, idleMs],
  });
  return fileBatchRows.parse(rows)[0];
}
