// The real model behind the cache: what is asked twice runs once, says the same to the last digit, and depends on
// nobody whose run was dropped or failed.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../shared/config.ts';
import { type InferenceResult, type InferenceStats, type Pool, startInference } from '../models/inference.ts';
import { createRegistry } from '../models/registry.ts';
import { createCachedInference, describeCacheUse } from './cached-inference.ts';
import { createResultCache } from './result-cache.ts';

const modelsDir = readConfig().MODELS_DIR;
const registry = createRegistry(modelsDir);
const models = ['emotion', 'reasoning', 'embedding'].flatMap((name) => registry.resolve(name) ?? []);
const restarts: string[] = [];
const inference = await startInference({
  modelsDir,
  models,
  threads: 1,
  device: 'cpu',
  deviceFallback: 'none',
  faultInjection: true,
  microBatchItemsMax: 8,
  timeoutMs: 4000,
  onRestart: (reason) => restarts.push(reason),
});
test.after(() => inference.close());

/** The texts that went to the model process since the test began, pool by pool. */
const sent: (readonly string[])[] = [];
const cache = createResultCache({ bytesMax: 2 ** 24, ageMsMax: 3_600_000 });
const cached = createCachedInference(
  {
    ...inference,
    predict: (pool) => {
      sent.push(pool.items.map(({ text }) => text));
      assert.ok(pool.items.every((item) => !('scope' in item)));
      return inference.predict(pool);
    },
  },
  cache,
);
test.before.each(() => {
  cache.close();
  cache.open();
  sent.length = 0;
  restarts.length = 0;
});

const optionsOf: Readonly<Record<string, Readonly<Record<string, unknown>>>> = Object.fromEntries(
  registry.analyzers.map(({ kind, optionsSchema }) => [kind, optionsSchema.parse({})]),
);

interface Asked {
  readonly scope?: string;
  readonly kind?: string;
  readonly urgency?: number;
  readonly dropped?: Set<number>;
  readonly onEach?: Pool['onResults'];
}

async function ask(
  texts: readonly string[],
  { scope = 'a', kind = 'emotion', urgency = 0, dropped = new Set(), onEach = () => undefined }: Asked = {},
): Promise<{ readonly results: readonly InferenceResult[]; readonly stats: InferenceStats }> {
  const got = new Map<number, InferenceResult>();
  const options = optionsOf[kind] ?? {};
  const version = registry.resolve(kind)?.version ?? '';
  const stats = await cached.predict({
    kind,
    version,
    items: texts.map((text) => ({ text, options, scope })),
    urgency,
    dropped,
    onResults: (results, microBatch, so_far) => {
      for (const result of results) {
        assert.not.ok(got.has(result.index), `item ${result.index} came twice`);
        got.set(result.index, result);
      }
      onEach(results, microBatch, so_far);
    },
  });
  assert.is(got.size, texts.length, 'each item has a result');
  return { results: texts.flatMap((_, index) => got.get(index) ?? []), stats };
}

const outputsOf = (results: readonly InferenceResult[]) => results.map(({ output }) => output);
const codesOf = (results: readonly InferenceResult[]) => results.map(({ error }) => error?.code);
const numbered = (count: number) =>
  Array.from({ length: count }, (_, index) => `I am number ${index} ${'and happy '.repeat(index % 17)}`);

