// Receivers of webhooks that misbehave, each in its own way, by real sockets: what the tests of the sender and the bench
// `webhook-proofs` send to.

import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';

export interface FaultyReceiver {
  readonly port: number;
  /** The `webhook-id` of each request that could be read. */
  readonly ids: readonly string[];
  /** How many connections came. */
  readonly reached: () => number;
}

export interface FaultyReceivers {
  /** Answers by HTTP as it is told. */
  readonly answering: (listener: RequestListener) => Promise<FaultyReceiver>;
  /** Answers 200 and then a byte every 50 ms, for ever. */
  readonly dripping: () => Promise<FaultyReceiver>;
  /** Answers with 100 MB of text; `sentBytes` is what was taken of it. */
  readonly flooding: () => Promise<FaultyReceiver & { readonly sentBytes: () => number }>;
  /** Takes the connection and says nothing. */
  readonly silent: () => Promise<FaultyReceiver>;
  /** Resets the connection once it has the request. */
  readonly resetting: () => Promise<FaultyReceiver>;
  /** Speaks TLS with a certificate for localhost that nobody signed. */
  readonly selfSigned: () => Promise<FaultyReceiver>;
  /** A port on which nobody listens. */
  readonly closed: () => Promise<number>;
  /** Listens on every address of this machine, and counts who comes: nobody should. */
  readonly canary: () => Promise<FaultyReceiver>;
  /** Listens with a server of the caller's own. */
  readonly listen: (server: Server, host?: string, port?: number) => Promise<number>;
  readonly close: () => void;
}

export function createFaultyReceivers(): FaultyReceivers {
  const { listen, answering, raw, close } = createListeners();
  return {
    answering,
    dripping: () =>
      answering((_, response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write('.'), 50);
        response.on('close', () => clearInterval(drip));
      }),
    flooding: async () => {
      let sent = 0;
      const receiver = await answering((_, response) => {
        response.writeHead(200, { 'content-type': 'text/plain' });
        const chunk = Buffer.alloc(65_536, 'a');
        const push = (): void => {
          while (sent < 100_000_000 && !response.destroyed) {
            sent += chunk.length;
            if (!response.write(chunk)) return void response.once('drain', push);
          }
          response.end();
        };
        push();
      });
      return { ...receiver, sentBytes: () => sent };
    },
    silent: () => raw(() => undefined),
    resetting: () => raw((socket) => socket.once('data', () => socket.resetAndDestroy())),
    selfSigned: async () => {
      const server = createHttpsServer({ key, cert }, (_, response) => void response.end());
      const reached = count(server);
      return { port: await listen(server), ids: [], reached };
    },
    closed: async () => {
      const server = createServer();
      const port = await listen(server);
      await new Promise((resolve) => server.close(resolve));
      return port;
    },
    canary: async () => {
      const destroy = (socket: Socket): void => void socket.destroy();
      const first = await raw(destroy, '0.0.0.0');
      // A machine without IPv6 has no ::1 to guard.
      const second = await raw(destroy, '::1', first.port).catch(() => undefined);
      return { ...first, reached: () => first.reached() + (second?.reached() ?? 0) };
    },
    listen,
    close,
  };
}

/** Servers and their connections, which are ended together; and the two kinds of receiver that all others are. */
function createListeners() {
  const servers = new Set<Server>();
  const sockets = new Set<Socket>();

  const listen = async (server: Server, host = '127.0.0.1', port = 0): Promise<number> => {
    servers.add(server);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  };

  const answering = async (listener: RequestListener): Promise<FaultyReceiver> => {
    const ids: string[] = [];
    const server = createHttpServer((request, response) => {
      const id = request.headers['webhook-id'];
      if (typeof id === 'string') ids.push(id);
      listener(request, response);
    });
    const reached = count(server);
    return { port: await listen(server), ids, reached };
  };

  /** @param take what to do with a connection, and with the first bytes that came by it */
  const raw = async (take: (socket: Socket) => void, host?: string, port?: number) => {
    const ids: string[] = [];
    const server = createServer((socket) => {
      socket.once('data', (head: Buffer) => {
        const id = /^webhook-id: (\S+)/im.exec(head.toString('latin1'))?.[1];
        if (id !== undefined) ids.push(id);
      });
      take(socket);
    });
    const reached = count(server);
    return { port: await listen(server, host, port), ids, reached };
  };

  const close = (): void => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  };
  return { listen, answering, raw, close };
}

function count(server: Server): () => number {
  let connections = 0;
  server.on('connection', () => (connections += 1));
  return () => connections;
}

/** For localhost, signed by nobody. */
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbEQjDTT20POl81l8
sNv6mQNgouZG5tNKydmuf105lsahRANCAAS0S7Q2Rb0nyGt/eRu+udiUkJdzw2ia
DeJ1MfEjbA3iu9ZmEXpZM9qAj1gMtUXslmDpURma8DfQzF33BN6elzuK
-----END PRIVATE KEY-----`;
const cert = `-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIUYQMnzw4cUN03QRZJ5aKvY4agNr0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTAzMDUxOVoYDzIxMjYxMTAx
MDMwNTE5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS0S7Q2Rb0nyGt/eRu+udiUkJdzw2iaDeJ1MfEjbA3iu9ZmEXpZM9qA
j1gMtUXslmDpURma8DfQzF33BN6elzuKo28wbTAdBgNVHQ4EFgQUWJvbPCj/uFRg
W91c17OdYKmzUikwHwYDVR0jBBgwFoAUWJvbPCj/uFRgW91c17OdYKmzUikwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDRwAwRAIgMXAfawrBrit3Z+uCipklualBBKznLc8D7FKdPlNtH1MCICdZ
U7pN1WsmgMIfjZRgLh0tuXyjshhEElAWLmo5Txrp
-----END CERTIFICATE-----`;
