// Batches at full size: throughput beside the bare model, 100,000 lines through two crashes, and the same lines twice.

import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { type Address, countItems, readResults, type Result, untilEnded, upload } from './batch-client.ts';
import { type CeilingRound, startCeiling } from './ceiling.ts';
import { type CpuTimes, microsecondsPerText, readCpuTimes } from './cpu-time.ts';
import { allowedCores } from './machine.ts';
import type { BenchOptions } from './options.ts';
import { median, printTable, round, startReport, writeReport } from './report.ts';
import { type RunningProcess, startApi, startDispatcher, startWorker } from './system.ts';
import { generateTexts, readTexts } from './texts.ts';

const largeLines = 100_000;
const twiceLines = 10_000;
/** Slow enough that results come while lines go out: an upload of 100,000 lines would be through in a few seconds. */
const uploadLinesPerSecond = 10_000;
const sampleMs = 100;

/** The processes, of which any may be killed and started again. */
interface Parts {
  api: RunningProcess;
  workers: RunningProcess[];
  readonly dispatcher: RunningProcess;
  readonly cores: readonly number[];
}

/** @returns whether all figures are reached. */
export async function measureBatch(options: BenchOptions): Promise<boolean> {
  const started = startReport();
  const cores = allowedCores().slice(0, 2);
  const parts: Parts = {
    api: await startApi(),
    dispatcher: await startDispatcher(),
    workers: await Promise.all(cores.map(startWorker)),
    cores,
  };
  await delay(5000);
  const speed = await measureSpeed(parts, options);
  const twice = await measureTwice(parts, options.seed);
  const large = await measureLarge(parts, options.seed);
  await Promise.all([parts.api, parts.dispatcher, ...parts.workers].map((one) => one.stop()));
  printTable(
    ['batch', 'texts/s', 'of ceiling', 'by CPU', ...Object.keys(speed.cpu).map((name) => `${name} µs`)],
    [['jobs of a batch', speed.textsPerSecond, speed.ratio, speed.cpuRatio, ...Object.values(speed.cpu)]],
  );
  console.log({ twice, large });
  return writeReport(started, {
    part: 'batch',
    seed: options.seed,
    kind: 'emotion',
    settings: { ...options, cores, largeLines, twiceLines, uploadLinesPerSecond },
    rounds: speed.rounds,
    summary: { speed: { ...speed, rounds: undefined }, twice, large },
    figures: [
      { name: 'batch: texts per second / bare model', value: speed.ratio, bound: 0.75, holds: 'at least' },
      {
        name: 'first result, s after the first line',
        value: large.firstResultSeconds,
        bound: 2,
        holds: 'at most',
      },
      {
        name: 'lines still to be sent at the first result',
        value: large.linesLeftAtFirst,
        bound: 1,
        holds: 'at least',
      },
      { name: 'memory growth of the API, MB', value: large.growthMb, bound: 150, holds: 'at most' },
      { name: 'crashes of API and worker', value: large.crashes, bound: 2, holds: 'at least' },
      { name: 'lines without exactly one result', value: large.wrong, bound: 0, holds: 'at most' },
      { name: 'lines that did not succeed', value: largeLines - large.succeeded, bound: 0, holds: 'at most' },
      { name: 'items doubled: sent twice with one key', value: twice.sentTwice, bound: 0, holds: 'at most' },
      { name: 'items doubled: resumed after a kill', value: twice.resumed, bound: 0, holds: 'at most' },
    ],
  });
}

function toLines(texts: readonly string[]): string[] {
  return texts.map((text, index) => `${JSON.stringify({ custom_id: `line-${index}`, text })}\n`);
}

interface SpeedRound {
  readonly textsPerSecond: number;
  readonly ratio: number;
  readonly cpuRatio: number;
  readonly ceiling: CeilingRound;
  readonly cpu: CpuTimes;
}

/** Bare model and batch by turns: from the first byte sent until the batch has ended. */
async function measureSpeed(parts: Parts, options: BenchOptions) {
  const { texts } = readTexts(options.texts, options.seed);
  const lines = toLines(texts);
  const ceiling = await startCeiling({ kind: 'emotion', texts, cores: parts.cores });
  const address = () => parts.api.url;
  const pids = {
    api: parts.api.pid,
    dispatcher: parts.dispatcher.pid,
    analysis: parts.workers.map(({ pid }) => pid),
  };
  const rounds: SpeedRound[] = [];
  for (let number = -1; number < options.rounds; number++) {
    const bare = await ceiling.run();
    const before = readCpuTimes(pids);
    const startMs = Date.now();
    const batch = await upload(address, {
      lines,
      query: 'kind=emotion&on_invalid=skip',
      key: `speed ${number}`,
    });
    const ended = await untilEnded(address, batch.id);
    const cpu = microsecondsPerText(before, readCpuTimes(pids), texts.length);
    if (ended.counts.succeeded !== texts.length) throw new Error(`${ended.counts.succeeded} texts succeeded`);
    const seconds = (Date.parse(ended.ended_at ?? '') - startMs) / 1000;
    const textsPerSecond = Math.round(texts.length / seconds);
    const spent = Object.values(cpu).reduce((sum, value) => sum + value, 0);
    // The first round warms up.
    if (number < 0) continue;
    rounds.push({
      textsPerSecond,
      ratio: textsPerSecond / bare.textsPerSecond,
      cpuRatio: bare.cpuMicrosecondsPerText / spent,
      ceiling: bare,
      cpu,
    });
  }
  ceiling.close();
  const names = Object.keys(rounds[0]?.cpu ?? {});
  return {
    rounds,
    textsPerSecond: median(rounds.map((one) => one.textsPerSecond)),
    ratio: round(median(rounds.map((one) => one.ratio)), 3),
    cpuRatio: round(median(rounds.map((one) => one.cpuRatio)), 3),
    cpu: Object.fromEntries(names.map((name) => [name, median(rounds.map((one) => one.cpu[name] ?? 0))])),
  };
}

