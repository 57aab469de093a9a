// Webhooks while their processes are killed: every message must come at least once, and whatever comes twice must have
// the same id and the same bytes.

import { setTimeout as delay } from 'node:timers/promises';
import { v7 } from 'uuid';
import { startReceiver } from '../../scripts/live-receiver.ts';
import { type LiveProcess, until } from '../../scripts/live-system.ts';
import { createRandom, pickIndex } from '../random.ts';
import { createWebhookSystem } from '../webhooks-system.ts';

const endpoints = 10;
const senders = 2;
/** Jobs that end together. */
const burst = 20;

export interface WebhookCrashRun {
  readonly deliveries: number;
  readonly kills: number;
  /** Messages that never came. */
  readonly missing: number;
  /** Messages that the ledger does not know as delivered. */
  readonly unfinished: number;
  /** Ids that came and that the ledger does not have. */
  readonly unknown: number;
  /** Messages that came more than once; that is allowed. */
  readonly repeated: number;
  /** Ids that came with different bytes. */
  readonly changed: number;
  readonly seconds: number;
}

/** @param options.deliveries a multiple of 200; options.kills processes that are killed, one after another */
export async function runWebhookCrashes(options: {
  readonly deliveries: number;
  readonly kills: number;
  readonly seed: number;
}): Promise<WebhookCrashRun> {
  const { deliveries, kills } = options;
  const random = createRandom(options.seed);
  const tenantId = v7();
  const webhooks = await createWebhookSystem({ WEBHOOK_TICK_MS: '100' });
  // Slow enough that a kill hits messages at every stage.
  const receiver = await startReceiver((_, response) => {
    setTimeout(() => response.writeHead(204).end(), pickIndex(random, 30));
  });
  const started = performance.now();
  try {
    for (let index = 0; index < endpoints; index++)
      await webhooks.addEndpoint(tenantId, `${receiver.address}/${index}`);
    const running: LiveProcess[] = await Promise.all(Array.from({ length: senders }, webhooks.startSender));
    const jobs = await webhooks.addJobs(tenantId, deliveries / endpoints);
    const ending = (async () => {
      for (let index = 0; index < jobs.length; index += burst) {
        await webhooks.endJobs(tenantId, jobs.slice(index, index + burst));
        await delay(20);
      }
    })();
    for (let kill = 0; kill < kills; kill++) {
      const share = Math.floor(((kill + random()) * deliveries) / (kills + 1));
      await receiver.until(`${share} messages`, (all) => all.length >= share, 120_000);
      const [victim] = running.splice(pickIndex(random, running.length), 1);
      await victim?.kill();
      running.push(await webhooks.startSender());
    }
    await ending;
    await until(
      'all deliveries to end',
      async () => ((await countPending(webhooks)) === 0 ? true : undefined),
      120_000,
    );
    return {
      ...(await judge(webhooks, receiver.received)),
      kills,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await webhooks.close();
    await receiver.close();
  }
}

type Webhooks = Awaited<ReturnType<typeof createWebhookSystem>>;

async function countPending({ worker }: Webhooks): Promise<number> {
  const { rows } = await worker.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM deliveries WHERE status = 'pending'`,
  );
  return rows[0]?.count ?? 0;
}

async function judge(
  { worker }: Webhooks,
  received: readonly { readonly headers: Readonly<Record<string, string>>; readonly body: string }[],
): Promise<Omit<WebhookCrashRun, 'kills' | 'seconds'>> {
  const { rows } = await worker.query<{ id: string; status: string }>('SELECT id, status FROM deliveries');
  const bodies = new Map<string, string[]>();
  for (const { headers, body } of received) {
    const id = headers['webhook-id'] ?? '';
    bodies.set(id, [...(bodies.get(id) ?? []), body]);
  }
  const known = new Set(rows.map(({ id }) => `dlv_${id}`));
  const all = [...bodies.values()];
  return {
    deliveries: rows.length,
    missing: [...known].filter((id) => !bodies.has(id)).length,
    unfinished: rows.filter(({ status }) => status !== 'succeeded').length,
    unknown: [...bodies.keys()].filter((id) => !known.has(id)).length,
    repeated: all.filter((copies) => copies.length > 1).length,
    changed: all.filter((copies) => new Set(copies).size > 1).length,
  };
}
