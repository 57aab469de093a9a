// From raw lines to recorded jobs: checks each line, knows the labels that were used, gathers chunks and commits them one
// behind the other. The API feeds it an upload, the dispatcher a file. Of a batch only the labels stay in memory.

import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { batchLimits, type InvalidLinePolicy, type LineFault } from '../shared/batch.ts';
import { type BadLine, cutLines, type GoodLine, type LineGroup, placeLine } from '../shared/cut-lines.ts';
import { uuidTime } from '../shared/job.ts';
import { metrics } from '../shared/metrics.ts';
import type { ParsedLine } from '../shared/parse-line.ts';
import { getUpload, type LineChunk, type PlacedLine, recordLines, type Upload } from './batch-intake.ts';
import { isUnavailable, type Pool } from './client.ts';
import type { NewJob } from './submissions.ts';

/** The batch that lines are recorded for. */
export interface RecordedBatch extends Upload {
  readonly kind: string;
  readonly modelVersion: string;
  readonly modelDigest: string;
  readonly class: number;
  readonly onInvalid: InvalidLinePolicy;
  readonly userId: string | null;
  readonly options: Readonly<Record<string, unknown>>;
  readonly storeInput: boolean;
  readonly deadlineAt: string | null;
  readonly expiresAt: string;
  /** What an upload before this one has recorded: those lines are checked by their hash and passed over. */
  readonly lineCount: number;
  readonly lineHash: string | null;
  /** All lines are there: none may come that is not among them. */
  readonly sealed: boolean;
}

/** What came of the lines so far. */
export interface Recorded {
  readonly linesRead: number;
  readonly linesBad: number;
  /** Lines in the ledger, those of uploads before included. */
  readonly linesRecorded: number;
  /** The first of the faults. */
  readonly faults: readonly LineFault[];
}

export interface LineRecorder {
  /** Takes the next line. `bytes` are what it is known by when it is sent again. Call `flushIfDue` now and then. */
  readonly add: (parsed: ParsedLine, bytes: Uint8Array | string) => void;
  /** Commits what has gathered if it is enough, or has waited long enough. @throws as `flush` */
  readonly flushIfDue: () => Promise<void>;
  /** @throws UploadError if the upload may not add lines; the database's error if it is away for too long */
  readonly flush: () => Promise<void>;
  readonly state: () => Recorded;
}

/** Why an upload cannot go on. */
export class UploadError extends Error {
  readonly reason: 'superseded' | 'canceled' | 'differs' | 'too_many_lines';
  constructor(reason: UploadError['reason']) {
    super(`the upload cannot go on: ${reason}`);
    this.name = 'UploadError';
    this.reason = reason;
  }
}

/** Lines of one commit, 16 jobs if they are of one person. */
const chunkLinesMax = 1024;
const chunkBytesMax = 4_194_304;

/** How long a line waits for others: with `skip` it could run, with `reject` the commit only shows that we live. */
const ageMsMax = { skip: 200, reject: 20_000 } as const;

/** How long a chunk waits for a ledger that is away. */
const patienceMs = 30_000;

export function createLineRecorder(options: {
  readonly pool: Pool;
  readonly batch: RecordedBatch;
  /** With `skip`: whether the tenant's allowance has room for so many lines more; those for which it has none fail. */
  readonly admit?: (lines: number) => Promise<boolean>;
}): LineRecorder {
  const { pool, batch } = options;
  const reject = batch.onInvalid === 'reject';
  const customIds = new Set<string>();
  const hash = createHash('sha256');
  const faults: LineFault[] = [];
  let linesRead = 0;
  let linesBad = 0;
  let recorded = batch.lineCount;
  let gathered: (GoodLine | BadLine)[] = [];
  let gatheredBytes = 0;
  let gatheredAtMs = 0;

  const flush = async (): Promise<void> => {
    if (gathered.length === 0) return;
    const admitted = (await hasRoom()) ? gathered : gathered.map(refuseForQuota);
    const chunk = toChunk(batch, admitted, {
      lineCountBefore: recorded,
      lineHash: hash.copy().digest('hex'),
    });
    await commit(pool, batch, chunk);
    const bad = admitted.filter((line) => 'faults' in line).length;
    metrics.batchLinesAccepted.inc({ kind: batch.kind, valid: 'yes' }, admitted.length - bad);
    metrics.batchLinesAccepted.inc({ kind: batch.kind, valid: 'no' }, bad);
    recorded += gathered.length;
    gathered = [];
    gatheredBytes = 0;
  };

  const hasRoom = async (): Promise<boolean> => {
    const good = gathered.filter((line) => !('faults' in line)).length;
    return options.admit === undefined || good === 0 || options.admit(good);
  };

  const refuseForQuota = (line: GoodLine | BadLine): BadLine => {
    if ('faults' in line) return line;
    const { index, customId } = line;
    const fault = { pointer: '', code: 'quota_exceeded', detail: "The tier's items are used up" };
    return tell({ index, customId, faults: [{ ...fault, line: index + 1 }] });
  };

  /** Of the first bad lines it is told what is wrong with them. */
  const tell = (bad: BadLine): BadLine => {
    linesBad += 1;
    const told = linesBad <= batchLimits.badLinesToldMax;
    if (told) faults.push(...bad.faults);
    return { ...bad, told };
  };

  /** Lines that were sent before must be the same. Of an erased person's batch nothing is left to compare. */
  const refuseOthers = (): void => {
    const whole = linesRead === batch.lineCount && batch.lineHash !== null;
    if (
      (whole && hash.copy().digest('hex') !== batch.lineHash) ||
      (batch.sealed && linesRead > batch.lineCount)
    )
      throw new UploadError('differs');
  };

  return {
    add: (parsed, bytes) => {
      if (linesRead >= batchLimits.linesMax) throw new UploadError('too_many_lines');
      const line = placeLine(refuseRepeat(parsed, customIds), linesRead, batch.userId);
      linesRead += 1;
      hash.update(bytes).update('\n');
      const placed = 'faults' in line ? tell(line) : line;
      refuseOthers();
      // Of a batch with a bad line nothing will run: the rest is only read to tell of all bad lines at once.
      if (linesRead <= batch.lineCount || (reject && linesBad > 0)) return;
      if (gathered.length === 0) gatheredAtMs = performance.now();
      gathered.push(placed);
      gatheredBytes += bytes.length;
    },
    flushIfDue: async () => {
      const enough = gathered.length >= chunkLinesMax || gatheredBytes >= chunkBytesMax;
      if (enough || performance.now() - gatheredAtMs >= ageMsMax[batch.onInvalid]) await flush();
    },
    flush,
    state: () => ({ linesRead, linesBad, linesRecorded: recorded, faults }),
  };
}

