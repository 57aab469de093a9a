// Erasing a person from batches and files, and what holds a batch together when its jobs go.

import { createHash } from 'node:crypto';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createLiveSystem } from '../scripts/live-system.ts';
import { parseLineValue } from '../shared/parse-line.ts';
import { defaultTenantId as tenantId } from '../shared/job.ts';
import { cancelBatch, eraseUserFromBatches, sweepPage } from './batch-control.ts';
import { countParts, listCountable, measureBatches } from './batch-counting.ts';
import { dropBatch, type NewBatch, openBatch, sealBatch } from './batch-intake.ts';
import { createLineRecorder } from './batch-recorder.ts';
import { createPool, inTransaction } from './client.ts';
import { eraseJob } from './erase-job.ts';
import { eraseUserFromNextFile, getFileChunk, insertFile, insertFileChunk, sealFile } from './files.ts';

const system = await createLiveSystem();
const pool = createPool(system.databaseUrl, { role: 'worker', max: 4 });
test.after(async () => {
  await pool.end();
  await system.close();
});

const later = () => new Date(Date.now() + 3_600_000).toISOString();

function newBatch(changes: Partial<NewBatch> = {}): NewBatch {
  return {
    tenantId,
    id: v7(),
    uploadId: v7(),
    kind: 'emotion',
    modelVersion: '1',
    modelDigest: 'd',
    class: 2,
    onInvalid: 'skip',
    userId: null,
    options: {},
    metadata: {},
    storeInput: true,
    fileId: null,
    dialect: 'soma',
    idempotencyKey: null,
    fingerprint: 'ab',
    deadlineAt: null,
    createdAt: new Date().toISOString(),
    expiresAt: later(),
    ...changes,
  };
}

async function record(batch: NewBatch, lines: readonly Record<string, unknown>[]): Promise<void> {
  const opened = await openBatch(pool, batch);
  const recorder = createLineRecorder({
    pool,
    batch: { ...batch, ...opened, expiresAt: batch.expiresAt },
  });
  lines.forEach((line, index) => recorder.add(parseLineValue(line, index + 1), JSON.stringify(line)));
  await recorder.flush();
  assert.ok(await sealBatch(pool, batch, null));
}

async function ask<T extends Record<string, unknown>>(sql: string, values: unknown[] = []): Promise<T[]> {
  return (await system.owner.query<T>(sql, values)).rows;
}

const countsOf = async ({ id }: NewBatch) => {
  const [row] = await ask<{ counts: number[]; status: string; end_reason: string | null }>(
    `SELECT ARRAY[line_count, succeeded_count, failed_count, canceled_count, expired_count] AS counts, status, end_reason
     FROM batches WHERE id = $1`,
    [id],
  );
  return row;
};

test('counts jobs as they end, each once, whoever counts, and ends with the last', async () => {
  const batch = newBatch();
  await record(
    batch,
    Array.from({ length: 200 }, (_, index) => ({ custom_id: `c${index}`, text: 'a' })),
  );
  await ask(
    `UPDATE jobs SET status = 'succeeded', succeeded_count = item_count - 1, failed_count = 1, ended_at = now()
     WHERE batch_id = $1 AND item_count = 64`,
    [batch.id],
  );
  await Promise.all(Array.from({ length: 6 }, () => countParts(pool, batch, 2)));
  while ((await countParts(pool, batch, 2)).parts > 0);
  const open = (await measureBatches(pool)).find(({ status }) => status === 'in_progress');
  assert.ok(open !== undefined && open.open >= 1 && open.oldestSeconds >= 0);
  assert.equal((await countsOf(batch))?.counts, [200, 189, 3, 0, 0]);
  const ordinals = await ask('SELECT ordinal FROM batch_parts WHERE batch_id = $1 ORDER BY 1', [batch.id]);
  assert.equal(
    ordinals.map(({ ordinal }) => ordinal),
    [1, 2, 3],
  );
  await ask(`UPDATE jobs SET status = 'expired', ended_at = now() WHERE batch_id = $1 AND item_count = 8`, [
    batch.id,
  ]);
  assert.ok((await listCountable(pool, 10)).some(({ id }) => id === batch.id));
  assert.equal(await countParts(pool, batch, 10), {
    parts: 1,
    succeeded: 0,
    failed: 0,
    canceled: 0,
    expired: 8,
  });
  assert.equal(await countsOf(batch), {
    counts: [200, 189, 3, 0, 8],
    status: 'ended',
    end_reason: 'expired',
  });
  assert.equal(
    (await ask('SELECT type FROM batch_events WHERE batch_id = $1 ORDER BY sequence', [batch.id])).at(-1),
    { type: 'batch.ended' },
  );
});

