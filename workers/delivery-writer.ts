// Writes what became of messages, in groups: while one group is written, the next gathers.

import type { Pool } from '../db/client.ts';
import { type FinishedAttempt, finishAttempts } from '../db/delivery-work.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { webhookLimits } from '../shared/webhook.ts';
import { untilAvailable } from './completion-writer.ts';

/** Attempts that one transaction writes. */
const groupMax = 500;

export interface DeliveryWriter {
  /** @param written called once it is in the ledger, or cannot be */
  readonly write: (attempt: FinishedAttempt, written: () => void) => void;
  /** Resolves when nothing waits to be written. */
  readonly drained: () => Promise<void>;
}

export function createDeliveryWriter(options: {
  readonly database: Pool;
  readonly log: Logger;
  readonly now: () => Date;
}): DeliveryWriter {
  const { database, log, now } = options;
  let gathered: { readonly attempt: FinishedAttempt; readonly written: () => void }[] = [];
  let writing: Promise<void> | undefined;

  const writeAll = async (): Promise<void> => {
    // What ends in the same turn of the loop goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (gathered.length > 0) {
      const group = gathered.slice(0, groupMax);
      gathered = gathered.slice(groupMax);
      await writeGroup(group.map(({ attempt }) => attempt));
      for (const { written } of group) written();
    }
    writing = undefined;
  };

  const writeGroup = async (attempts: readonly FinishedAttempt[]): Promise<void> => {
    try {
      await untilAvailable(() => record(attempts), log);
    } catch (error) {
      log.error({ err: error, attempts: attempts.length }, 'a group of attempts is written one by one');
      for (const attempt of attempts) await writePlain(attempt);
    }
  };

  /** Without what the receiver wrote. What cannot be written even so stays pending, and is sent again. */
  const writePlain = (attempt: FinishedAttempt): Promise<void> =>
    untilAvailable(() => record([{ ...attempt, excerpt: null, detail: null }]), log).catch((error: unknown) =>
      log.error({ err: error, delivery: attempt.id }, 'an attempt could not be written'),
    );

  const record = async (attempts: readonly FinishedAttempt[]): Promise<void> => {
    const failingBefore = new Date(now().getTime() - webhookLimits.failingMsMax);
    for (const { id, tenantId, reason } of await finishAttempts(database, attempts, failingBefore)) {
      metrics.webhookEndpointsDisabled.inc({ reason });
      log.warn({ endpoint: id, tenant: tenantId, reason }, 'an endpoint is disabled');
    }
  };

  return {
    write: (attempt, written) => {
      gathered.push({ attempt, written });
      writing ??= writeAll();
    },
    drained: async () => {
      while (writing !== undefined) await writing;
    },
  };
}
