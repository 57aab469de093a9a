// `npm run bench:peers`: Soma beside the ways in which people serve such a model from Python, round by round in turn on
// the same cores, each with the same ONNX file, vocabulary and texts; the others are stopped meanwhile, since some of them
// use a good part of a core while they have nothing to do. Soma and Celery are done when the last result is
// stored in Postgres, the others, which store nothing, when the last answer is there.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { loadNormalizer } from '../models/normalize.ts';
import { createRegistry } from '../models/registry.ts';
import { openArtifact } from '../models/repository.ts';
import { loadTokenizer } from '../models/tokenizer.ts';
import { packageRoot, readConfig } from '../shared/config.ts';
import { listTree, readTreeSeconds } from './cpu-time.ts';
import { buildRequest, createHttpClient, type HttpClient, sendAll } from './http-client.ts';
import { readOptions } from './options.ts';
import { type PeerName, type PeerServer, signalAll, startPeer } from './peer-servers.ts';
import { ensurePython } from './python-env.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { drain } from './stage.ts';
import { migrate, startSystem, type System } from './system.ts';
import { readTexts } from './texts.ts';

const peerNames: readonly PeerName[] = ['celery', 'fastapi', 'litserve', 'bentoml'];
const sizes = [1, 16] as const;
const inFlight = { 1: 64, 16: 16 } as const;
/** Enough for every size and round that the ratios are of seconds, not of starts. */
const textsOfRound = 1600;
const roundMsMax = 120_000;
/** After a pause; of Soma, heartbeats are heard again by then, and the window is sized by the workers that are there. */
const settleMs = { soma: 5000, peer: 1000 } as const;

interface PeerRound {
  readonly name: 'soma' | PeerName;
  readonly textsPerRequest: number;
  readonly textsPerSecond: number;
  /** Of its own processes: for Soma and Celery without Postgres and Redis, which they share. */
  readonly cpuMicrosecondsPerText: number;
}

const bounds: readonly { peer: PeerName; size: 1 | 16; bound?: number; aim?: number }[] = [
  { peer: 'celery', size: 1, bound: 1.8, aim: 2.5 },
  { peer: 'celery', size: 16, bound: 2.4, aim: 3.2 },
  { peer: 'litserve', size: 1, bound: 1.3, aim: 1.7 },
  { peer: 'bentoml', size: 1, bound: 1.4, aim: 1.9 },
  { peer: 'fastapi', size: 1, bound: 0.9, aim: 1.1 },
  { peer: 'litserve', size: 16 },
  { peer: 'bentoml', size: 16 },
  { peer: 'fastapi', size: 16 },
];

async function main(): Promise<boolean> {
  const { options } = readOptions(process.argv.slice(2));
  const { seed, rounds: count = 5 } = options;
  const started = startReport();
  const requirements = peerNames.map((name) => `bench/peers/requirements-${name}.txt`);
  const bin = ensurePython(options.venv, requirements);
  await migrate();
  const { source, texts } = readTexts(Math.min(options.texts, textsOfRound), seed);
  checkSameTokens(bin, texts);
  const system = await startSystem();
  const peers: PeerServer[] = [];
  for (const name of peerNames) peers.push(await startPeer(name, bin));
  const contestants = [ourselves(system), ...peers.map(contestantOf)];
  // What is stopped would not notice that it is left alone.
  process.once('exit', () => contestants.forEach((one) => signalTrees(one, 'SIGCONT')));
  for (const contestant of contestants) signalTrees(contestant, 'SIGSTOP');
  const rounds: PeerRound[] = [];
  for (let number = 0; number <= count; number++) {
    for (const size of sizes) {
      for (const contestant of contestants) {
        // The first round only warms, with fewer texts.
        const own = number === 0 ? texts.slice(0, 320) : texts;
        signalTrees(contestant, 'SIGCONT');
        await delay(contestant.name === 'soma' ? settleMs.soma : settleMs.peer);
        const found = await runRound(contestant, own, size);
        signalTrees(contestant, 'SIGSTOP');
        if (number > 0) rounds.push(found);
      }
    }
  }
  for (const contestant of contestants) {
    contestant.client.close();
    signalTrees(contestant, 'SIGCONT');
  }
  await Promise.all([system.stop(), ...peers.map((peer) => peer.stop())]);
  const summary = sizes.map((size) => summarize(rounds, size));
  printSummary(summary);
  return writeReport(started, {
    part: 'peers',
    seed,
    kind: 'emotion',
    settings: {
      rounds: count,
      texts: texts.length,
      source,
      inFlight,
      workerNice: readConfig().WORKER_NICE,
      peers: 'two processes of one ONNX Runtime thread each; their settings are in the files of bench/peers',
      packages: readPackages(bin),
    },
    rounds,
    summary,
    figures: bounds.map(({ peer, size, bound, aim }) => ({
      name: `texts per second, Soma / ${peer}, ${size} per request`,
      value: summary.find((one) => one.textsPerRequest === size)?.ratios[peer] ?? Number.NaN,
      ...(bound === undefined ? {} : { bound }),
      ...(aim === undefined ? {} : { aim }),
      holds: 'at least',
    })),
  });
}

