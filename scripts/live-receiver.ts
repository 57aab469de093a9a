// A receiver of webhooks for tests and benches: answers as it is told, path by path, and remembers what came.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

/** A message as it came in. */
export interface Received {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly atMs: number;
}

export interface Receiver {
  /** `http://127.0.0.1:<port>` */
  readonly address: string;
  readonly received: readonly Received[];
  /** How many connections were accepted. */
  readonly connections: () => number;
  /** Resolves when `wanted` is true of what came so far. @throws Error naming `what` after `limitMs` */
  readonly until: (
    what: string,
    wanted: (received: readonly Received[]) => boolean,
    limitMs?: number,
  ) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** @param answer ends the response; 204 unless told otherwise */
export async function startReceiver(
  answer: (received: Received, response: ServerResponse, request: IncomingMessage) => void = (_, response) =>
    void response.writeHead(204).end(),
): Promise<Receiver> {
  const received: Received[] = [];
  const waiting = new Set<() => void>();
  let connections = 0;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const one = {
        path: request.url ?? '',
        headers: Object.fromEntries(
          Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
        ),
        body: Buffer.concat(chunks).toString(),
        atMs: performance.now(),
      };
      received.push(one);
      answer(one, response, request);
      for (const look of waiting) look();
    });
  });
  server.on('connection', () => {
    connections += 1;
  });
  const address = await listen(server);
  return {
    address,
    received,
    connections: () => connections,
    until: (what, wanted, limitMs = 30_000) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`waited ${limitMs / 1000} s in vain for ${what}; ${received.length} came`));
        }, limitMs);
        const look = (): void => {
          if (!wanted(received)) return;
          clearTimeout(late);
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`);
    });
  });
}