/** A label that another line of the batch has. */
function refuseRepeat(parsed: ParsedLine, customIds: Set<string>): ParsedLine {
  if (parsed.faults !== undefined) return parsed;
  const { custom_id: customId } = parsed.line;
  if (!customIds.has(customId)) {
    customIds.add(customId);
    return parsed;
  }
  const detail = 'Another line before has this custom_id';
  const fault = { line: parsed.number, pointer: '/custom_id', code: 'duplicate_custom_id', detail };
  return { number: parsed.number, customId, faults: [fault] };
}

function toChunk(
  batch: RecordedBatch,
  lines: readonly (GoodLine | BadLine)[],
  place: { readonly lineCountBefore: number; readonly lineHash: string },
): LineChunk {
  const good = lines.flatMap((line) => ('faults' in line ? [] : [line]));
  const bad = lines.flatMap((line) => ('faults' in line ? [line] : []));
  const parts = cutLines(good).map((group) => ({ group, job: toJob(batch, group) }));
  const badPartId = bad.length === 0 ? null : v7();
  const placed = [
    ...parts.flatMap(({ group, job }) =>
      group.lines.map(({ index, customId, metadata }, itemIndex): PlacedLine => {
        return { index, partId: job.id, itemIndex, customId, metadata, error: null };
      }),
    ),
    ...bad.map(({ index, customId, faults }, itemIndex): PlacedLine => {
      const { line: _, ...error } = faults[0] ?? {
        line: 0,
        pointer: '',
        code: 'invalid',
        detail: 'Is invalid',
      };
      return { index, partId: badPartId ?? '', itemIndex, customId, metadata: null, error };
    }),
  ];
  const jobs = parts.map(({ job }) => job);
  return {
    ...place,
    jobs,
    lines: placed,
    badPartId,
    faults: bad.flatMap(({ faults, told }) => (told ? faults : [])),
  };
}

function toJob(batch: RecordedBatch, { userId, lines }: LineGroup): NewJob {
  const id = v7();
  const texts = lines.map(({ text }) => text);
  return {
    tenantId: batch.tenantId,
    id,
    batchId: batch.id,
    kind: batch.kind,
    modelVersion: batch.modelVersion,
    modelDigest: batch.modelDigest,
    class: batch.class,
    status: batch.onInvalid === 'reject' ? 'scheduled' : 'queued',
    userId,
    customId: null,
    metadata: {},
    tags: [],
    options: batch.options,
    storeInput: batch.storeInput,
    texts,
    characterCount: texts.reduce((sum, text) => sum + text.length, 0),
    dispatchId: null,
    notBefore: null,
    deadlineAt: batch.deadlineAt,
    createdAt: uuidTime(id).toISOString(),
    expiresAt: batch.expiresAt,
    idempotency: null,
  };
}

/** Commits a chunk; a ledger that is away is waited for, and asked whether a commit whose answer was lost was made. */
async function commit(pool: Pool, upload: Upload, chunk: LineChunk): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  for (;;) {
    try {
      if (await recordLines(pool, upload, chunk)) return;
      const now = await getUpload(pool, upload);
      const own = now?.uploadId === upload.uploadId;
      if (own && now.lineCount === chunk.lineCountBefore + chunk.lines.length) return;
      throw new UploadError(own && now.status === 'canceling' ? 'canceled' : 'superseded');
    } catch (error) {
      const passing = isUnavailable(error) || isDeadlock(error);
      if (!passing || performance.now() > deadlineMs) throw error;
      await delay(250);
    }
  }
}

/** An erasure of a person holds their jobs and waits for the batch, while a chunk holds the batch and waits for the person. */
function isDeadlock(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '40P01';
}
