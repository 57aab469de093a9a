// The typed client of Soma's API: every call of the OpenAPI document by name, and the few that people want in words
// of their own (submit, wait, stream, cancel). Needs nothing but Node, so that it can be taken anywhere.

import { type BatchClient, createBatchClient } from './batch.ts';
import { type Call, type CallOptions, createCall } from './call.ts';
import type { Job, JobRequest } from './contract.ts';
import { followEvents, type FollowOptions, type StreamEvent } from './event-stream.ts';
import { pollUntil, type WaitOptions } from './poll-until.ts';
import { createTransport, type TransportOptions } from './transport.ts';

export interface SubmitOptions extends CallOptions {
  /** The same key and request give the same job for 24 hours; made by chance if left out. */
  readonly idempotencyKey?: string;
  /** Seconds for which the answer may be held back until the job has ended, 60 at most. */
  readonly waitSeconds?: number;
}

/** Every method throws SomaError when the server refuses or cannot be reached, and the reason of an aborted signal. */
export interface SomaClient {
  /** Any call of the API. GET, DELETE and what carries an Idempotency-Key is repeated when that may help. */
  readonly call: Call;
  /** Records a job. It is safe against lost answers: repeated under one Idempotency-Key. */
  readonly submit: (request: JobRequest, options?: SubmitOptions) => Promise<Job>;
  /** The job once it has ended, however: look at its `status`. */
  readonly wait: (jobId: string, options?: WaitOptions) => Promise<Job>;
  /** Every event of a job in order, over cuts and restarts of the server, until its last. */
  readonly stream: (jobId: string, options?: FollowOptions) => AsyncGenerator<StreamEvent, void, undefined>;
  readonly cancel: (jobId: string, options?: CallOptions) => Promise<Job>;
  /** Up to 100,000 texts at a time, in and out as streams. */
  readonly batch: BatchClient;
}

const terminal: ReadonlySet<string> = new Set(['succeeded', 'failed', 'canceled', 'expired']);

/** True once nothing more will happen to the job. */
export function hasEnded(job: { readonly status: string }): boolean {
  return terminal.has(job.status);
}

export function createClient(options: TransportOptions): SomaClient {
  const transport = createTransport(options);

  const call = createCall(transport);

  const submit: SomaClient['submit'] = (request, { idempotencyKey, waitSeconds, signal } = {}) => {
    const prefer = waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` };
    const header = { 'Idempotency-Key': idempotencyKey ?? crypto.randomUUID(), ...prefer };
    return call('POST /v1/jobs', { header, body: request }, { signal });
  };

  const wait: SomaClient['wait'] = (id, options = {}) =>
    pollUntil(
      (seconds, signal) => call('GET /v1/jobs/{id}', { path: { id }, query: { wait: seconds } }, { signal }),
      hasEnded,
      options,
    );

  return {
    call,
    submit,
    wait,
    stream: (id, follow = {}) =>
      followEvents(
        transport,
        `/v1/jobs/${encodeURIComponent(id)}/events`,
        ({ type }) => terminal.has(type.replace('job.', '')),
        follow,
      ),
    batch: createBatchClient(transport, call),
    cancel: (id, { signal } = {}) => call('POST /v1/jobs/{id}/cancel', { path: { id } }, { signal }),
  };
}
