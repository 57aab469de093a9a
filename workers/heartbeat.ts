// Tells the ledger that this process lives and what it holds, until it is closed.

import { hostname } from 'node:os';
import { v7 } from 'uuid';
import type { Pool } from '../db/client.ts';
import { beat, heartbeatLimitSeconds, removeProcess } from '../db/processes.ts';
import type { Logger } from '../shared/log.ts';
import { startTicker } from '../shared/process.ts';

/** @param options.info what `/health/detailed` shows of this process, asked at each beat. */
export function startHeartbeat(options: {
  readonly pool: Pool;
  readonly log: Logger;
  readonly type: string;
  readonly info: () => Record<string, unknown>;
}): { readonly id: string; readonly close: () => Promise<void> } {
  const { pool, log, type, info } = options;
  const id = v7();
  const ticker = startTicker('heartbeat', (heartbeatLimitSeconds * 1000) / 5, log, () =>
    beat(pool, { id, type, host: hostname(), pid: process.pid, info: info() }),
  );
  return {
    id,
    close: async () => {
      await ticker.close();
      await removeProcess(pool, id);
    },
  };
}
