// Whatever happens to the process that holds the models, exactly the item that caused it fails.

import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { packageRoot, readConfig } from '../shared/config.ts';
import { type Inference, type InferenceResult, startInference } from './inference.ts';
import { createRegistry } from './registry.ts';

const modelsDir = readConfig().MODELS_DIR;
const model = createRegistry(modelsDir).resolve('emotion');
if (model === undefined) throw new Error('no emotion model');
const { kind, version } = model;
const restarts: string[] = [];
const options = {
  modelsDir,
  models: [{ kind, version }],
  threads: 1,
  device: 'cpu',
  deviceFallback: 'none',
  faultInjection: true,
  nice: 3,
  microBatchItemsMax: 8,
  timeoutMs: 4000,
} as const;
const inference = await startInference({ ...options, onRestart: (reason) => restarts.push(reason) });
test.before.each(() => {
  restarts.length = 0;
});
test.after(() => inference.close());

/** A text that says the same at each call, of another length for each index. */
const innocent = (index: number): string => `I am number ${index} ${'and happy '.repeat(index % 17)}`;

async function predict(
  texts: readonly string[],
  onEach: (results: readonly InferenceResult[]) => void = () => undefined,
): Promise<readonly InferenceResult[]> {
  const got = new Map<number, InferenceResult>();
  const options = { granularity: 'document', include_all: true, context_messages: [] };
  await inference.predict({
    kind,
    version,
    items: texts.map((text) => ({ text, options })),
    onResults: (results) => {
      for (const result of results) {
        assert.not.ok(got.has(result.index), `item ${result.index} came twice`);
        got.set(result.index, result);
      }
      onEach(results);
    },
  });
  assert.is(inference.pending(), 0);
  return texts.flatMap((_, index) => got.get(index) ?? []);
}

async function assertOnlyPoisonFails(poison: string, code: string): Promise<void> {
  const at = [3, 41];
  const texts = Array.from({ length: 60 }, (_, index) =>
    at.includes(index) ? `${poison} ${index}` : innocent(index),
  );
  const results = await predict(texts);
  assert.is(results.length, texts.length);
  assert.equal(
    results.flatMap(({ index, error }) => (error === undefined ? [] : [[index, error.code]])),
    at.map((index) => [index, code]),
  );
  const alone = await predict([texts[20] ?? '']);
  assert.equal(results[20]?.output, alone[0]?.output);
}

test('fails exactly the items that throw, without a restart', async () => {
  await assertOnlyPoisonFails('soma:fault:throw', 'preparation_failed');
  assert.equal(restarts, []);
});

test('fails exactly the items that crash the process', async () => {
  await assertOnlyPoisonFails('soma:fault:abort', 'item_crashed_model');
  assert.ok(restarts.length >= 2 && restarts.every((reason) => reason === 'crash'));
});

test('fails exactly the item that hangs the process', async () => {
  const results = await predict([innocent(1), 'soma:fault:hang', innocent(2)]);
  assert.equal(
    results.map(({ error }) => error?.code),
    [undefined, 'item_timed_out', undefined],
  );
  assert.ok(restarts.includes('timeout'));
});

test('finishes every item when the process is killed from outside', async () => {
  let killed = false;
  const texts = Array.from({ length: 80 }, (_, index) => `soma:fault:slow ${innocent(index)}`).slice(0, 24);
  const results = await predict(texts, (batch) => {
    if (killed || batch.length === 0) return;
    killed = true;
    for (const pid of childrenOf(process.pid)) process.kill(pid, 'SIGKILL');
  });
  assert.ok(killed);
  assert.equal(
    results.map(({ index, error }) => [index, error]),
    texts.map((_, index) => [index, undefined]),
  );
  assert.equal(restarts, ['crash']);
});

test('runs an urgent pool between two micro-batches of another', async () => {
  const order: string[] = [];
  const send = (name: string, count: number, urgency: number) =>
    inference.predict({
      kind,
      version,
      urgency,
      items: Array.from({ length: count }, (_, index) => ({
        text: `soma:fault:slow ${innocent(index)}`,
        options: {},
      })),
      onResults: (results) => order.push(...results.map(() => name)),
    });
  await Promise.all([send('patient', 40, 3), send('urgent', 1, 1)]);
  assert.is(order.length, 41);
  assert.ok(order.indexOf('urgent') < 33, order.join(' '));
});

test('blames no item for a crash that another pool causes meanwhile', async () => {
  const poison = ['soma:fault:abort', 'soma:fault:abort too'];
  const [patient, urgent] = await Promise.all([
    predictWith(
      Array.from({ length: 30 }, (_, index) => innocent(index)),
      3,
    ),
    predictWith([...poison, innocent(1)], 1),
  ]);
  assert.equal(
    patient.map(({ error }) => error),
    patient.map(() => undefined),
  );
  assert.is(patient.length, 30);
  assert.equal(
    urgent.toSorted((a, b) => a.index - b.index).map(({ error }) => error?.code),
    ['item_crashed_model', 'item_crashed_model', undefined],
  );
});

async function predictWith(texts: readonly string[], urgency: number): Promise<readonly InferenceResult[]> {
  const all: InferenceResult[] = [];
  const items = texts.map((text) => ({ text, options: {} }));
  await inference.predict({ kind, version, urgency, items, onResults: (results) => all.push(...results) });
  return all;
}

test('leaves no process behind that hangs when its parent is killed', async () => {
  const script = `
    import { startInference } from './dist/models/inference.js';
    const inference = await startInference(${JSON.stringify({ ...options, faultInjection: true })});
    const items = [{ text: 'soma:fault:hang', options: {} }];
    const hang = { kind: ${JSON.stringify(kind)}, version: ${JSON.stringify(version)}, items, onResults: () => undefined };
    console.log('hangs');
    await inference.predict(hang);`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: packageRoot,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => parent.stdout.once('data', resolve));
  const [child] = childrenOf(parent.pid ?? 0);
  if (child === undefined) throw new Error('no inference process');
  await delay(500);
  parent.kill('SIGKILL');
  const deadline = performance.now() + 20_000;
  while (isAlive(child) && performance.now() < deadline) await delay(50);
  assert.not.ok(isAlive(child));
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('lets the model step back, and not the process that asks it', () => {
  const own = getPriority();
  assert.equal(childrenOf(process.pid).map(getPriority), [Math.max(own, options.nice)]);
});

test('takes an empty pool and several pools at once', async () => {
  const [none, some, more] = await Promise.all([
    predictBare(inference, []),
    predictBare(inference, ['a']),
    predictBare(inference, ['b', 'c']),
  ]);
  assert.equal([none, some, more], [0, 1, 2]);
});

async function predictBare(of: Inference, texts: readonly string[]): Promise<number> {
  let count = 0;
  const items = texts.map((text) => ({ text, options: {} }));
  await of.predict({ kind, version, items, onResults: (results) => (count += results.length) });
  return count;
}

/** Ids of the inference processes that `pid` started. */
function childrenOf(pid: number): number[] {
  const listed = execFileSync('ps', ['-o', 'pid=,ppid=,args=', '-A'], { encoding: 'utf8' });
  return listed.split('\n').flatMap((line) => {
    const [, child, parent] = /^\s*(\d+)\s+(\d+)\s.*inference-process/.exec(line) ?? [];
    return Number(parent) === pid ? [Number(child)] : [];
  });
}

test.run();
