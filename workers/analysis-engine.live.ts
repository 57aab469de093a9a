// The engine on a real ledger and real models, with a hand between the two: what happens at moments that no client
// can hit on purpose.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createPool } from '../db/client.ts';
import { cancelJob } from '../db/job-control.ts';
import { insertJobs, type NewJob } from '../db/submissions.ts';
import { startInference } from '../models/inference.ts';
import { createRegistry } from '../models/registry.ts';
import { createLiveSystem, newJob, until } from '../scripts/live-system.ts';
import { readConfig } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { createLog } from '../shared/log.ts';
import { type AnalysisEngine, createAnalysisEngine } from './analysis-engine.ts';
import { createCompletionWriter } from './completion-writer.ts';

const system = await createLiveSystem();
const config = readConfig({ ...system.env });
const log = createLog('analysis', 'silent');
const database = createPool(system.databaseUrl, { role: 'worker', max: 3 });
const registry = createRegistry(config.MODELS_DIR);
const model = registry.resolve('emotion');
if (model === undefined) throw new Error('no model of kind emotion');
const inference = await startInference({
  modelsDir: config.MODELS_DIR,
  models: [model],
  threads: 1,
  device: 'cpu',
  deviceFallback: 'none',
  faultInjection: false,
  microBatchItemsMax: 8,
  timeoutMs: 30_000,
  onRestart: () => undefined,
});
test.after(async () => {
  await inference.close();
  await database.end();
  await system.close();
});

test('keeps out of the model what is canceled before the worker hears that it has claimed it', async () => {
  const { version, digest } = model;
  const jobs = ['one', 'two', 'three'].map((text) =>
    newJob({ modelVersion: version, modelDigest: digest, texts: [text] }),
  );
  const [canceled, ...others] = jobs;
  if (canceled === undefined) return;
  await insertJobs(system.owner, jobs);
  // The claim is committed, its answer is on its way: here the cancel comes, and is heard first.
  const slowLedger = new Proxy(database, {
    get: (pool, name) =>
      name === 'query'
        ? async (statement: { readonly name: string; readonly text: string; readonly values: unknown[] }) => {
            const answer = await pool.query(statement);
            if (statement.name === 'start_jobs') await cancelFirst();
            return answer;
          }
        : Reflect.get(pool, name, pool),
  });
  const cancelFirst = async (): Promise<void> => {
    const moved = await cancelJob(system.owner, canceled.tenantId, canceled.id);
    assert.is(moved?.after, 'canceling');
    engine.drop([canceled.id]);
  };
  let microBatchItems = 0;
  const engine = createAnalysisEngine({
    config,
    log,
    database: slowLedger,
    inference: {
      ...inference,
      predict: (pool) =>
        inference.predict({
          ...pool,
          onResults: (results, microBatch, stats) => {
            microBatchItems += microBatch.items;
            pool.onResults(results, microBatch, stats);
          },
        }),
    },
    registry,
    writer: createCompletionWriter({ pool: database, log, flushMs: 0, groupMax: 10, attemptsMax: 5 }),
    worker: 'w',
    onRoom: () => undefined,
  });
  await Promise.all(
    jobs.map(({ tenantId, id, dispatchId, kind }) => {
      const sizes = { jobIds: [id], items: [1], characters: [3] };
      return engine.process({ tenantId, class: 1, kind, modelVersion: version, ...sizes }, dispatchId ?? '');
    }),
  );
  const { rows } = await system.owner.query('SELECT id, status FROM jobs ORDER BY id');
  assert.equal(rows, [
    { id: canceled.id, status: 'canceled' },
    ...others.map(({ id }) => ({ id, status: 'succeeded' })),
  ]);
  assert.is(microBatchItems, 2);
});

test('takes over what another worker was handed and has not claimed', async () => {
  const { version, digest } = model;
  const write = () =>
    createCompletionWriter({ pool: database, log, flushMs: 0, groupMax: 10, attemptsMax: 5 });
  const small = { ...config, POOL_ITEMS_MAX: 32 };
  const options = { config: small, log, database, registry, onRoom: () => undefined };
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const stuck = createAnalysisEngine({
    ...options,
    writer: write(),
    worker: 'stuck',
    inference: { ...inference, predict: (pool) => released.then(() => inference.predict(pool)) },
  });
  const idle = createAnalysisEngine({ ...options, writer: write(), worker: 'idle', inference });
  const dispatchId = v7();
  const jobs = Array.from({ length: 232 }, (_, index) =>
    newJob({ modelVersion: version, modelDigest: digest, dispatchId, texts: [`text ${index}`] }),
  );
  await insertJobs(system.owner, jobs);
  // Handed out long enough ago not to be on its way any more.
  await system.owner.query(`UPDATE jobs SET dispatched_at = now() - interval '1 s' WHERE status = 'queued'`);
  // All at once, so that no pool leaves before it is full.
  const hand = (engine: AnalysisEngine, some: readonly NewJob[]) => {
    const jobIds = some.map(({ id }) => id);
    const sizes = { items: some.map(() => 1), characters: some.map(() => 8) };
    return engine.process(
      { tenantId: defaultTenantId, class: 1, kind: 'emotion', modelVersion: version, jobIds, ...sizes },
      dispatchId,
    );
  };
  const stuckJobs = hand(stuck, jobs.slice(0, 200));
  await until(
    'the first pools to be claimed',
    async () => (await count(`status = 'processing'`)) === 64 || undefined,
  );
  await hand(idle, jobs.slice(200));
  await until('the rest to be done', async () => (await count(`status = 'succeeded'`)) === 168 || undefined);
  assert.equal([stuck.inHand(), await count(`status = 'processing'`)], [200, 64]);
  release();
  await stuckJobs;
  assert.equal([stuck.inHand(), idle.inHand()], [0, 0]);
  assert.is(await count(`status = 'succeeded' AND attempt = 1 AND worker = 'stuck'`), 64);
});

/** Jobs of the second test. */
async function count(condition: string): Promise<number> {
  const { rows } = await system.owner.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM jobs WHERE worker IN ('stuck', 'idle') AND ${condition}`,
  );
  return rows[0]?.count ?? Number.NaN;
}

test.run();
