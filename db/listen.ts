// One connection per process that hears which jobs changed. It must be direct: a pooler drops LISTEN.

import pg from 'pg';
import { unpackUuid } from '../shared/job.ts';
import { jobsChannel } from './jobs.ts';

export interface JobListener {
  readonly isConnected: () => boolean;
  readonly close: () => Promise<void>;
}

/**
 * Listens until closed and reconnects by itself.
 * @param on.changed ids of jobs that changed state; some may be of no interest, none is left out while connected
 * @param channels what to hear of; the ends of jobs unless told otherwise
 * @param on.reconnected notifications may have been missed: read again what you wait for
 */
export function listenToJobs(
  url: string,
  on: {
    readonly changed: (ids: readonly string[], channel: string) => void;
    readonly reconnected: () => void;
    readonly failed: (error: unknown) => void;
  },
  channels: readonly string[] = [jobsChannel],
): JobListener {
  let client: pg.Client | undefined;
  let connected = false;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  const lost = (error: unknown): void => {
    if (closed || retry !== undefined) return;
    connected = false;
    on.failed(error);
    retry = setTimeout(() => {
      retry = undefined;
      void connect();
    }, 250);
  };

  const connect = async (): Promise<void> => {
    const next = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000, keepAlive: true });
    client = next;
    next.on('error', lost);
    next.on('end', () => client === next && lost(new Error('the listening connection ended')));
    next.on('notification', ({ payload = '', channel }) =>
      on.changed(payload.split(',').map(unpackUuid), channel),
    );
    try {
      await next.connect();
      for (const channel of channels) await next.query(`LISTEN ${channel}`);
      connected = true;
      on.reconnected();
    } catch (error) {
      lost(error);
    }
  };

  void connect();
  return {
    isConnected: () => connected,
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await client?.end().catch(() => undefined);
    },
  };
}
