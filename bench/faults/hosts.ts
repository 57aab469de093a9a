// Other hosts on this machine: each a network namespace with a name of its own, on a cable that can be cut.
// Needs root and iproute2.

import { execFileSync } from 'node:child_process';
import { connect, createServer, type Server } from 'node:net';
import { packageRoot } from '../../shared/config.ts';
import { type GuardedProcess, spawnGuarded } from '../../scripts/guarded-process.ts';

export interface Host {
  readonly name: string;
  /** Runs a program of Soma there. */
  readonly start: (script: string, env: Record<string, string>) => GuardedProcess;
  readonly cut: () => void;
  readonly mend: () => void;
}

export interface Network {
  /** Of this host, as the others see it. */
  readonly address: string;
  readonly hosts: readonly Host[];
  /** Makes a port of this host's loopback reachable for the others, as the same port of `address`. */
  readonly publish: (port: number) => Promise<void>;
  readonly close: () => void;
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/**
 * @param subnet the first three numbers of a /24 that is not in use here
 * @throws Error that says what is missing: root, iproute2, or a kernel that allows it
 */
export function createNetwork(names: readonly string[], subnet: string): Network {
  const bridge = `soma${process.pid % 100_000}`;
  const address = `${subnet}.1`;
  const servers: Server[] = [];
  const cleanUp = (): void => {
    for (const server of servers) server.close();
    for (const name of names) tryTo(() => ip('netns', 'del', name));
    tryTo(() => ip('link', 'del', bridge));
  };
  try {
    ip('link', 'add', bridge, 'type', 'bridge');
    ip('addr', 'add', `${address}/24`, 'dev', bridge);
    ip('link', 'set', bridge, 'up');
    const hosts = names.map((name, index) => createHost(name, `${subnet}.${index + 2}/24`, bridge, index));
    return { address, hosts, publish: (port) => publish(servers, address, port), close: cleanUp };
  } catch (cause) {
    cleanUp();
    throw new Error(
      'network namespaces cannot be made here: that takes root, iproute2 and a kernel with veth',
      {
        cause,
      },
    );
  }
}

function createHost(name: string, address: string, bridge: string, index: number): Host {
  const [outer, inner] = [`${bridge}o${index}`, `${bridge}i${index}`];
  const inside = (...args: string[]) => ip('-n', name, ...args);
  ip('netns', 'add', name);
  ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', inner);
  ip('link', 'set', inner, 'netns', name);
  ip('link', 'set', outer, 'master', bridge, 'up');
  inside('addr', 'add', address, 'dev', inner);
  inside('link', 'set', inner, 'up');
  inside('link', 'set', 'lo', 'up');
  return {
    name,
    start: (script, env) =>
      spawnGuarded({
        name,
        command: [
          'ip',
          'netns',
          'exec',
          name,
          'unshare',
          '--uts',
          'sh',
          '-c',
          launch,
          name,
          process.execPath,
          script,
        ],
        cwd: packageRoot,
        env,
        deathSignal: 'KILL',
      }),
    cut: () => ip('link', 'set', outer, 'down'),
    mend: () => ip('link', 'set', outer, 'up'),
  };
}

/** Gives the host its name before the program starts: workers sign with it. */
const launch = 'hostname "$0" && exec "$@"';

/** A forwarder on the address that the others see: the servers listen on loopback only. */
function publish(servers: Server[], address: string, port: number): Promise<void> {
  const server = createServer((client) => {
    const target = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, address, resolve);
  });
}

function tryTo(act: () => void): void {
  try {
    act();
  } catch {
    // It was not made, or is gone.
  }
}
