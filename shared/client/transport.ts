// One HTTP call: sent, given a limit, and repeated where that is safe, as long and as slowly as the server asks. The
// one place of the client that knows of the network.

import { SomaError, toSomaError } from './soma-error.ts';

/** Where and how the client calls. */
export interface TransportOptions {
  /** Address of the API, e.g. http://127.0.0.1:3000 */
  readonly url: string;
  /** `soma_live_...`; left out where the server asks for none. */
  readonly apiKey?: string | undefined;
  /** Longest wait for an answer to one try, in milliseconds. */
  readonly timeoutMs?: number;
  /** Tries after the first, for calls that are safe to repeat. */
  readonly retries?: number;
}

export interface HttpCall {
  readonly method: string;
  /** From the root, with its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A text, or a function that begins the body anew for each try. */
  readonly body?: string | (() => ReadableStream<Uint8Array>);
  /** Whether a second arrival of the same call changes nothing. */
  readonly repeatable: boolean;
  /** Added to the limit for one try: how long the server was asked to wait. */
  readonly extraMs?: number;
  /** The limit covers the head of the answer alone; its body may come for hours. */
  readonly streamed?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Transport {
  /**
   * @returns an answer with a 2xx status.
   * @throws SomaError for any other, or if there was none; the reason of `signal` if that aborts.
   */
  readonly send: (call: HttpCall) => Promise<Response>;
}

const defaults = { timeoutMs: 30_000, retries: 4 } as const;
const backoffMs = { first: 250, max: 10_000 } as const;
/** A server that asks for longer gets its way: the caller is told, instead of being held for so long. */
const retryAfterMsMax = 60_000;

export function createTransport(options: TransportOptions): Transport {
  const base = options.url.replace(/\/+$/, '');
  const timeoutMs = options.timeoutMs ?? defaults.timeoutMs;
  const retries = options.retries ?? defaults.retries;
  const authorization = options.apiKey ? { authorization: `Bearer ${options.apiKey}` } : {};

  const sendOnce = async (call: HttpCall): Promise<Response> => {
    const limit = startLimit(timeoutMs + (call.extraMs ?? 0), call.signal);
    try {
      const response = await fetch(base + call.path, {
        method: call.method,
        headers: { accept: 'application/json, */*;q=0.5', ...authorization, ...call.headers },
        signal: limit.signal,
        redirect: 'error',
        ...(call.body === undefined ? {} : toBody(call.body)),
      });
      if (!response.ok) throw toSomaError(response, await response.text());
      if (call.streamed === true || response.status === 204) return response;
      // Read within the limit, so that a body that never ends is not waited for.
      return new Response(await response.text(), response);
    } catch (error) {
      throw explain(error, { base, limit, call });
    } finally {
      limit.clear();
    }
  };

  return {
    send: async (call) => {
      for (let attempt = 0; ; attempt++) {
        try {
          return await sendOnce(call);
        } catch (error) {
          if (!(error instanceof SomaError) || attempt >= retries || !mayRepeat(call, error)) throw error;
          await pause(Math.max(error.retryAfterMs ?? 0, backoff(attempt, Math.random())), call.signal);
        }
      }
    },
  };
}

/** Milliseconds before the try after `attempt` (0 is the first): doubled each time, between half and all of it. */
export function backoff(attempt: number, random: number): number {
  return Math.min(backoffMs.max, backoffMs.first * 2 ** attempt) * (0.5 + random / 2);
}

/** Resolves after `ms`. @throws the reason of `signal` */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', abort, { once: true });
  });
}

/** A refusal before anything was done (429, 503) may be tried again by anyone, an accident only if it is repeatable. */
function mayRepeat(call: HttpCall, error: SomaError): boolean {
  if (!error.retryable || (error.retryAfterMs ?? 0) > retryAfterMsMax) return false;
  // A retry of `job_not_finished` is the caller's to time.
  if (error.status === 409) return false;
  return call.repeatable || error.status === 429 || error.status === 503;
}

interface Limit {
  readonly signal: AbortSignal;
  readonly passed: () => boolean;
  readonly clear: () => void;
}

/** A signal for one try; cleared when the answer is there, so that a streamed body has no limit. */
function startLimit(ms: number, outer: AbortSignal | undefined): Limit {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error(`no answer within ${ms} ms`)), ms);
  return {
    signal: outer === undefined ? controller.signal : AbortSignal.any([outer, controller.signal]),
    passed: () => controller.signal.aborted,
    clear: () => clearTimeout(timer),
  };
}

function explain(
  error: unknown,
  { base, limit, call }: { readonly base: string; readonly limit: Limit; readonly call: HttpCall },
): unknown {
  if (error instanceof SomaError) return error;
  if (call.signal?.aborted === true) return call.signal.reason;
  if (limit.passed()) {
    const message = `${base} did not answer ${call.method} ${call.path} in time`;
    return new SomaError('timed_out', message, { retryable: true, cause: error });
  }
  const message = `${base} cannot be reached: ${describeCause(error)}`;
  return new SomaError('connection_failed', message, { retryable: true, cause: error });
}

/** `fetch` says "fetch failed" and hides why in its cause. */
function describeCause(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause instanceof AggregateError) return error.cause.errors.map(describeCause).join('; ');
  return error.cause === undefined ? error.message : describeCause(error.cause);
}

function toBody(body: NonNullable<HttpCall['body']>) {
  return typeof body === 'string' ? { body } : { body: body(), duplex: 'half' as const };
}
