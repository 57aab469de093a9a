// One attempt: a POST to a public address, without redirects or proxies, with a limit on its time and on what is read
// of the answer. Whatever happens has a name; nothing throws.

import {
  Agent as HttpAgent,
  type ClientRequest,
  type IncomingMessage,
  request as httpRequest,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction, Socket } from 'node:net';
import { judgeUrl, type TargetPolicy } from '../shared/public-address.ts';
import { type AttemptOutcome, webhookLimits } from '../shared/webhook.ts';

export interface AttemptLimits {
  /** Until the whole answer is there. */
  readonly timeoutMs: number;
  /** Until the connection stands, TLS and name included. */
  readonly connectMs: number;
}

/** What an attempt came to. */
export interface Answer {
  readonly outcome: AttemptOutcome;
  readonly statusCode: number | null;
  readonly latencyMs: number;
  readonly detail: string | null;
  /** The beginning of the answer, if it is text. */
  readonly excerpt: string | null;
  readonly retryAfter: string | undefined;
}

/** Connections to one target, kept for its next message. They are never shared with another target. */
export interface TargetConnections {
  readonly http: HttpAgent;
  readonly https: HttpsAgent;
  readonly close: () => void;
}

/** @param lookup judges the addresses of names; every new connection goes through it */
export function createConnections(lookup: LookupFunction, concurrency: number): TargetConnections {
  const options = { keepAlive: true, maxSockets: concurrency, timeout: 20_000, lookup };
  const http = new HttpAgent(options);
  const https = new HttpsAgent(options);
  return {
    http,
    https,
    close: () => {
      http.destroy();
      https.destroy();
    },
  };
}

export interface Attempt {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly policy: TargetPolicy;
  readonly connections: TargetConnections;
  readonly limits: AttemptLimits;
}

export async function sendAttempt(attempt: Attempt): Promise<Answer> {
  const started = performance.now();
  const refusal = judgeUrl(attempt.url, attempt.policy);
  const ending =
    refusal === undefined
      ? await post(attempt)
      : ({ outcome: 'address_refused', detail: refusal.detail } satisfies Ending);
  return {
    statusCode: null,
    detail: null,
    excerpt: null,
    retryAfter: undefined,
    ...ending,
    latencyMs: Math.round(performance.now() - started),
  };
}

type Ending = { readonly outcome: AttemptOutcome } & Partial<Omit<Answer, 'outcome' | 'latencyMs'>>;

/** A kept connection that the receiver has closed meanwhile says nothing about the receiver: once more on a new one. */
async function post(attempt: Attempt): Promise<Ending> {
  const first = await postOnce(attempt);
  return first.stale ? (await postOnce(attempt)).ending : first.ending;
}

/** Sockets that stood once: `reusedSocket` is not set on a request that waited for its socket. */
const known = new WeakSet<Socket>();

function postOnce(attempt: Attempt): Promise<{ ending: Ending; stale: boolean }> {
  const { limits } = attempt;
  return new Promise((resolve) => {
    const request = open(attempt);
    let connecting: NodeJS.Timeout | undefined;
    let reused = false;
    let response: IncomingMessage | undefined;
    const finish = (ending: Ending, stale = false): void => {
      clearTimeout(connecting);
      clearTimeout(whole);
      resolve({ ending, stale });
      // An answer that was read to its end leaves the connection to the next message.
      if (!request.writableFinished || response?.complete !== true) request.destroy();
    };
    const whole = setTimeout(
      () => finish({ outcome: 'timed_out', detail: `No whole answer within ${limits.timeoutMs / 1000} s` }),
      limits.timeoutMs,
    );
    request.on('socket', (socket) => {
      reused = known.has(socket);
      if (reused) return;
      known.add(socket);
      const detail = `No connection within ${limits.connectMs / 1000} s`;
      connecting = setTimeout(() => finish({ outcome: 'connect_timed_out', detail }), limits.connectMs);
      socket.once(request.protocol === 'https:' ? 'secureConnect' : 'connect', () =>
        clearTimeout(connecting),
      );
    });
    request.on('error', (error) => {
      finish({ outcome: nameError(error), detail: errorCode(error) }, reused && response === undefined);
    });
    request.on('response', (answer) => {
      response = answer;
      void readAnswer(answer).then(finish);
    });
    request.end(attempt.body);
  });
}

function open({ url, headers, body, connections }: Attempt): ClientRequest {
  const options = {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'content-length': String(body.length),
      'user-agent': 'Soma-Webhooks/1',
      accept: '*/*',
      ...headers,
    },
  };
  return url.startsWith('https:')
    ? httpsRequest(url, { ...options, agent: connections.https })
    : httpRequest(url, { ...options, agent: connections.http });
}

/** Reads the answer to its end, or as far as one reads. */
function readAnswer(response: IncomingMessage): Promise<Ending> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const ending = (): Ending => ({
    outcome: nameStatus(response.statusCode ?? 0),
    statusCode: response.statusCode ?? null,
    detail: describeStatus(response),
    excerpt: toExcerpt(response.headers['content-type'], Buffer.concat(chunks)),
    retryAfter: response.headers['retry-after'],
  });
  return new Promise((resolve) => {
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= webhookLimits.answerBytesMax) resolve(ending());
    });
    response.on('end', () => resolve(ending()));
    response.on('error', (error) => {
      resolve({ ...ending(), outcome: nameError(error), detail: errorCode(error) });
    });
  });
}

function nameStatus(status: number): AttemptOutcome {
  if (status >= 200 && status < 300) return 'succeeded';
  if (status >= 300 && status < 400) return 'redirect';
  if (status === 410) return 'gone';
  return status === 429 ? 'rate_limited' : 'http_error';
}

function describeStatus({ statusCode = 0, headers }: IncomingMessage): string | null {
  if (nameStatus(statusCode) !== 'redirect') return null;
  return `To ${(headers.location ?? 'nowhere').slice(0, 200)}`;
}

const textTypes =
  /^(text\/|application\/(json|xml|problem\+json|x-www-form-urlencoded)|[\w.+-]+\/[\w.+-]+\+(json|xml))/i;

/** Postgres stores no NUL. */
function toExcerpt(type: string | undefined, body: Buffer): string | null {
  if (type === undefined || !textTypes.test(type) || body.length === 0) return null;
  const text = new TextDecoder().decode(body.subarray(0, webhookLimits.excerptBytesMax));
  return text.replaceAll('\0', '\u{fffd}');
}

const namesOfCodes: Readonly<Record<string, AttemptOutcome>> = {
  ERR_ADDRESS_REFUSED: 'address_refused',
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  ECONNABORTED: 'connection_reset',
  EPIPE: 'connection_reset',
  ETIMEDOUT: 'connect_timed_out',
  ENOTFOUND: 'dns_failed',
  EAI_AGAIN: 'dns_failed',
  EPROTO: 'tls_failed',
};

function nameError(error: Error): AttemptOutcome {
  const code = errorCode(error);
  const known = namesOfCodes[code];
  if (known !== undefined) return known;
  if (code.startsWith('HPE_')) return 'invalid_answer';
  if (/^(ERR_(SSL|TLS)|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|HOSTNAME_|INVALID_CA|ERROR_IN_CERT)/.test(code))
    return 'tls_failed';
  return 'unreachable';
}

/** Never the message: OpenSSL's repeats what came over the wire. */
function errorCode(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