/** 10,000 lines sent twice with one key, and others whose upload the API did not survive: items beyond one a line. */
async function measureTwice(parts: Parts, seed: number): Promise<{ sentTwice: number; resumed: number }> {
  const address = () => parts.api.url;
  const query = 'kind=emotion&on_invalid=skip';
  const lines = toLines(generateTexts(twiceLines, seed + 1));
  const first = await upload(address, { lines, query, key: 'twice' });
  const second = await upload(address, { lines, query, key: 'twice' });
  if (first.id !== second.id) throw new Error('the second upload made another batch');
  const sentTwice = await countDoubled(address, first.id);
  let killed: Promise<void> | undefined;
  const onSent = (sent: number): void => {
    if (sent >= twiceLines / 2) killed ??= crash(parts, { worker: false });
  };
  const resumed = await upload(address, { lines, query, key: 'resumed', rate: 5000, onSent });
  await killed;
  return { sentTwice, resumed: await countDoubled(address, resumed.id) };
}

async function countDoubled(address: Address, id: string): Promise<number> {
  const results: Result[] = [];
  await readResults(address, id, (result) => results.push(result));
  const missing = twiceLines - new Set(results.map((result) => result.custom_id)).size;
  if (missing > 0) throw new Error(`${missing} lines have no result`);
  return Math.max(results.length, await countItems(address, results)) - twiceLines;
}

/** 100,000 lines, with API and a worker killed in the middle of the upload and in the middle of the results. */
async function measureLarge(parts: Parts, seed: number) {
  const address = () => parts.api.url;
  const lines = toLines(generateTexts(largeLines, seed));
  const memory = watchMemory(parts);
  const seen = new Map<string, number>();
  let succeeded = 0;
  let sent = 0;
  const first = { atMs: Number.NaN, linesLeft: 0 };
  const crashes: Promise<void>[] = [];
  const startMs = performance.now();
  let reading: Promise<void> | undefined;
  const onResult = ({ custom_id: customId, status }: Result): void => {
    if (seen.size === 0) Object.assign(first, { atMs: performance.now(), linesLeft: largeLines - sent });
    seen.set(customId, (seen.get(customId) ?? 0) + 1);
    if (status === 'succeeded') succeeded += 1;
    if (seen.size === largeLines / 2 && crashes.length === 1) crashes.push(crash(parts, { worker: true }));
  };
  const batch = await upload(address, {
    lines,
    query: 'kind=emotion&on_invalid=skip',
    key: 'large',
    rate: uploadLinesPerSecond,
    onNamed: (id) => (reading ??= readResults(address, id, onResult)),
    onSent: (count) => {
      sent = count;
      if (sent >= largeLines * 0.4 && crashes.length === 0) crashes.push(crash(parts, { worker: true }));
    },
  });
  const uploadSeconds = (performance.now() - startMs) / 1000;
  await reading;
  await Promise.all(crashes);
  const ended = await untilEnded(address, batch.id);
  const twice = [...seen.values()].filter((times) => times !== 1).length;
  return {
    firstResultSeconds: round((first.atMs - startMs) / 1000, 2),
    linesLeftAtFirst: first.linesLeft,
    uploadSeconds: round(uploadSeconds, 1),
    totalSeconds: round((performance.now() - startMs) / 1000, 1),
    growthMb: memory.stop(),
    crashes: crashes.length,
    wrong: largeLines - seen.size + twice,
    succeeded: ended.counts.succeeded,
    endReason: ended.end_reason,
    shown: succeeded,
  };
}

/** Kills the API, and a worker with it, and starts them again. */
async function crash(parts: Parts, also: { readonly worker: boolean }): Promise<void> {
  const victim = also.worker ? parts.workers.shift() : undefined;
  await Promise.all([parts.api.kill(), victim?.kill()]);
  parts.api = await startApi();
  if (victim !== undefined) parts.workers.push(await startWorker(parts.cores[0] ?? 0));
}

/** The largest growth of the API's resident memory since it started, in MB of 10^6 bytes, over all its lives. */
function watchMemory(parts: Parts): { readonly stop: () => number } {
  const atFirst = new Map<number, number>();
  let growth = 0;
  const look = (): void => {
    const bytes = residentBytes(parts.api.pid);
    if (bytes === undefined) return;
    if (!atFirst.has(parts.api.pid)) atFirst.set(parts.api.pid, bytes);
    growth = Math.max(growth, bytes - (atFirst.get(parts.api.pid) ?? bytes));
  };
  look();
  const timer = setInterval(look, sampleMs);
  return {
    stop: () => {
      clearInterval(timer);
      return Math.round(growth / 1e6);
    },
  };
}

function residentBytes(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
