// Sends what is due: takes targets (one process per target, by advisory lock), loads their messages, tries each, and
// has written what became of it. Each target has its own slots, connections and circuit breaker, so one that is slow or
// dead has nothing to do with the others. A crash loses nothing: what was not written is pending and goes again.

import type { Pool } from '../db/client.ts';
import { type DueDelivery, type FinishedAttempt, listDueTargets, loadDue } from '../db/delivery-work.ts';
import { createTargetLocks } from '../db/webhook-locks.ts';
import type { Config } from '../shared/config.ts';
import type { Logger } from '../shared/log.ts';
import { metrics } from '../shared/metrics.ts';
import { createGuardedLookup, type FindAddresses, readTargetPolicy } from '../shared/public-address.ts';
import { type SecretKeys, secretPlace } from '../shared/sealed-secret.ts';
import { deliveryIds } from '../shared/webhook.ts';
import { signWebhook } from '../shared/webhook-signature.ts';
import { type CircuitBreaker, createCircuitBreaker } from './circuit-breaker.ts';
import { endUntried, postpone, retryAfterOf, toFinished } from './delivery-attempt.ts';
import { createDeliveryWriter } from './delivery-writer.ts';
import { toBody } from './webhook-payload.ts';
import { type Answer, createConnections, sendAttempt, type TargetConnections } from './webhook-request.ts';

interface Target {
  readonly id: string;
  readonly breaker: CircuitBreaker;
  readonly connections: TargetConnections;
  /** Messages in hand: being tried, or tried and not yet written. They are not loaded again. */
  readonly held: Set<string>;
  trying: number;
  /** Whether there may be messages due that are not in hand. */
  hungry: boolean;
  idleSinceMs: number;
}

/** In hand of one target; beyond it the target waits for the ledger. */
const heldMax = 64;
/** A target without work is given up after this, with its connections. */
const idleMsMax = 5000;

export interface WebhookSender {
  /** Looks for messages whose time has come, and for targets that nobody sends to. */
  readonly tick: () => Promise<void>;
  /** Resolves when nothing is under way, and all is written. */
  readonly settled: () => Promise<void>;
  readonly isConnected: () => boolean;
  readonly status: () => { readonly targets: number; readonly trying: number; readonly openCircuits: number };
  /** Tries nothing new, waits up to `limitMs` for what is under way, and writes it. */
  readonly close: (limitMs: number) => Promise<void>;
}