/** Equal, and numbers as near as those of a text in two micro-batches are. */
function assertAlike(actual: unknown, expected: unknown): void {
  if (typeof actual === 'number' && typeof expected === 'number') {
    assert.ok(Math.abs(actual - expected) <= 0.000_02, `${actual} is not about ${expected}`);
  } else if (isObject(actual) && isObject(expected)) {
    assert.equal(Object.keys(actual), Object.keys(expected));
    for (const [key, value] of Object.entries(actual)) assertAlike(value, Reflect.get(expected, key));
  } else assert.is(actual, expected);
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;

test('gives what the model gave, byte by byte, which is what it gives to the text alone or beside others', async () => {
  for (const kind of ['emotion', 'reasoning', 'embedding']) {
    const texts = ['I was late because the bus broke down. I hate that.', ...numbered(20)];
    const first = await ask(texts, { kind });
    assert.is(describeCacheUse(first.results), 'miss');
    const again = await ask([...texts].reverse(), { kind });
    assert.is(describeCacheUse(again.results), 'hit');
    assert.is(again.stats.microBatches, 0);
    assert.equal(outputsOf([...again.results].reverse()), outputsOf(first.results));
    cache.close();
    cache.open();
    const [alone] = (await ask(texts.slice(0, 1), { kind })).results;
    assert.is(alone?.cached, false);
    assertAlike(JSON.parse(alone?.output ?? ''), JSON.parse(first.results[0]?.output ?? ''));
    const [kept] = (await ask(texts.slice(0, 1), { kind })).results;
    cache.close();
    cache.open();
    const [fresh] = (await ask(texts.slice(0, 1), { kind })).results;
    assert.equal([kept?.cached, kept?.output], [true, alone?.output]);
    assert.equal([fresh?.cached, fresh?.output], [false, alone?.output]);
  }
});

test('runs a thousand equal texts in flight once', async () => {
  const pools = await Promise.all(
    Array.from({ length: 10 }, () => ask(Array.from({ length: 100 }, () => 'The same'))),
  );
  assert.equal(sent, [['The same']]);
  const results = pools.flatMap((pool) => pool.results);
  assert.is(results.length, 1000);
  assert.is(new Set(outputsOf(results)).size, 1);
  assert.is(results.filter((result) => result.cached === false).length, 1);
});

test('lets an urgent item wait for no pool that is less urgent', async () => {
  const patient = ask(['The same', 'Another'], { urgency: 5 });
  const urgent = ask(['The same'], { urgency: 1 });
  const late = ask(['The same'], { urgency: 5 });
  const outcomes = await Promise.all([patient, urgent, late]);
  assert.equal(sent, [['The same', 'Another'], ['The same']]);
  assert.ok(outcomes.every(({ results }) => codesOf(results).every((code) => code === undefined)));
});

test('a pool of known, waiting and new items sends only the new ones', async () => {
  await ask(['known']);
  const both = await Promise.all([ask(['first', 'known', 'first']), ask(['new', 'first', 'known'])]);
  assert.equal(sent, [['known'], ['first'], ['new']]);
  assert.equal(
    both.map(({ results }) => results.map((result) => result.cached)),
    [
      [false, true, true],
      [false, true, true],
    ],
  );
  assert.equal(
    both.map(({ results }) => describeCacheUse(results)),
    ['mixed', 'mixed'],
  );
});

test('tenants share nothing, neither what is kept nor what is in the model', async () => {
  const [one, other] = await Promise.all([ask(['Alike'], { scope: 'a' }), ask(['Alike'], { scope: 'b' })]);
  assert.equal(sent, [['Alike'], ['Alike']]);
  assert.equal([describeCacheUse(one.results), describeCacheUse(other.results)], ['miss', 'miss']);
  assert.is(describeCacheUse((await ask(['Alike'], { scope: 'c' })).results), 'miss');
  assert.equal(outputsOf(one.results), outputsOf(other.results));
});

test('runs the next that waits when the one that runs is dropped before it begins', async () => {
  const ahead = ask(numbered(40));
  const dropped = new Set<number>();
  const first = ask(['Wanted twice', 'Wanted once'], { dropped });
  const second = ask(['Wanted twice', 'Wanted twice'], { scope: 'a' });
  const third = ask(['Wanted twice']);
  for (const index of [0, 1]) dropped.add(index);
  await ahead;
  assert.equal(codesOf((await first).results), ['dropped', 'dropped']);
  const { results } = await second;
  assert.equal(
    results.map(({ cached: from }) => from),
    [false, true],
  );
  assert.equal(outputsOf((await third).results), outputsOf(results).slice(0, 1));
  assert.equal(sent.slice(1), [['Wanted twice', 'Wanted once'], ['Wanted twice']]);
});

test('tells an item that waits that it was dropped, and those after it are run', async () => {
  const [lead, wait] = [new Set<number>(), new Set<number>()];
  const pools = [
    ask([...numbered(40), 'Contested'], { dropped: lead }),
    ask(['Contested', 'Another'], { dropped: wait }),
    ask(['Contested']),
  ];
  wait.add(0);
  lead.add(40);
  const results = await Promise.all(pools.map(async (pool) => (await pool).results));
  assert.is(results[0]?.[40]?.error?.code, 'dropped');
  assert.equal(codesOf(results[1] ?? []), ['dropped', undefined]);
  assert.equal([results[2]?.[0]?.cached, results[2]?.[0]?.error], [false, undefined]);
});

test('gives a dropped item nothing, though its result is known', async () => {
  await ask(['known']);
  const { results } = await ask(['known', 'known'], { dropped: new Set([1]) });
  assert.equal([results[0]?.cached, results[1]?.error?.code], [true, 'dropped']);
});

test('equal items share a failure, which is not kept, and nobody else has it', async () => {
  const poison = 'I am soma:fault:abort';
  const texts = [...numbered(12), poison, poison, poison];
  const { results } = await ask(texts);
  assert.equal(
    codesOf(results),
    texts.map((text) => (text === poison ? 'item_crashed_model' : undefined)),
  );
  const deaths = restarts.length;
  assert.ok(deaths >= 2, `${deaths} deaths`);
  const alone = await ask([poison, texts[0] ?? '']);
  assert.equal(codesOf(alone.results), ['item_crashed_model', undefined]);
  assert.is(alone.results[1]?.cached, true);
  assert.ok(restarts.length >= deaths + 2, 'the poison was tried again');
});

test('an item that cannot be prepared fails each time', async () => {
  const text = 'soma:fault:throw';
  for (let round = 1; round <= 2; round++) {
    const { results } = await ask([text]);
    assert.equal(codesOf(results), ['preparation_failed']);
    assert.is(describeCacheUse(results), 'none');
    assert.is(sent.length, round);
  }
});

test('keeps nothing that was in the model when its tenant was erased', async () => {
  const running = ask(['Secret', ...numbered(20)]);
  cache.forget(['a']);
  assert.is(describeCacheUse((await running).results), 'miss');
  assert.is(describeCacheUse((await ask(['Secret'])).results), 'miss');
  assert.is(describeCacheUse((await ask(['Secret'])).results), 'hit');
});

test('lets everything through while the cache is closed', async () => {
  cache.close();
  const { results } = await ask(['One', 'One']);
  assert.equal(describeCacheUse(results), 'none');
  cache.open();
  assert.is(describeCacheUse((await ask(['One'])).results), 'miss');
});

test('those that wait for a pool that cannot be run try for themselves', async () => {
  let broken = true;
  const shaky = createCachedInference(
    {
      ...inference,
      predict: (pool) => {
        if (!broken) return inference.predict(pool);
        broken = false;
        return Promise.reject(new Error('no process'));
      },
    },
    cache,
  );
  const item = { text: 'Patient', options: optionsOf['emotion'] ?? {}, scope: 'a' };
  const pool = { kind: 'emotion', version: registry.resolve('emotion')?.version ?? '' };
  const got: InferenceResult[] = [];
  const first = shaky.predict({ ...pool, items: [item, item], onResults: (results) => got.push(...results) });
  const second = shaky.predict({ ...pool, items: [item], onResults: (results) => got.push(...results) });
  await first.then(
    () => assert.unreachable('the first has no process'),
    (error: unknown) => assert.match(String(error), 'no process'),
  );
  await second;
  assert.equal([got.length, got[0]?.cached], [1, false]);
});

test.run();
