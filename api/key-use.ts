// When keys were last used: remembered here, and written for all of them together once a minute, so that no request
// pays for it. What a killed process had not written is lost; who uses a key will use it again.

import type { Pool } from '../db/client.ts';
import { markKeysUsed } from '../db/keys.ts';
import type { Logger } from '../shared/log.ts';
import { startTicker } from '../shared/process.ts';

const writeEveryMs = 60_000;

export interface KeyUse {
  readonly mark: (id: string) => void;
  /** Writes what is remembered. */
  readonly close: () => Promise<void>;
}

export function createKeyUse(pool: Pool, log: Logger): KeyUse {
  let used = new Map<string, Date>();
  const write = async (): Promise<void> => {
    if (used.size === 0) return;
    const written = used;
    used = new Map();
    await markKeysUsed(pool, written).catch((error: unknown) => {
      used = new Map([...written, ...used]);
      throw error;
    });
  };
  const ticker = startTicker('key_use', writeEveryMs, log, write);
  return {
    mark: (id) => void used.set(id, new Date()),
    close: async () => {
      await ticker.close();
      await write();
    },
  };
}
