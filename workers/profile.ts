// The profile process: takes profile jobs and makes each of what is stored about a person.

import { hostname } from 'node:os';
import { type Claim, renewLeases, retryJobs, startJobs } from '../db/attempts.ts';
import { createPool } from '../db/client.ts';
import { createPostgresGraph } from '../db/graph-postgres.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { serveMetrics } from '../shared/metrics.ts';
import { startTicker, stopOnSignal } from '../shared/process.ts';
import { type Dispatch, dispatchSchema } from '../shared/queues.ts';
import { untilAvailable } from './completion-writer.ts';
import { consume } from './consume.ts';
import { startHeartbeat } from './heartbeat.ts';
import { makeProfile } from './profile-builder.ts';

const config = readConfig();
const log = createLog('profile', config.LOG_LEVEL);
const worker = `${hostname()}:${process.pid}`;
const database = createPool(config.DATABASE_URL, { role: 'worker', max: 4 });
const graph = createPostgresGraph(database);

/** Jobs claimed and not ended; those whose lease was lost leave it. */
const held = new Map<string, Claim>();

async function renew(): Promise<void> {
  const claims = [...held.values()];
  if (claims.length === 0) return;
  const kept = await renewLeases(database, claims, config.LEASE_MS);
  for (const { id } of claims) if (!kept.has(id)) held.delete(id);
}

async function makeProfiles(dispatch: Dispatch, dispatchId: string): Promise<void> {
  const jobs = dispatch.jobIds.map((id) => ({ tenantId: dispatch.tenantId, id, dispatchId }));
  const claims = await untilAvailable(
    () => startJobs(database, { jobs, worker, leaseMs: config.LEASE_MS, attemptsMax: config.ATTEMPTS_MAX }),
    log,
  );
  for (const claim of claims) held.set(claim.id, claim);
  for (const claim of claims) {
    if (!held.has(claim.id)) continue;
    try {
      await untilAvailable(() => makeProfile({ database, graph, worker }, claim, new Date()), log);
    } catch (error) {
      log.error({ err: error, job: claim.id }, 'a profile failed');
      const reason = { code: 'profile_failed', detail: 'The profile could not be made' };
      await retryJobs(database, [claim], {
        delayMs: 1000 * 2 ** claim.attempt,
        attemptsMax: config.ATTEMPTS_MAX,
        error: reason,
      });
    } finally {
      held.delete(claim.id);
    }
  }
}

const consumer = consume({
  queue: 'profile',
  config,
  log,
  read: (data) => dispatchSchema.parse(data),
  process: makeProfiles,
});
const leases = startTicker('leases', config.LEASE_MS / 3, log, renew);
const heartbeat = startHeartbeat({ pool: database, log, type: 'profile', info: () => ({ worker }) });
const probes = { alive: () => true, ready: () => consumer.isConnected() };
const server = await serveMetrics({ host: config.HOST, port: config.METRICS_PORT, probes });

stopOnSignal(log, config.DRAIN_MS, () => [
  ['consumer', () => consumer.close(config.DRAIN_MS - 2000)],
  ['leases', leases.close],
  ['heartbeat', heartbeat.close],
  ['metrics', async () => server.close()],
  ['database', () => database.end()],
]);
log.info({ worker }, 'ready');
