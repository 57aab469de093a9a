// Whether the process lives, whether it can accept jobs, and how each part of the system is.

import { Router } from 'express';
import { isMigrated } from '../../db/migrate.ts';
import { listProcesses } from '../../db/processes.ts';
import type { Context } from '../context.ts';

export function healthRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  // Live depends on no other server: a restart of ours would not bring theirs back.
  router.get('/health/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  router.get(['/health', '/health/ready'], async (_request, response) => {
    const ledger = await checkLedger(context);
    const ready = ledger.status === 'ok' && !context.stopping.aborted;
    response.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'unavailable', checks: { ledger } });
  });
  router.get('/health/detailed', async (_request, response) => {
    const ledger = await checkLedger(context);
    const processes = ledger.status === 'ok' ? await listProcesses(context.system) : [];
    response.status(ledger.status === 'ok' ? 200 : 503).json({
      status: ledger.status === 'ok' ? 'ok' : 'unavailable',
      checks: {
        ledger,
        redis: { status: context.queue.isReady() ? 'ok' : 'unavailable' },
        notifications: { status: context.watcher.isConnected() ? 'ok' : 'unavailable' },
        workers: { status: processes.some(({ type }) => type === 'analysis') ? 'ok' : 'unavailable' },
        dispatcher: { status: processes.some(({ type }) => type === 'dispatcher') ? 'ok' : 'unavailable' },
      },
      processes: processes.map(({ type, host, pid, startedAt, seenAt, info }) => ({
        type,
        host,
        pid,
        started_at: startedAt.toISOString(),
        seen_at: seenAt.toISOString(),
        info,
      })),
    });
  });
  return router;
}

async function checkLedger({ system }: Context): Promise<{ status: 'ok' | 'unavailable'; reason?: string }> {
  try {
    if (await isMigrated(system)) return { status: 'ok' };
    return { status: 'unavailable', reason: 'migrations are missing: run npm run migrate' };
  } catch {
    return { status: 'unavailable', reason: 'Postgres does not answer' };
  }
}
