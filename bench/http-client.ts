// An HTTP client that costs next to nothing: requests are bytes made beforehand, answers are cut out of the stream
// by their Content-Length. Node's own client takes about as long per request as the API that it would measure.

import { connect, type Socket } from 'node:net';

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Of `Retry-After`; undefined without one. */
  readonly retryAfterSeconds: number | undefined;
}

export interface HttpClient {
  /**
   * Sends a request over a free keep-alive connection, or a new one, or waits for one at the limit.
   * @throws Error if the connection breaks, an answer does not come within `timeoutMs`, or it has no Content-Length.
   */
  readonly send: (request: Buffer) => Promise<Answer>;
  readonly close: () => void;
}

interface Connection {
  readonly socket: Socket;
  received: string;
  settle: ((answer: Answer | Error) => void) | undefined;
}

export function createHttpClient(
  url: string,
  limits: {
    readonly connectionsMax: number;
    readonly timeoutMs: number;
    /** Which free connection is taken: by default the one that was used last; in turn, all are kept busy. */
    readonly take?: 'last' | 'in turn';
  },
): HttpClient {
  const { hostname, port } = new URL(url);
  const open = new Set<Connection>();
  const free: Connection[] = [];
  const waiting: ((connection: Connection) => void)[] = [];

  const release = (connection: Connection): void => {
    const next = waiting.shift();
    if (next === undefined) free.push(connection);
    else next(connection);
  };
  const openConnection = (): Connection => {
    const socket = connect(Number(port), hostname).setNoDelay(true);
    const connection: Connection = { socket, received: '', settle: undefined };
    const settle = (answer: Answer | Error): void => {
      const waiter = connection.settle;
      connection.settle = undefined;
      connection.received = '';
      waiter?.(answer);
    };
    const fail = (error: Error): void => {
      if (!open.delete(connection)) return;
      if (free.includes(connection)) free.splice(free.indexOf(connection), 1);
      settle(error);
      const next = waiting.shift();
      if (next !== undefined) next(openConnection());
    };
    socket.on('error', fail).on('close', () => fail(new Error('the connection was closed')));
    // Latin-1 keeps one character per byte, so that lengths are right; the body is decoded when it is whole.
    socket.setEncoding('latin1').on('data', (chunk) => {
      connection.received += chunk;
      const answer = readAnswer(connection.received);
      if (answer !== undefined) settle(answer);
    });
    socket.setTimeout(limits.timeoutMs, () => socket.destroy(new Error('no answer in time')));
    open.add(connection);
    return connection;
  };
  const acquire = async (): Promise<Connection> =>
    (limits.take === 'in turn' ? free.shift() : free.pop()) ??
    (open.size < limits.connectionsMax
      ? openConnection()
      : new Promise<Connection>((resolve) => waiting.push(resolve)));

  return {
    send: async (request) => {
      const connection = await acquire();
      const answer = await new Promise<Answer | Error>((resolve) => {
        connection.settle = resolve;
        connection.socket.write(request);
      });
      if (open.has(connection)) release(connection);
      if (answer instanceof Error) throw answer;
      return answer;
    },
    close: () => {
      for (const { socket } of open) socket.destroy();
    },
  };
}

/** The bytes of a request to the API. */
export function buildRequest(
  method: 'GET' | 'POST',
  path: string,
  options: { readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Buffer {
  const body = options.body === undefined ? '' : JSON.stringify(options.body);
  const headers = {
    Host: 'bench',
    ...options.headers,
    ...(body === '' ? {} : { 'Content-Type': 'application/json' }),
    ...(method === 'POST' ? { 'Content-Length': String(Buffer.byteLength(body)) } : {}),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
}

/** Sends all requests, `inFlight` at a time, and returns the answers in the same order. */
export async function sendAll(
  client: HttpClient,
  requests: readonly Buffer[],
  inFlight: number,
): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  const left = requests.entries();
  const lane = async (): Promise<void> => {
    for (const [index, request] of left) answers[index] = await client.send(request);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return answers;
}

function readAnswer(received: string): Answer | Error | undefined {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const head = received.slice(0, headEnd);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length === undefined) return new Error(`an answer without Content-Length: ${head.slice(0, 40)}`);
  const end = headEnd + 4 + Number(length);
  if (received.length < end) return undefined;
  const body = Buffer.from(received.slice(headEnd + 4, end), 'latin1').toString('utf8');
  const retryAfter = /\r\nretry-after: (\d+)/i.exec(head)?.[1];
  const retryAfterSeconds = retryAfter === undefined ? undefined : Number(retryAfter);
  return { status: Number(head.slice(9, 12)), body, retryAfterSeconds };
}