/** One that takes texts over HTTP and is done when `finish` resolves. */
interface Contestant {
  readonly name: PeerRound['name'];
  readonly client: HttpClient;
  readonly request: (texts: readonly string[]) => Buffer;
  readonly expects: number;
  /** Resolves when all texts that were ever sent are done. */
  readonly finish: (sent: number) => Promise<void>;
  /** Its processes, whose trees are its own. */
  readonly pids: readonly number[];
}

const connectionLimits = { connectionsMax: 64, timeoutMs: 60_000 };

function ourselves(system: System): Contestant {
  const { api, dispatcher, analysis } = system.pids;
  return {
    name: 'soma',
    client: createHttpClient(system.url, connectionLimits),
    request: (texts) => buildRequest('POST', '/v1/jobs', { body: { kind: 'emotion', input: { texts } } }),
    expects: 202,
    finish: async () => {
      const left = await drain(system);
      if (left > 0) throw new Error(`${left} jobs did not end`);
    },
    pids: [api, dispatcher, ...analysis],
  };
}

function contestantOf({ name, url, pids, durable }: PeerServer): Contestant {
  const client = createHttpClient(url, connectionLimits);
  let stored = 1;
  return {
    name,
    client,
    request: (texts) => buildRequest('POST', '/analyze', { body: { texts } }),
    expects: durable ? 202 : 200,
    finish: async (sent) => {
      if (!durable) return;
      stored += sent;
      await untilStored(client, stored);
    },
    pids,
  };
}

function readTreesSeconds({ pids }: Contestant): number {
  return pids.reduce((sum, pid) => sum + readTreeSeconds(pid), 0);
}

function signalTrees({ pids }: Contestant, signal: 'SIGSTOP' | 'SIGCONT'): void {
  signalAll(pids.flatMap(listTree), signal);
}

const storedSchema = z.object({ stored: z.number() });

/** The count is of the texts that were sent to see whether it is ready, too. */
async function untilStored(client: HttpClient, count: number): Promise<void> {
  const deadlineMs = performance.now() + roundMsMax;
  for (;;) {
    const { body } = await client.send(buildRequest('GET', '/stored'));
    if (storedSchema.parse(JSON.parse(body)).stored >= count) return;
    if (performance.now() > deadlineMs) throw new Error('results were not stored in time');
    await delay(100);
  }
}

