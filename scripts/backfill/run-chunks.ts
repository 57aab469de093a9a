// The heart of a backfill: chunks go to the API a few at a time, and their results come into the output in order, each
// chunk once. Nothing here knows what the rows are read from or written to.

import type { BatchLine, BatchOptions } from '../../shared/client/batch.ts';
import type { SomaClient } from '../../shared/client/client.ts';
import type { BatchResult } from '../../shared/client/contract.ts';
import { SomaError } from '../../shared/client/soma-error.ts';
import { backoff, pause } from '../../shared/client/transport.ts';
import type { Ledger } from './ledger.ts';
import type { Chunk, Row } from './row.ts';
import type { Result, Sink } from './sink.ts';

export interface ChunkRun {
  readonly client: SomaClient;
  readonly ledger: Ledger;
  readonly sink: Sink;
  readonly options: BatchOptions;
  /** Chunks that are submitted and not yet in the output. */
  readonly inFlightMax: number;
  /** Rows per second that are submitted at most. */
  readonly maxRate: number | undefined;
  readonly signal: AbortSignal;
  /** Told of each chunk that is in the output, also of those that an earlier run has put there. */
  readonly onDone: (chunk: Chunk, failed: number, earlier: boolean) => void;
  /** Told why it waits, when the server asks for that. */
  readonly onWait: (reason: string) => void;
}

/** @throws Error if the input is not the one that was begun with; what the server refuses; the reason of `signal`. */
export async function runChunks(chunks: AsyncIterable<Chunk>, run: ChunkRun): Promise<void> {
  const inFlight: { readonly chunk: Chunk; readonly results: Promise<readonly Result[]> }[] = [];
  const finishFirst = async (): Promise<void> => {
    const first = inFlight[0];
    if (first === undefined) return;
    await finish(run, first.chunk, await first.results);
    inFlight.shift();
  };
  const pace = createPacer(run.maxRate);
  try {
    for await (const chunk of chunks) {
      run.signal.throwIfAborted();
      if (skipDone(run, chunk)) continue;
      while (inFlight.length >= run.inFlightMax) await finishFirst();
      await pace(chunk.rows.length, run.signal);
      const results = runChunk(run, chunk);
      // It is looked at when its turn comes; until then a failure must not count as unhandled.
      results.catch(() => undefined);
      inFlight.push({ chunk, results });
    }
    while (inFlight.length > 0) await finishFirst();
  } finally {
    await Promise.allSettled(inFlight.map(({ results }) => results));
  }
}

/** True if the chunk is in the output already. @throws Error if its rows are others than then */
function skipDone({ ledger, onDone }: ChunkRun, chunk: Chunk): boolean {
  const done = ledger.done[chunk.index];
  if (done === undefined) return false;
  if (done.digest !== chunk.digest) {
    const last = chunk.rows.at(-1)?.row ?? 0;
    throw new Error(`the input has changed: up to row ${last} it is not what the earlier run has read`);
  }
  onDone(chunk, done.failed, true);
  return true;
}

async function finish({ sink, ledger, onDone }: ChunkRun, chunk: Chunk, results: readonly Result[]) {
  const failed = results.filter(({ status }) => status !== 'succeeded').length;
  const outputBytes = await sink.add(results);
  await ledger.noteDone({
    done: chunk.index,
    rows: chunk.rows.length,
    failed,
    digest: chunk.digest,
    output_bytes: outputBytes,
  });
  onDone(chunk, failed, false);
}

/** The results of all rows of a chunk, in their order. */
async function runChunk(run: ChunkRun, chunk: Chunk): Promise<readonly Result[]> {
  const sent = chunk.rows.filter((row) => row.text !== undefined);
  const found = sent.length === 0 ? [] : await patiently(run, () => askFor(run, chunk, sent));
  const bySent = new Map(sent.map((row, index) => [row, found[index]]));
  return chunk.rows.map((row) => toResult(row, bySent.get(row)));
}

async function askFor(
  { client, ledger, options, signal }: ChunkRun,
  chunk: Chunk,
  sent: readonly Row[],
): Promise<readonly BatchResult[]> {
  const known = ledger.batchOf(chunk.index);
  const id = known ?? (await submit());
  try {
    return await collect(id);
  } catch (error) {
    // An earlier run's batch that was erased, or whose time is over: its rows run again.
    const gone = error instanceof SomaError && (error.status === 404 || error.status === 410);
    if (known === undefined || !gone) throw error;
    return collect(await submit('/again'));
  }

  async function submit(suffix = ''): Promise<string> {
    const batch = await client.batch.submit(sent.map(toLine), options, {
      // The same chunk under the same key is the same batch: a kill between here and the note doubles nothing.
      idempotencyKey: `backfill/${ledger.runId}/${chunk.index}${suffix}`,
      signal,
    });
    await ledger.noteBatch(chunk.index, batch.id);
    return batch.id;
  }

  async function collect(batchId: string): Promise<readonly BatchResult[]> {
    const results: BatchResult[] = [];
    for await (const result of client.batch.results(batchId, { order: 'input', signal }))
      results.push(result);
    if (results.length !== sent.length || results.some(({ index }, place) => index !== place))
      throw new Error(`${batchId} has ${results.length} results for ${sent.length} rows`);
    return results;
  }
}

/** For as long as the server is away or busy: a backfill is in no hurry. */
async function patiently<T>({ signal, onWait }: ChunkRun, work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof SomaError) || !error.retryable) throw error;
      onWait(`${error.message} (${error.code})`);
      await pause(Math.max(error.retryAfterMs ?? 0, backoff(attempt, Math.random())), signal);
    }
  }
}

function toLine({ row, text, userId }: Row): BatchLine {
  return { custom_id: String(row), text: text ?? '', ...(userId === undefined ? {} : { user_id: userId }) };
}

function toResult({ row, id, fault }: Row, found: BatchResult | undefined): Result {
  if (found === undefined)
    return { row, id, status: 'failed', error: { code: 'invalid_row', detail: `The row ${fault ?? ''}` } };
  const { status, output, error, job_id: jobId } = found;
  return {
    row,
    id,
    status,
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error: { code: error.code, detail: error.detail } }),
    ...(jobId === null ? {} : { job_id: jobId }),
  };
}

/** Resolves when so many more rows may go out. */
function createPacer(maxRate: number | undefined) {
  let freeAt = performance.now();
  return async (rows: number, signal: AbortSignal): Promise<void> => {
    if (maxRate === undefined) return;
    await pause(Math.max(0, freeAt - performance.now()), signal);
    freeAt = Math.max(freeAt, performance.now()) + (rows / maxRate) * 1000;
  };
}
