// Whether the process lives, whether it can accept jobs, how each part of the system is, and its metrics.

import { type RequestHandler, Router } from 'express';
import { isMigrated } from '../../db/migrate.ts';
import { listProcesses } from '../../db/processes.ts';
import { exposition } from '../../shared/metrics.ts';
import type { Context } from '../context.ts';
import { refuseMethod } from '../problem-handler.ts';

export function healthRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  // Live depends on no other server: a restart of ours would not bring theirs back.
  const get = (path: string | string[], answer: RequestHandler): void => {
    router.route(path).get(answer).all(refuseMethod('GET'));
  };
  get('/health/live', (_request, response) => {
    response.json({ status: 'ok' });
  });
  get('/metrics', async (_request, response) => {
    const { contentType, body } = await exposition();
    response.type(contentType).send(body);
  });
  get(['/health', '/health/ready'], async (_request, response) => {
    const ledger = await checkLedger(context);
    const ready = ledger.status === 'ok' && !context.stopping.aborted;
    if (!ready) response.setHeader('Retry-After', '2');
    response.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'unavailable', checks: { ledger } });
  });
  get('/health/detailed', async (_request, response) => {
    const ledger = await checkLedger(context);
    const processes = ledger.status === 'ok' ? await listProcesses(context.system) : [];
    if (ledger.status !== 'ok') response.setHeader('Retry-After', '2');
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
