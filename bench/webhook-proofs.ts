// `npm run bench -- webhook-proofs`: what is promised of webhooks and is no matter of speed, each shown by real sockets:
// how a failing receiver is treated, that nothing private is reached, and that signatures are those of the standard.

import { randomBytes } from 'node:crypto';
import { createLiveSystem } from '../scripts/live-system.ts';
import { compareSignatures } from '../shared/compare-signatures.ts';
import { readConfig } from '../shared/config.ts';
import { createWebhookRig } from '../workers/webhook-rig.ts';
import type { BenchOptions } from './options.ts';
import { createRandom } from './random.ts';
import { printTable, startReport, writeReport } from './report.ts';
import { type FaultProof, proveFaults } from './webhook-faults.ts';
import { proveTargets, type TargetProof } from './webhook-targets.ts';

const bodies = 1000;
/** In place of 15 s and 5 s, so that a receiver that says nothing eight times takes seconds. */
const limitsMs = { whole: 2000, connect: 1000 } as const;

/** @returns whether every fault is treated as documented, nothing private was reached, and all signatures agree. */
export async function measureWebhookProofs({ seed }: BenchOptions): Promise<boolean> {
  const started = startReport();
  const keyText = `bench:${randomBytes(32).toString('base64')}`;
  const targets = await proveTargets(keyText);
  const faults = await proveOnOwnLedger(keyText, seed);
  const equal = compareSignatures(bodies, createRandom(seed));
  printTable(
    ['fault', 'logged', 'attempts', 'ids', 'ends', 'as documented'],
    faults.runs.map(({ fault, logged, ids, ends, asDocumented }) => [
      fault,
      [...new Set(logged)].join(', '),
      logged.length,
      ids ?? '-',
      ends,
      asDocumented ? 'yes' : 'NO',
    ]),
  );
  return writeReport(started, {
    part: 'webhook-proofs',
    seed,
    kind: 'emotion',
    settings: { limitsMs, bodies, clock: 'turned to each next attempt', guard: 'NODE_ENV=production' },
    rounds: faults.runs,
    summary: { faults: { ...faults, runs: undefined }, targets, signatures: { bodies, equal } },
    figures: toFigures(faults, targets, equal),
  });
}

async function proveOnOwnLedger(keyText: string, seed: number): Promise<FaultProof> {
  const system = await createLiveSystem();
  const config = readConfig({
    ...system.env,
    DATABASE_URL: system.databaseUrl,
    WEBHOOK_ALLOW_LOOPBACK: 'true',
    WEBHOOK_TIMEOUT_MS: String(limitsMs.whole),
    WEBHOOK_CONNECT_MS: String(limitsMs.connect),
  });
  const rig = await createWebhookRig({ config, keyText, random: createRandom(seed) });
  try {
    return await proveFaults(rig);
  } finally {
    await rig.close();
    await system.close();
  }
}

function toFigures(faults: FaultProof, targets: TargetProof, equal: number) {
  const { runs } = faults;
  const none = (name: string, value: number) => ({ name, value, bound: 0, holds: 'at most' }) as const;
  const least = (name: string, value: number, bound: number) =>
    ({ name, value, bound, holds: 'at least' }) as const;
  return [
    least('faults of receivers tried', runs.length, 9),
    none('faults not treated as documented', runs.filter((run) => !run.asDocumented).length),
    none(
      'deliveries that came with more than one webhook-id',
      runs.filter(({ ids }) => (ids ?? 0) > 1).length,
    ),
    {
      name: 'bytes taken of an answer of 100 MB',
      value: faults.floodBytes,
      bound: 20_000_000,
      holds: 'at most',
    } as const,
    least('spellings of private targets tried', targets.spellings, 40),
    none('spellings that the API took', targets.registered.length),
    none('spellings that the sender did not refuse', targets.notRefused.length),
    none('names turned private that the sender did not refuse', targets.reboundNotRefused.length),
    none('connections to the canary by spellings and rebinding', targets.reached),
    none('connections to the canary by redirects', faults.redirectReached),
    least('connections to the canary where the guard is open (control)', faults.controlReached, 1),
    none('messages that the public package does not verify', 100 - faults.verified),
    least('random bodies signed as the public package does', equal, bodies),
  ];
}
