// The webhooks process: delivers the messages that the ledger holds. Several may run: each sends to the targets that
// it holds the lock of. Without WEBHOOK_KEYS there is nothing that it could sign with; it says so and waits for its end.

import { createPool } from '../db/client.ts';
import { measureDeliveries, pruneDeliveries } from '../db/delivery-work.ts';
import { readConfig } from '../shared/config.ts';
import { createLog } from '../shared/log.ts';
import { metrics, serveMetrics } from '../shared/metrics.ts';
import { startTicker, stopOnSignal } from '../shared/process.ts';
import { readSecretKeys } from '../shared/sealed-secret.ts';
import { webhookLimits } from '../shared/webhook.ts';
import { startHeartbeat } from './heartbeat.ts';
import { resealSecrets } from './reseal-secrets.ts';
import { createWebhookSender } from './webhook-sender.ts';

const pruneRowsMax = 1000;

const config = readConfig();
const log = createLog('webhooks', config.LOG_LEVEL);
const database = createPool(config.DATABASE_URL, { role: 'worker', max: 4 });
const keys = readSecretKeys(config.WEBHOOK_KEYS);
if (keys === undefined) log.info('no WEBHOOK_KEYS: there are no webhooks');
const sender = keys && createWebhookSender({ config, log, database, keys });

async function measure(): Promise<void> {
  const { pending, oldestSeconds } = await measureDeliveries(database);
  metrics.webhookPending.set(pending);
  metrics.webhookOldestAge.set(oldestSeconds);
  metrics.webhookOpenCircuits.set(sender?.status().openCircuits ?? 0);
}

async function prune(): Promise<void> {
  const before = new Date(Date.now() - webhookLimits.deliveryDaysMax * 86_400_000);
  for (let rows = pruneRowsMax; rows >= pruneRowsMax; ) {
    rows = await pruneDeliveries(database, before, pruneRowsMax);
    metrics.webhookPruned.inc(rows);
  }
}

const tickers =
  sender === undefined
    ? []
    : [
        startTicker('deliver', config.WEBHOOK_TICK_MS, log, sender.tick),
        startTicker('measure', 5000, log, measure),
        startTicker('prune', 60_000, log, prune),
        startTicker('reseal', 60_000, log, () => resealSecrets(database, keys, log)),
      ];
const info = () => ({ webhooks: sender === undefined ? 'off' : 'on', ...sender?.status() });
const heartbeat = startHeartbeat({ pool: database, log, type: 'webhooks', info });
const probes = { alive: () => true, ready: () => sender?.isConnected() ?? true };
const server = await serveMetrics({ host: config.HOST, port: config.METRICS_PORT, probes });

stopOnSignal(log, config.DRAIN_MS, () => [
  ['ticks', () => Promise.all(tickers.map((ticker) => ticker.close()))],
  ['sender', async () => sender?.close(config.DRAIN_MS - 2000)],
  ['heartbeat', heartbeat.close],
  ['metrics', async () => server.close()],
  ['database', () => database.end()],
]);
log.info('ready');
