// Server-sent events read from an answer's body, and followed over cuts: after each one the stream is asked for
// again from the last event on, so that the caller sees every event once and in order.

import { SomaError } from './soma-error.ts';
import { backoff, pause, type Transport } from './transport.ts';

/** A move of a job or a batch. `data` depends on `type`. */
export interface StreamEvent {
  readonly type: string;
  /** Its number in the job or batch, from 1. */
  readonly sequence: number;
  readonly at: string;
  readonly data: unknown;
}

export interface FollowOptions {
  /** The sequence of the last event that the caller has already. */
  readonly after?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Cuts in a row, without an event between them, after which the caller is told. */
const cutsMax = 8;

/**
 * The events of `path`, from `after` on, until one for which `isLast` holds.
 * @throws SomaError when the server refuses, or cannot be reached for long; the reason of `signal` if that aborts.
 */
export async function* followEvents(
  transport: Transport,
  path: string,
  isLast: (event: StreamEvent) => boolean,
  { after = 0, signal }: FollowOptions,
): AsyncGenerator<StreamEvent, void, undefined> {
  let place = after;
  for (let cuts = 0; cuts <= cutsMax; cuts++) {
    if (cuts > 0) await pause(backoff(cuts - 1, Math.random()), signal);
    const headers = { accept: 'text/event-stream', ...(place > 0 ? { 'last-event-id': String(place) } : {}) };
    const response = await transport.send({
      method: 'GET',
      path,
      headers,
      repeatable: true,
      streamed: true,
      signal,
    });
    // 204: it has ended, and nothing is new.
    if (response.status === 204 || response.body === null) return;
    try {
      for await (const event of readEvents(response.body)) {
        if (event.sequence <= place) continue;
        place = event.sequence;
        cuts = 0;
        yield event;
        if (isLast(event)) return;
      }
    } catch (error) {
      // Whatever breaks a body is a cut.
      if (error instanceof SomaError || signal?.aborted === true) throw signal?.reason ?? error;
    }
  }
  const message = `the stream of ${path} was cut ${cutsMax} times without an event`;
  throw new SomaError('connection_failed', message, { retryable: true });
}

/** The events in the bytes of a stream (WHATWG HTML, section 9.2.6). */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<StreamEvent, void, undefined> {
  let data: string[] = [];
  for await (const line of readLines(body, 'dropped')) {
    if (line === '') {
      const event = data.length === 0 ? undefined : toEvent(data.join('\n'));
      data = [];
      if (event !== undefined) yield event;
    } else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
  }
}

/** The lines of bytes that come in pieces, without their ends. @param unfinished whether the last one counts without its end */
export async function* readLines(
  bytes: AsyncIterable<Uint8Array>,
  unfinished: 'kept' | 'dropped',
): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of bytes) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  rest += decoder.decode();
  if (unfinished === 'kept' && rest !== '') yield rest;
}

function toEvent(text: string): StreamEvent {
  const value: unknown = JSON.parse(text);
  if (!isEvent(value)) throw new SomaError('unexpected_answer', 'the stream has something that is no event');
  return value;
}

function isEvent(value: unknown): value is StreamEvent {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    'sequence' in value &&
    typeof value.sequence === 'number' &&
    'at' in value &&
    'data' in value
  );
}