/** @param options.now,options.random,options.find the clock, the dice and the resolver; the real ones by default */
export function createWebhookSender(options: {
  readonly config: Config;
  readonly log: Logger;
  readonly database: Pool;
  readonly keys: SecretKeys;
  readonly now?: () => Date;
  readonly random?: () => number;
  readonly find?: FindAddresses;
}): WebhookSender {
  const { config, log, database, keys, now = () => new Date(), random = Math.random } = options;
  const policy = readTargetPolicy(config);
  const lookup = createGuardedLookup(policy, options.find);
  const limits = { timeoutMs: config.WEBHOOK_TIMEOUT_MS, connectMs: config.WEBHOOK_CONNECT_MS };
  const writer = createDeliveryWriter({ database, log, now });
  const targets = new Map<string, Target>();
  let strangers = new Set<string>();
  let trying = 0;
  let stopping = false;
  let awake = false;
  let pumping: Promise<void> | undefined;

  const wake = (): void => {
    awake = true;
    pumping ??= pump().finally(() => {
      pumping = undefined;
      if (awake && !stopping) wake();
    });
  };

  const pump = async (): Promise<void> => {
    while (awake && !stopping) {
      awake = false;
      try {
        await adopt();
        await feed();
      } catch (error) {
        // The next tick tries again.
        log.warn({ err: error }, 'loading messages failed');
      }
    }
  };

  /** Takes the targets that were told of and are nobody else's. */
  const adopt = async (): Promise<void> => {
    // One that was told of again while it was taken is known by now.
    const wanted = [...strangers].filter((id) => !targets.has(id));
    strangers = new Set();
    for (const id of await locks.acquire(wanted)) {
      targets.set(id, {
        id,
        breaker: createCircuitBreaker(),
        connections: createConnections(lookup, config.WEBHOOK_CONCURRENCY),
        held: new Set(),
        trying: 0,
        hungry: true,
        idleSinceMs: performance.now(),
      });
    }
  };

  /** Loads as many messages of each target as it has free slots, and tries them. */
  const feed = async (): Promise<void> => {
    const wanted = chooseRooms();
    if (wanted.length === 0) return;
    const due = await loadDue(
      database,
      wanted.map(({ target, room }) => ({ targetId: target.id, room, held: [...target.held] })),
      now(),
    ).catch((error: unknown) => {
      for (const { target } of wanted) target.hungry = true;
      throw error;
    });
    for (const { target, room } of wanted) {
      const own = due.filter(({ targetId }) => targetId === target.id);
      if (own.length === room) target.hungry = true;
      // Its turn is over: the others come first the next time.
      if (targets.delete(target.id)) targets.set(target.id, target);
      for (const delivery of own) take(target, delivery);
    }
  };

  const chooseRooms = (): { readonly target: Target; readonly room: number }[] => {
    const nowMs = now().getTime();
    let free = config.WEBHOOK_IN_FLIGHT_MAX - trying;
    return [...targets.values()].flatMap((target) => {
      if (!target.hungry) return [];
      const slots = target.breaker.allows(nowMs, config.WEBHOOK_CONCURRENCY) - target.trying;
      const room = Math.min(slots, heldMax - target.held.size, free);
      if (room <= 0) return [];
      free -= room;
      // Before it is read: what comes meanwhile makes it hungry again.
      target.hungry = false;
      return [{ target, room }];
    });
  };

  const take = (target: Target, delivery: DueDelivery): void => {
    target.held.add(delivery.id);
    target.idleSinceMs = performance.now();
    const end = endUntried(delivery, now());
    if (end !== undefined) return settle(target, end);
    target.trying += 1;
    trying += 1;
    void attempt(target, delivery).then((ending) => {
      const free = (): void => {
        target.trying -= 1;
        trying -= 1;
        wake();
      };
      // Of one that wants no more the slot stays taken until the ledger knows.
      if (ending.statusReason === 'gone') return settle(target, ending, free);
      free();
      settle(target, ending);
    });
  };

  const attempt = async (target: Target, delivery: DueDelivery): Promise<FinishedAttempt> => {
    const at = now();
    try {
      const body = toBody(delivery);
      const id = deliveryIds.format(delivery.id);
      const headers = signWebhook(openSecrets(keys, delivery), { id, at, body });
      const { connections } = target;
      const url = delivery.url ?? '';
      const answer = await sendAttempt({ url, headers, body, policy, connections, limits });
      metrics.webhookAttempts.inc({ outcome: answer.outcome });
      metrics.webhookAttemptSeconds.observe(answer.latencyMs / 1000);
      tellBreaker(target.breaker, answer);
      return toFinished(delivery, answer, at, random());
    } catch (error) {
      log.error({ err: error, delivery: delivery.id }, 'a message could not be made');
      return postpone(delivery, at);
    }
  };

  const tellBreaker = (breaker: CircuitBreaker, answer: Answer): void => {
    const nowMs = now().getTime();
    if (answer.outcome === 'succeeded') return breaker.succeeded();
    // It is alive and wants no more; what waits for it ends without an attempt.
    if (answer.outcome === 'gone') return;
    breaker.failed(nowMs);
    const retryAfterMs = retryAfterOf(answer, now());
    if (retryAfterMs > 0) breaker.pause(nowMs, nowMs + retryAfterMs);
  };

  const settle = (target: Target, one: FinishedAttempt, written: () => void = wake): void => {
    writer.write(one, () => {
      target.held.delete(one.id);
      written();
    });
  };

  const tick = async (): Promise<void> => {
    if (stopping || !locks.isConnected()) return;
    for (const id of await listDueTargets(database, now())) hear(id);
    wake();
    await giveUpIdle();
  };

  const hear = (targetId: string): void => {
    const target = targets.get(targetId);
    if (target === undefined) strangers.add(targetId);
    else target.hungry = true;
  };

  const giveUpIdle = async (): Promise<void> => {
    const idleSince = performance.now() - idleMsMax;
    const idle = [...targets.values()].filter(
      (target) => !target.hungry && target.held.size === 0 && target.idleSinceMs < idleSince,
    );
    for (const target of idle) {
      targets.delete(target.id);
      target.connections.close();
    }
    await locks.release(idle.map(({ id }) => id));
  };

  const settled = async (): Promise<void> => {
    await writer.drained();
    while (pumping !== undefined || trying > 0) {
      await Promise.all([pumping, new Promise((resolve) => setTimeout(resolve, 2))]);
      await writer.drained();
    }
  };

  const locks = createTargetLocks(config.DATABASE_URL, {
    told: (targetId) => {
      hear(targetId);
      wake();
    },
    // What is under way goes on, and its end is written if nobody else's was.
    lost: () => {
      for (const target of targets.values()) target.connections.close();
      targets.clear();
    },
    connected: () => {
      tick().catch((error: unknown) => log.warn({ err: error }, 'looking for messages failed'));
    },
    failed: (error) => log.warn({ err: error }, 'the connection that holds the locks is lost'),
  });

  return {
    tick,
    settled,
    isConnected: locks.isConnected,
    status: () => ({
      targets: targets.size,
      trying,
      openCircuits: [...targets.values()].filter(({ breaker }) => breaker.isOpen()).length,
    }),
    close: async (limitMs) => {
      stopping = true;
      await Promise.race([settled(), new Promise((resolve) => setTimeout(resolve, limitMs).unref())]);
      for (const target of targets.values()) target.connections.close();
      await locks.close();
    },
  };
}

function openSecrets(keys: SecretKeys, { tenantId, secrets }: DueDelivery): string[] {
  if (secrets === null) throw new Error('there is no secret to sign with');
  return secrets.map((secret) => keys.open(secret, secretPlace({ tenantId, ...secret })));
}