test('ends although a job was erased before it was counted', async () => {
  const batch = newBatch();
  await record(batch, [
    { custom_id: 'a', text: 'a', user_id: 'ada' },
    { custom_id: 'b', text: 'b', user_id: 'bob' },
  ]);
  const [ada] = await ask<{ id: string }>(`SELECT id FROM jobs WHERE batch_id = $1 AND user_id = 'ada'`, [
    batch.id,
  ]);
  await eraseJob(pool, tenantId, ada?.id ?? '');
  assert.equal(await ask('SELECT custom_id FROM batch_lines WHERE batch_id = $1', [batch.id]), [
    { custom_id: 'b' },
  ]);
  await cancelBatch(pool, batch);
  await sweepPage(pool, batch, 'cancel', '00000000-0000-0000-0000-000000000000', 100);
  await countParts(pool, batch, 10);
  assert.equal(await countsOf(batch), { counts: [2, 0, 0, 2, 0], status: 'ended', end_reason: 'canceled' });
});

test('does not let an upload write that was taken over, or drop what another has', async () => {
  const first = newBatch({ idempotencyKey: 'k' });
  const opened = await openBatch(pool, first);
  const second = newBatch({ idempotencyKey: 'k' });
  const taken = await openBatch(pool, second);
  assert.equal([taken.id, taken.uploadId, taken.inserted], [opened.id, second.uploadId, false]);
  assert.is(await sealBatch(pool, first, null), false);
  await dropBatch(pool, first);
  assert.is((await countsOf(first))?.status, 'in_progress');
  assert.is(await sealBatch(pool, { ...second, id: opened.id }, null), true);
});

test('forgets a person as the owner of lines, and the hash of their lines', async () => {
  const batch = newBatch({ userId: 'eve' });
  await record(batch, [{ custom_id: 'a', text: 'a' }]);
  await inTransaction(pool, (tx) => eraseUserFromBatches(tx, tenantId, 'eve'));
  assert.equal(await ask('SELECT user_id, line_hash FROM batches WHERE id = $1', [batch.id]), [
    { user_id: null, line_hash: null },
  ]);
});

test('takes the lines of a person out of files, however they are written, and leaves the others as they are', async () => {
  const kept = [
    JSON.stringify({ custom_id: '1', text: 'eve is a word', user_id: 'bob' }),
    JSON.stringify({ custom_id: '2', text: 'nobody' }),
    JSON.stringify({ custom_id: '3', text: 'long', metadata: { filler: 'x'.repeat(200_000) } }),
  ];
  const gone = [
    JSON.stringify({ custom_id: '4', text: 'mine', user_id: 'eve' }),
    '{"custom_id":"5","text":"mine","user_id":"\\u0065ve"}',
    '{"broken":"eve"',
  ];
  const content = Buffer.from([gone[0], kept[0], gone[1], kept[1], kept[2], gone[2]].join('\n'));
  const id = v7();
  await insertFile(pool, {
    tenantId,
    id,
    filename: 'f',
    createdAt: new Date().toISOString(),
    expiresAt: later(),
  });
  const size = 100_000;
  for (let at = 0; at < content.length; at += size)
    await insertFileChunk(pool, { tenantId, id }, at / size, content.subarray(at, at + size));
  await sealFile(pool, { tenantId, id }, { bytes: content.length, lines: 6, sha256: '00' });
  const eve = { tenantId, userId: 'eve' };
  assert.is(await inTransaction(pool, (tx) => eraseUserFromNextFile(tx, { ...eve, after: null })), id);
  const wanted = `${kept.join('\n')}\n`;
  let left = '';
  for (let index = 0; ; index++) {
    const chunk = await getFileChunk(pool, { tenantId, id }, index);
    if (chunk === undefined) break;
    left += chunk.toString();
  }
  assert.is(left, wanted);
  assert.equal(
    await ask(`SELECT line_count, encode(sha256, 'hex') AS sha256 FROM files WHERE id = $1`, [id]),
    [{ line_count: 3, sha256: createHash('sha256').update(wanted).digest('hex') }],
  );
  assert.is(await inTransaction(pool, (tx) => eraseUserFromNextFile(tx, { ...eve, after: id })), undefined);
});

test.run();
