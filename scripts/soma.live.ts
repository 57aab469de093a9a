// `soma` as people use it: at a shell, against a running system, with data on one stream and words on the other.

import { spawn, spawnSync } from 'node:child_process';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { childEnv } from '../shared/config.ts';
import { openSomaShell, somaProgram } from './soma-shell.ts';

const { system, env, soma } = await openSomaShell();
test.after(() => system.close());

const jobSchema = z.object({ id: z.string(), status: z.string(), counts: z.object({ total: z.number() }) });
const readJobs = (out: string) => out.split('\n').map((line) => jobSchema.parse(JSON.parse(line)));

test('submits and waits, in words and as JSON', () => {
  const words = soma(['submit', '--wait', 'I finally got the job!']);
  assert.is(words.code, 0, words.err);
  assert.match(words.out, /^job_\S+ {2}emotion {2}succeeded in \d+ ms\n {2}"I finally got the job!" {2}\w+/);
  const [job] = readJobs(
    soma(['submit', '--json', '-k', 'reasoning', '--wait', 'It broke because it was old.']).out,
  );
  assert.is(job?.status, 'succeeded');
});

test('reads texts from standard input, cuts them into jobs of 100, and hands their ids on', () => {
  const texts = Array.from({ length: 150 }, (_, index) => `This is text number ${index}.`).join('\n');
  const submitted = soma(['submit', '-'], `${texts}\n\n`);
  assert.is(submitted.code, 0, submitted.err);
  assert.is(submitted.out.split('\n').length, 2);
  const waited = soma(['wait', '--json', '-'], submitted.out);
  assert.equal(
    readJobs(waited.out).map(({ status, counts }) => [status, counts.total]),
    [
      ['succeeded', 100],
      ['succeeded', 50],
    ],
  );
});

test('follows a job to its end', () => {
  const id = soma(['submit', 'What a day.']).out;
  const types = soma(['tail', '--json', id])
    .out.split('\n')
    .map((line) => z.object({ type: z.string() }).parse(JSON.parse(line)).type);
  assert.equal(types, ['job.queued', 'job.started', 'job.succeeded']);
  assert.match(soma(['tail', id, '--after', '2']).out, /^\S+ {2}job_\S+ {2}job\.succeeded/);
});

test('cancels what it can and says what it cannot', () => {
  const later = soma(['submit', '--not-before', '2099-01-01T00:00:00Z', 'Not yet.']).out;
  const done = soma(['submit', '--json', '--wait', 'Done.']);
  const [ended] = readJobs(done.out);
  const canceled = soma(['cancel', String(ended?.id), later]);
  assert.is(canceled.code, 1);
  assert.is(canceled.out, `${later}  canceled`);
  assert.match(canceled.err, /job_already_finished/);
  assert.is(soma(['wait', later]).code, 1);
});

test('replays what a filter finds, once however often it is asked', () => {
  const tag = ['--tag', 'again'];
  const old = soma(['submit', ...tag, '--not-before', '2099-01-01T00:00:00Z', 'One.']).out;
  soma(['cancel', old]);
  const filter = ['replay', '--status', 'canceled', ...tag];
  assert.is(soma([...filter, '--dry-run']).out, old);
  const first = soma(filter);
  assert.is(first.code, 0, first.err);
  const [, id = ''] = first.out.split(/\s+/);
  assert.match(id, /^job_/);
  assert.is(soma(filter).out, first.out);
  assert.is.not(soma([...filter, '--again']).out, first.out);
  assert.is(soma(['replay', 'job_00000000-0000-7000-8000-000000000000']).code, 1);
});

const batchLines = [
  '{"custom_id":"a","text":"I love it!"}',
  '{"custom_id":"b"}',
  '{"custom_id":"c","text":"I hate it!"}',
];

test('runs a batch: names every bad line, or runs the others, and reads the results again', () => {
  const refused = soma(['batch', 'run', '-'], batchLines.join('\n'));
  assert.is(refused.code, 1);
  assert.is(refused.out, '');
  assert.match(refused.err, /\(invalid_lines\)\n {2}line 2 \/text: /);
  const ran = soma(['batch', 'run', '-', '--on-invalid', 'skip', '--order', 'input'], batchLines.join('\n'));
  assert.is(ran.code, 1, 'a line has failed');
  const results = ran.out
    .split('\n')
    .map((line) => z.object({ custom_id: z.string(), status: z.string() }).parse(JSON.parse(line)));
  assert.equal(results, [
    { custom_id: 'a', status: 'succeeded' },
    { custom_id: 'b', status: 'failed' },
    { custom_id: 'c', status: 'succeeded' },
  ]);
  const id = /^(batch_\S+): 3 lines, 1 of them bad/m.exec(ran.err)?.[1] ?? '';
  assert.is(soma(['batch', 'results', id, '--order', 'input', '--after', '1']).out, ran.out.split('\n')[2]);
  assert.match(soma(['batch', 'show', id]).out, /emotion {2}completed {2}3 of 3 done, 1 failed$/);
  assert.is(soma(['wait', id]).code, 1);
});

test('shows each kind in its demo', () => {
  const demo = soma(['demo']);
  assert.is(demo.code, 0, demo.err);
  assert.match(demo.out, /"the bus broke down" -> "I was late"/);
  assert.match(demo.out, /alike: 1 and 2 0\.\d\d/);
});

test('ends quietly when its reader has had enough', () => {
  const run = spawnSync(
    'bash',
    ['-c', `set -o pipefail; "${process.execPath}" "${somaProgram}" demo --json | head -n 1 | wc -l`],
    { env: childEnv(env), encoding: 'utf8', timeout: 60_000 },
  );
  assert.is(run.stdout.trim(), '1');
  assert.is(run.status, 0, run.stderr);
  assert.not.match(run.stderr, /EPIPE/);
});

test('stops cleanly at Ctrl-C', async () => {
  const id = soma(['submit', '--not-before', '2099-01-01T00:00:00Z', 'Never.']).out;
  const child = spawn(process.execPath, [somaProgram, 'tail', id], {
    env: childEnv(env),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  // The first event says that it follows.
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGINT');
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.is(code, 130);
});

test.run();