async function runRound(contestant: Contestant, texts: readonly string[], size: 1 | 16): Promise<PeerRound> {
  const { name, client, expects } = contestant;
  const requests = Array.from({ length: Math.ceil(texts.length / size) }, (_, index) =>
    contestant.request(texts.slice(index * size, (index + 1) * size)),
  );
  const cpuBefore = readTreesSeconds(contestant);
  const startMs = performance.now();
  const answers = await sendAll(client, requests, inFlight[size]);
  await contestant.finish(texts.length);
  const seconds = (performance.now() - startMs) / 1000;
  const wrong = answers.find(({ status }) => status !== expects);
  if (wrong !== undefined) throw new Error(`${name} answered ${wrong.status}: ${wrong.body.slice(0, 300)}`);
  return {
    name,
    textsPerRequest: size,
    textsPerSecond: round(texts.length / seconds, 1),
    cpuMicrosecondsPerText: round(((readTreesSeconds(contestant) - cpuBefore) * 1e6) / texts.length, 0),
  };
}

/** @throws Error if the peers would run other token ids than Soma does. */
function checkSameTokens(bin: string, texts: readonly string[]): void {
  const modelsDir = readConfig().MODELS_DIR;
  const version = createRegistry(modelsDir).resolve('emotion')?.version ?? '';
  const { tokenizerFolder, manifest } = openArtifact(modelsDir, 'emotion', version);
  const tokenizer = loadTokenizer(tokenizerFolder);
  const normalize = loadNormalizer(tokenizerFolder);
  const ids = texts.map((text) => tokenizer.encode(normalize(text), manifest.tokenizer.max_tokens).ids);
  const ours = createHash('sha256').update(JSON.stringify(ids)).digest('hex');
  const theirs = execFileSync(join(bin, 'python'), ['bench/peers/model.py'], {
    cwd: packageRoot,
    input: JSON.stringify(texts),
    encoding: 'utf8',
  }).trim();
  if (ours !== theirs)
    throw new Error('bench/peers/model.py does not give the token ids of models/tokenizer.ts');
}

function readPackages(bin: string): readonly string[] {
  const args = ['-m', 'pip', 'list', '--format', 'freeze', '--disable-pip-version-check'];
  const list = execFileSync(join(bin, 'python'), args, { encoding: 'utf8' });
  const named =
    /^(bentoml|celery|fastapi|litserve|numpy|onnxruntime|psycopg|redis|tokenizers|uvicorn|uvloop)==/;
  return list.split('\n').filter((line) => named.test(line));
}

function summarize(all: readonly PeerRound[], size: number) {
  const of = (name: PeerRound['name']) =>
    all.filter((one) => one.name === name && one.textsPerRequest === size);
  const ours = of('soma').map(({ textsPerSecond }) => textsPerSecond);
  const ratioTo = (peer: PeerName) =>
    round(median(of(peer).map((one, index) => (ours[index] ?? Number.NaN) / one.textsPerSecond)), 2);
  const names = ['soma', ...peerNames] as const;
  return {
    textsPerRequest: size,
    textsPerSecond: names.map((name) => [name, median(of(name).map((one) => one.textsPerSecond))] as const),
    cpuMicrosecondsPerText: names.map(
      (name) => [name, median(of(name).map((one) => one.cpuMicrosecondsPerText))] as const,
    ),
    ratios: {
      celery: ratioTo('celery'),
      fastapi: ratioTo('fastapi'),
      litserve: ratioTo('litserve'),
      bentoml: ratioTo('bentoml'),
    },
  };
}

function printSummary(summary: readonly ReturnType<typeof summarize>[]): void {
  for (const { textsPerRequest, textsPerSecond, cpuMicrosecondsPerText, ratios } of summary) {
    printTable(
      [`${textsPerRequest} per request`, 'texts/s', 'CPU µs per text', 'Soma is'],
      textsPerSecond.map(([name, rate], index) => [
        name,
        rate,
        cpuMicrosecondsPerText[index]?.[1] ?? 0,
        name === 'soma' ? '' : `${ratios[name]}x`,
      ]),
    );
  }
}

main().then(
  (met) => process.exit(met ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof Error ? error.stack : error);
    process.exit(1);
  },
);
