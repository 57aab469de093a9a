// Batches: up to 100,000 lines up and their results down, both as streams, and both gone on with where they broke off.

import type { Call, CallInput, CallOptions } from './call.ts';
import type { Batch, BatchRequest, BatchResult } from './contract.ts';
import { followEvents, type FollowOptions, readLines, type StreamEvent } from './event-stream.ts';
import { pollUntil, type WaitOptions } from './poll-until.ts';
import { SomaError } from './soma-error.ts';
import { backoff, pause, type Transport } from './transport.ts';

/** One text of a batch, under a label that no other line of it has. */
export type BatchLine = NonNullable<BatchRequest['items']>[number];

/** Lines, each as an object or as the JSON text that it is sent as; a source that is no array is begun anew by a call. */
export type BatchLines = readonly (BatchLine | string)[] | (() => AsyncIterable<BatchLine | string>);

type LinesQuery = NonNullable<CallInput<'POST /v1/batches'>['query']>;
/** What is said of all lines. */
export type BatchOptions = Omit<LinesQuery, 'kind' | 'options' | 'metadata' | 'webhook' | 'store_input'> &
  Pick<BatchRequest, 'kind' | 'options' | 'metadata' | 'webhook' | 'store_input'>;

export interface SubmitBatchOptions extends CallOptions {
  /** Makes it safe to send the lines again for 24 hours: none runs twice. Made by chance if left out. */
  readonly idempotencyKey?: string;
  /** Told the id as soon as the server says it: with `on_invalid: skip`, while the upload still runs. */
  readonly onAccepted?: (batchId: string) => void;
}

export interface ResultsOptions extends CallOptions {
  /** `index` of the last result that the caller has, in the same order. */
  readonly after?: number | undefined;
  /** As they are ready, which is the default, or in the order of the lines. */
  readonly order?: 'completion' | 'input' | undefined;
}

export interface BatchClient {
  /**
   * Sends lines as they come. After a cut they are sent again from the first, and the server passes over those that it
   * has.
   */
  readonly submit: (lines: BatchLines, options: BatchOptions, how?: SubmitBatchOptions) => Promise<Batch>;
  /** Every result once, over cuts and restarts of the server, while the batch still runs and until it has ended. */
  readonly results: (
    batchId: string,
    options?: ResultsOptions,
  ) => AsyncGenerator<BatchResult, void, undefined>;
  /** The batch once it has ended, however: look at `end_reason` and `counts`. */
  readonly wait: (batchId: string, options?: WaitOptions) => Promise<Batch>;
  /** The progress of a batch. */
  readonly stream: (batchId: string, options?: FollowOptions) => AsyncGenerator<StreamEvent, void, undefined>;
  readonly cancel: (batchId: string, options?: CallOptions) => Promise<Batch>;
}

/** How long an upload may take, in milliseconds, before the server has read all of it. */
const uploadMsMax = 600_000;
/** Cuts in a row, without a result between them, after which the caller is told. */
const cutsMax = 8;
const uploadsMax = 5;
/** Bytes that go out together. */
const pieceBytes = 65_536;

