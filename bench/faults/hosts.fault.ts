// `npm run faults:hosts`: the API on this host and a worker on each of two others, under load; the cable of one is cut
// while it works and mended later. Then the audit of every job, and who did how much of it.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { freePort } from '../../scripts/free-port.ts';
import { createLiveSystem, startRedis, until } from '../../scripts/live-system.ts';
import { childEnv } from '../../shared/config.ts';
import { createRandom } from '../random.ts';
import { startReport, writeReport } from '../report.ts';
import { audit } from './audit.ts';
import { submitAll, untilTerminal } from './harness.ts';
import { createNetwork, type Network } from './hosts.ts';

const { FAULT_JOBS: jobs, FAULT_SEED: seed } = z
  .object({
    FAULT_JOBS: z.coerce.number().int().min(100).default(4000),
    FAULT_SEED: z.coerce.number().int().default(20_261_124),
  })
  .parse(childEnv({}));

/** Longer than a lease and its grace: what the cut host has in hand is taken from it. */
const cutMs = 20_000;

function openNetwork(): Network {
  try {
    return createNetwork(['soma-host-1', 'soma-host-2'], '10.77.13');
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

const network = openNetwork();
const started = startReport();
const redisPort = await freePort();
const redis = startRedis(redisPort);
const system = await createLiveSystem({ REDIS_URL: `redis://127.0.0.1:${redisPort}` });
const databaseUrl = new URL(system.databaseUrl);
const endings: (() => Promise<unknown>)[] = [];

try {
  await Promise.all([network.publish(redisPort), network.publish(Number(databaseUrl.port))]);
  databaseUrl.hostname = network.address;
  const env = {
    ...system.env,
    DATABASE_URL: databaseUrl.href,
    REDIS_URL: `redis://${network.address}:${redisPort}`,
  };
  for (const host of network.hosts) {
    const worker = host.start('dist/workers/analysis.js', env);
    endings.push(() => worker.stop('SIGKILL', 0));
  }
  const [api] = await Promise.all([system.start('api'), system.start('dispatcher')]);
  await until('a worker on each host', async () =>
    (await countWorkers()) === network.hosts.length ? true : undefined,
  );

  const accepted: string[] = [];
  const submitting = submitAll(api.address, jobs, createRandom(seed), accepted);
  await untilTerminal(system, jobs / 4);
  const [, second] = network.hosts;
  second?.cut();
  const cutAt = Date.now();
  console.log('soma-host-2 is cut off');
  await Promise.all([untilTerminal(system, jobs / 2), delay(cutMs)]);
  second?.mend();
  console.log(`soma-host-2 is back after ${Math.round((Date.now() - cutAt) / 1000)} s`);
  await submitting;
  await untilTerminal(system, accepted.length);
  const books = await audit({ owner: system.owner, api: api.address, accepted, diedAt: new Map() });
  const shares = await countShares();
  console.log(books, shares);
  const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;
  const met = writeReport(started, {
    part: 'faults-hosts',
    seed,
    kind: 'emotion',
    settings: { jobs, hosts: network.hosts.map(({ name }) => name) },
    rounds: { books, shares },
    summary: { books, shares },
    figures: [
      { name: 'jobs accepted', value: accepted.length, bound: jobs, holds: 'at least' },
      none('jobs lost', books.lost),
      none('jobs failed', books.failed),
      none('jobs without exactly one terminal event', books.withoutOneTerminalEvent),
      none('items not analysed exactly once', books.itemsNotAnalysedOnce),
      ...network.hosts.map(
        ({ name }) =>
          ({ name: `jobs by ${name}`, value: shares[name] ?? 0, bound: 1, holds: 'at least' }) as const,
      ),
    ],
  });
  process.exitCode = met ? 0 : 1;
} finally {
  for (const end of endings) await end();
  await system.close();
  await redis.stop('SIGKILL', 0);
  network.close();
}

/** Analysis workers that the ledger has heard of. */
async function countWorkers(): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(DISTINCT host)::integer AS count FROM processes WHERE type = 'analysis'`,
  );
  return rows[0]?.count ?? 0;
}

/** Jobs by the host that ended them. */
async function countShares(): Promise<Record<string, number>> {
  const { rows } = await system.owner.query<{ host: string; jobs: number }>(
    `SELECT split_part(worker, ':', 1) AS host, count(*)::integer AS jobs FROM jobs GROUP BY 1 ORDER BY 1`,
  );
  return Object.fromEntries(rows.map(({ host, jobs: count }) => [host, count]));
}
