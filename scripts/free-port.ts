// TCP ports on this machine: some that are free now, and whether a given one is.

import { type Server, createServer } from 'node:net';

/** A port of 127.0.0.1 that was free a moment ago; another process may take it first, so a caller retries. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** As many different ones: all are held until the last is found, since the system may give a released one again. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => listen('127.0.0.1', 0)));
  const ports = servers.map(portOf);
  await Promise.all(servers.map(close));
  return ports;
}

/**
 * Resolves when `port` can be listened on.
 * @throws the system's error, with `code` EADDRINUSE, EACCES or EADDRNOTAVAIL, when it cannot.
 */
export async function checkPort(host: string, port: number): Promise<void> {
  await close(await listen(host, port));
}

function listen(host: string, port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(port, host, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