export function createBatchClient(transport: Transport, call: Call): BatchClient {
  const look = (id: string, options: CallOptions) => call('GET /v1/batches/{id}', { path: { id } }, options);

  const submit: BatchClient['submit'] = async (lines, options, how = {}) => {
    const key = how.idempotencyKey ?? crypto.randomUUID();
    for (let attempt = 0; ; attempt++) {
      try {
        return await upload(transport, lines, options, { ...how, idempotencyKey: key });
      } catch (error) {
        // The head of the answer may come long before its body; only here is a cut between the two seen.
        const cut = error instanceof SomaError && error.code === 'unexpected_answer' && error.retryable;
        if (!cut || attempt + 1 >= uploadsMax) throw error;
        await pause(backoff(attempt, Math.random()), how.signal);
      }
    }
  };

  async function* results(id: string, { after, order, signal }: ResultsOptions = {}) {
    let place = after;
    for (let cuts = 0; cuts <= cutsMax; cuts++) {
      if (cuts > 0) await pause(backoff(cuts - 1, Math.random()), signal);
      // Looked at before the stream is read: what ended before it began is in it to the last line.
      const endedBefore = (await look(id, { signal })).status === 'ended';
      let came = 0;
      let whole = true;
      try {
        for await (const result of readResults(transport, id, { after: place, order, signal })) {
          place = result.index;
          came += 1;
          yield result;
        }
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        if (error instanceof SomaError && !error.retryable) throw error;
        whole = false;
      }
      if (came > 0) cuts = -1;
      else if (whole && endedBefore) return;
    }
    throw new SomaError('connection_failed', `the results of ${id} were cut ${cutsMax} times`, {
      retryable: true,
    });
  }

  return {
    submit,
    results,
    wait: (id, options = {}) =>
      pollUntil(
        (wait, signal) => call('GET /v1/batches/{id}', { path: { id }, query: { wait } }, { signal }),
        ({ status }) => status === 'ended',
        options,
      ),
    stream: (id, follow = {}) =>
      followEvents(
        transport,
        `/v1/batches/${encodeURIComponent(id)}/events`,
        ({ type }) => type === 'batch.ended',
        follow,
      ),
    cancel: (id, { signal } = {}) => call('POST /v1/batches/{id}/cancel', { path: { id } }, { signal }),
  };
}

async function upload(
  transport: Transport,
  lines: BatchLines,
  options: BatchOptions,
  { idempotencyKey = '', signal, onAccepted }: SubmitBatchOptions,
): Promise<Batch> {
  const response = await transport.send({
    method: 'POST',
    path: `/v1/batches?${toQuery(options)}`,
    headers: { 'content-type': 'application/x-ndjson', 'idempotency-key': idempotencyKey },
    body: () => toStream(typeof lines === 'function' ? lines() : lines),
    repeatable: true,
    extraMs: uploadMsMax,
    streamed: true,
    signal,
  });
  const id = response.headers.get('batch-id');
  if (id !== null) onAccepted?.(id);
  try {
    const batch: unknown = JSON.parse(await response.text());
    if (isBatch(batch)) {
      if (id === null) onAccepted?.(batch.id);
      return batch;
    }
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason;
    throw new SomaError('unexpected_answer', 'the upload broke off', { retryable: true, cause });
  }
  throw new SomaError('unexpected_answer', 'the answer to an upload is no batch');
}

function toQuery(options: BatchOptions): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined)
      query.set(name, typeof value === 'object' ? JSON.stringify(value) : String(value));
  }
  return query.toString();
}

/** Lines as bytes, pulled as fast as they leave. */
function toStream(
  lines: Iterable<BatchLine | string> | AsyncIterable<BatchLine | string>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  async function* pieces() {
    let piece = '';
    for await (const line of lines) {
      piece += `${typeof line === 'string' ? line : JSON.stringify(line)}\n`;
      if (piece.length < pieceBytes) continue;
      yield encoder.encode(piece);
      piece = '';
    }
    if (piece !== '') yield encoder.encode(piece);
  }
  return ReadableStream.from<Uint8Array>(pieces());
}

async function* readResults(
  transport: Transport,
  id: string,
  { after, order, signal }: ResultsOptions,
): AsyncGenerator<BatchResult, void, undefined> {
  const query = new URLSearchParams({
    ...(order === undefined ? {} : { order }),
    ...(after === undefined ? {} : { after: String(after) }),
  });
  const response = await transport.send({
    method: 'GET',
    path: `/v1/batches/${encodeURIComponent(id)}/results?${query.toString()}`,
    headers: { accept: 'application/x-ndjson' },
    repeatable: true,
    streamed: true,
    signal,
  });
  if (response.body === null) return;
  // What stands behind the last line end was cut off.
  for await (const line of readLines(response.body, 'dropped')) {
    if (line === '') continue;
    const result: unknown = JSON.parse(line);
    if (!isResult(result)) throw new SomaError('unexpected_answer', `${id} has a result that is none`);
    yield result;
  }
}

function isBatch(value: unknown): value is Batch {
  return typeof value === 'object' && value !== null && 'object' in value && value.object === 'batch';
}

function isResult(value: unknown): value is BatchResult {
  return typeof value === 'object' && value !== null && 'index' in value && 'status' in value;
}
