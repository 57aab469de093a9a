// Whether the process lives, whether it can accept jobs, how each part of the system is, and its metrics.

import { type RequestHandler, Router } from 'express';
import { isMigrated } from '../../db/migrate.ts';
import { listProcesses } from '../../db/processes.ts';
import { exposition } from '../../shared/metrics.ts';
import type { Context } from '../context.ts';
import { refuseMethod } from '../problem-handler.ts';

/** How long a good look at the ledger is believed. */
const believedMs = 1000;

export function healthRoutes(context: Context): Router {
  const router = Router({ caseSensitive: true });
  const checkLedger = shareLooks(() => lookAtLedger(context));
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
    const ledger = await checkLedger();
    const ready = ledger.status === 'ok' && !context.stopping.aborted;
    if (!ready) response.setHeader('Retry-After', '2');
    response.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'unavailable', checks: { ledger } });
  });
  get('/health/detailed', async (_request, response) => {
    const ledger = await checkLedger();
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

interface LedgerState {
  readonly status: 'ok' | 'unavailable';
  readonly reason?: string;
}

/** One look for all who ask meanwhile: many probes, or a crowded pool, shall not make a busy system an unready one. */
function shareLooks(look: () => Promise<LedgerState>): () => Promise<LedgerState> {
  let last: { readonly state: Promise<LedgerState>; readonly until: number } | undefined;
  return () => {
    if (last !== undefined && performance.now() < last.until) return last.state;
    const state = look();
    last = { state, until: Number.POSITIVE_INFINITY };
    void state.then(({ status }) => {
      last = status === 'ok' ? { state, until: performance.now() + believedMs } : undefined;
    });
    return state;
  };
}

/** Never rejects. */
async function lookAtLedger({ system }: Context): Promise<LedgerState> {
  try {
    if (await isMigrated(system)) return { status: 'ok' };
    return { status: 'unavailable', reason: 'migrations are missing: run npm run migrate' };
  } catch {
    return { status: 'unavailable', reason: 'Postgres does not answer' };
  }
}
