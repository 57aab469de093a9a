// What the result cache is worth and what it gives away: how long a known text takes beside a new one, how often equal
// texts in flight are run, and whether a tenant can tell by the clock what another one has asked.

import { z } from 'zod';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { makeTenant, openLedger } from './ledger.ts';
import { allowedCores } from './machine.ts';
import { readMetrics, sumSamples } from './metrics-page.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, quantile, round, startReport, writeReport } from './report.ts';
import { startSystem } from './system.ts';
import { generateTexts } from './texts.ts';
import { warmUpRequests } from './warm-up.ts';

/** Their requests warm the system up; as many tenants as that takes without a limit. */
const strangersMax = 12;
const warmUpInFlight = 16;
/** A tenant may send 300 requests a minute: two probes each, and a little before. */
const probes = 100;
const equalJobs = 10;
const textsPerJob = 100;

const answerSchema = z.object({ status: z.string(), execution: z.object({ cache: z.string() }) });

interface Probe {
  readonly what: 'known' | 'new' | 'known to another' | 'known to nobody';
  readonly ms: number;
  readonly cache: string;
}

/** @returns whether hits are quick, equal texts run once, and nobody learns of another's. */
export async function measureCache({ seed }: BenchOptions): Promise<boolean> {
  const started = startReport();
  const ledger = openLedger();
  const [owner, rival] = [
    await makeTenant(ledger, 'owner', 'premium'),
    await makeTenant(ledger, 'rival', 'premium'),
  ];
  const strangers = await Promise.all(
    Array.from({ length: strangersMax }, (_, index) => makeTenant(ledger, `stranger ${index}`, 'premium')),
  );
  await ledger.end();
  const cores = allowedCores().slice(0, 1);
  const system = await startSystem({ cores, cache: true, env: { AUTH: 'on' } });
  const client = createHttpClient(system.url, { connectionsMax: 20, timeoutMs: 60_000 });
  const texts = generateTexts(4 * probes, seed);
  const known = texts.slice(0, probes);
  const first = strangers.flatMap(({ authorization }, index) =>
    generateTexts(warmUpRequests / strangersMax, seed + 1 + index).map((text) =>
      requestOf(authorization, [text]),
    ),
  );
  await sendAll(client, first, warmUpInFlight);
  await ask(client, owner.authorization, known);
  await ask(client, rival.authorization, texts.slice(3 * probes));
  const measured: Probe[] = [];
  for (let index = 0; index < probes; index++) {
    const [old = '', mine = '', nobodys = ''] = [0, 1, 2].map((part) => texts[part * probes + index]);
    const rounds = [
      ['known', owner, old],
      ['known to another', rival, old],
      ['new', owner, mine],
      ['known to nobody', rival, nobodys],
    ] as const;
    // In turn forwards and backwards, so that no sort always follows the same other.
    for (const [what, { authorization }, text] of index % 2 === 0 ? rounds : rounds.toReversed())
      measured.push({ what, ...(await ask(client, authorization, [text])) });
  }
  const before = await readMetrics(system.workerUrls);
  const equal = Array.from({ length: textsPerJob }, () => `All of us say the same, ${seed} times.`);
  await Promise.all(Array.from({ length: equalJobs }, () => ask(client, owner.authorization, equal)));
  const runs = (page: string) => sumSamples(page, 'soma_items_inferred_total{');
  const inferences = runs(await readMetrics(system.workerUrls)) - runs(before);
  client.close();
  await system.stop();

  const msOf = (what: Probe['what']) => measured.filter((one) => one.what === what).map(({ ms }) => ms);
  const kinds = ['known', 'new', 'known to another', 'known to nobody'] as const;
  const summary = kinds.map((what) => ({
    what,
    p50Ms: round(median(msOf(what)), 2),
    p95Ms: round(quantile(msOf(what), 0.95), 2),
    hits: measured.filter((one) => one.what === what && one.cache === 'hit').length,
  }));
  printTable(
    ['text', 'p50 ms', 'p95 ms', `hits of ${probes}`],
    summary.map((one) => Object.values(one)),
  );
  const leak = round(median(msOf('known to another')) / median(msOf('known to nobody')), 3);
  const figure = (name: string, value: number, holds: 'at least' | 'at most', bound: number) =>
    ({ name, value, holds, bound }) as const;
  return writeReport(started, {
    part: 'cache',
    seed,
    kind: 'emotion',
    settings: {
      warmUpRequests,
      probes,
      equalTexts: equalJobs * textsPerJob,
      workers: cores.length,
      cache: 'on',
    },
    rounds: measured,
    summary,
    figures: [
      figure(
        'a known text, submit to result over HTTP, p95 ms',
        summary[0]?.p95Ms ?? Number.NaN,
        'at most',
        15,
      ),
      figure('known texts that were hits', summary[0]?.hits ?? Number.NaN, 'at least', probes),
      figure('inferences of 1,000 equal texts in flight', inferences, 'at most', 1),
      figure("hits on another tenant's texts", summary[2]?.hits ?? Number.NaN, 'at most', 0),
      figure('known to another / known to nobody, median time', leak, 'at least', 0.9),
      figure('the same, the other way', round(1 / leak, 3), 'at least', 0.9),
    ],
  });
}

function requestOf(authorization: string, texts: readonly string[]): Buffer {
  return buildRequest('POST', '/v1/jobs', {
    body: { kind: 'emotion', input: { texts } },
    headers: { Authorization: authorization, Prefer: 'wait=30' },
  });
}

/** Submits and waits for the end. @throws Error if it is not a success */
async function ask(
  client: HttpClient,
  authorization: string,
  texts: readonly string[],
): Promise<{ readonly ms: number; readonly cache: string }> {
  const request = requestOf(authorization, texts);
  const sentMs = performance.now();
  const { body } = await client.send(request);
  const ms = round(performance.now() - sentMs, 3);
  const { status, execution } = answerSchema.parse(JSON.parse(body));
  if (status !== 'succeeded') throw new Error(`a probe ended as ${status}`);
  return { ms, cache: execution.cache };
}
