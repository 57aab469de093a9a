// `npm run faults:webhooks`: the processes that deliver webhooks killed ten times over 5,000 messages, then every message
// accounted for. The books are written to bench/results/faults-webhooks.json.

import { z } from 'zod';
import { childEnv } from '../../shared/config.ts';
import { startReport, writeReport } from '../report.ts';
import { runWebhookCrashes } from './webhook-crashes.ts';

const { FAULT_DELIVERIES: deliveries, FAULT_SEED: seed } = z
  .object({
    FAULT_DELIVERIES: z.coerce.number().int().min(200).multipleOf(200).default(5000),
    FAULT_SEED: z.coerce.number().int().default(20_261_124),
  })
  .parse(childEnv({}));
const kills = 10;

const started = startReport();
const run = await runWebhookCrashes({ deliveries, kills, seed });
console.log(run);

const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;
const met = writeReport(started, {
  part: 'faults-webhooks',
  seed,
  kind: 'emotion',
  settings: { deliveries, kills, processes: 2, endpoints: 10 },
  rounds: run,
  summary: run,
  figures: [
    { name: 'messages made', value: run.deliveries, bound: deliveries, holds: 'at least' },
    { name: 'processes killed', value: run.kills, bound: kills, holds: 'at least' },
    none('messages that never came', run.missing),
    none('messages not known as delivered', run.unfinished),
    none('ids that the ledger does not have', run.unknown),
    none('ids that came with different bytes', run.changed),
  ],
});
process.exitCode = met ? 0 : 1;
