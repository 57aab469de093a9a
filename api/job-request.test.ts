// A body becomes a job, or every fault of it by its pointer.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRegistry } from '../models/registry.ts';
import { readConfig } from '../shared/config.ts';
import { defaultTenantId } from '../shared/job.ts';
import { ProblemError } from '../shared/problem.ts';
import { toNewJob } from './job-request.ts';
import { jobViewSchema, toJobRow, toJobView } from './job-view.ts';

const registry = createRegistry(readConfig().MODELS_DIR);

function read(body: unknown, idempotencyKey?: string) {
  return toNewJob(body, { tenantId: defaultTenantId, registry, idempotencyKey });
}

function faultsOf(body: unknown): string[] {
  try {
    read(body);
    return [];
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return error.errors.map(({ pointer, code }) => `${pointer} ${code}`);
  }
}

const emotion = (input: unknown, more: Record<string, unknown> = {}) => ({ kind: 'emotion', input, ...more });

test('fills in what a client left out', () => {
  const job = read(emotion({ text: 'a😀' }));
  assert.equal([job.texts, job.class, job.status, job.storeInput], [['a😀'], 1, 'queued', true]);
  assert.equal([job.notBefore, job.deadlineAt, job.idempotency, job.userId], [null, null, null, null]);
  assert.is(Date.parse(job.expiresAt) - Date.parse(job.createdAt), 30 * 24 * 3_600_000);
});

test('takes lengths by characters, not by units', () => {
  assert.equal(faultsOf(emotion({ text: '😀'.repeat(10_000) })), []);
  assert.equal(faultsOf(emotion({ text: '😀'.repeat(10_001) })), ['/input/text too_big']);
});

test('names each fault by pointer and code', () => {
  assert.equal(faultsOf(emotion({ texts: ['ok', '', 'a\0', '\ud800'] })), [
    '/input/texts/1 too_small',
    '/input/texts/2 contains_nul',
    '/input/texts/3 ill_formed_unicode',
  ]);
  assert.equal(faultsOf(emotion({ text: 1 })), ['/input/text invalid_type']);
  assert.equal(faultsOf({ kind: 'none', input: { text: 'a' } }), ['/kind unknown_kind']);
});

test('names an unknown kind, model and option beside whatever else is wrong', () => {
  assert.equal(faultsOf({ kind: 'none', text: 'a', options: { x: 1 } }), [
    '/text unknown_field',
    '/kind unknown_kind',
  ]);
  assert.equal(faultsOf(emotion({ text: '' }, { model: 'emotion@0', options: { x: 1 }, extra: true })), [
    '/input/text too_small',
    '/extra unknown_field',
    '/model unknown_model',
    '/options/x unknown_field',
  ]);
  assert.equal(faultsOf({ kind: 1, model: 2, options: 3 }).toSorted(), [
    '/kind invalid_type',
    '/model invalid_type',
    '/options invalid_type',
  ]);
  assert.equal(faultsOf(emotion({ text: 'a' }, { options: null })), ['/options invalid_type']);
});

test('keeps times in UTC, whatever their offset, and refuses those that the ledger cannot hold', () => {
  const job = read(emotion({ text: 'a' }, { not_before: '2990-01-01T00:00:00+23:59' }));
  assert.equal([job.status, job.notBefore], ['scheduled', '2989-12-31T00:01:00.000Z']);
  for (const time of ['0000-01-01T00:00:00Z', '1969-12-31T23:59:59Z', '9999-12-31T23:59:59-05:00'])
    assert.equal(faultsOf(emotion({ text: 'a' }, { not_before: time })), ['/not_before out_of_range']);
});

test('gives the same request the same fingerprint in any order of fields', () => {
  const print = (body: unknown) => read(body, 'k').idempotency?.fingerprint;
  const one = print({ kind: 'emotion', input: { text: 'a' }, metadata: { x: '1', y: '2' } });
  assert.is(print({ metadata: { y: '2', x: '1' }, input: { text: 'a' }, kind: 'emotion' }), one);
  assert.is.not(print({ kind: 'emotion', input: { text: 'b' }, metadata: { x: '1', y: '2' } }), one);
});

test('shows a new job by the published schema, and no text of it', () => {
  const job = read(emotion({ text: 'SECRET' }, { priority: 'low', tags: ['t'], metadata: { a: 'b' } }));
  const view = toJobView(toJobRow(job), []);
  jobViewSchema.parse(view);
  assert.equal([view.status, view.priority, view.result, view.counts.total], ['queued', 'low', null, 1]);
  assert.not.match(JSON.stringify(view), 'SECRET');
});

test.run();
