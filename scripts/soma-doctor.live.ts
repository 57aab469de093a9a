// `soma` where something is wrong, or somebody must be let in: usage, failures, keys, and what the doctor finds.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { freePort } from './free-port.ts';
import { openSomaShell, type SomaRun } from './soma-shell.ts';

const { system, key, soma } = await openSomaShell();
test.after(() => system.close());

test('makes a key, shows it once, lists it and revokes it', () => {
  assert.match(key, /^soma_live_/);
  const made = soma(['keys', 'create', '--tenant', 'acme', '--scopes', 'jobs:read', '--json']);
  const { id } = z.object({ id: z.string(), text: z.string() }).parse(JSON.parse(made.out));
  assert.match(soma(['keys', 'list', '--tenant', 'acme']).out, new RegExp(`^${id}\\tacme\\tpremium`, 'm'));
  assert.is(soma(['keys', 'revoke', id]).code, 0);
  assert.is(soma(['keys', 'revoke', id]).code, 1);
});

test('keeps data and words apart, and words away when told to be quiet', () => {
  const loud = soma(['demo', '--json']);
  assert.is(loud.out.split('\n').length, 3);
  assert.match(loud.err, /^asking http/);
  assert.is(soma(['--quiet', 'demo', '--json']).err, '');
});

test('tells wrong usage from failure, and says what to do', async () => {
  const closed = `http://127.0.0.1:${await freePort()}`;
  const usages = [['walk'], ['submit'], ['submit', '--priority', 'none', 'x'], ['wait']];
  for (const args of usages) assert.is(soma(args).code, 2, args.join(' '));
  const nobody = soma(['submit', 'x'], '', { SOMA_URL: closed });
  assert.is(nobody.code, 1);
  assert.match(nobody.err, /cannot be reached.*\nIs it running\? Start it with `npm start`/);
  const keyless = soma(['submit', 'x'], '', { SOMA_API_KEY: '' });
  assert.is(keyless.code, 1);
  assert.match(keyless.err, /\(unauthenticated\)\nPut a key into SOMA_API_KEY/);
  const faulty = soma(['submit', 'fine', ' ']);
  assert.match(faulty.err, /\/input\/texts\/1: Has nothing but white space/);
  assert.match(soma(['submit', '--help']).out, /Examples:/);
});

const findingSchema = z.object({
  check: z.string(),
  state: z.string(),
  detail: z.string(),
  remedy: z.string().optional(),
});

function doctor(env: Record<string, string>): { run: SomaRun; state: (check: string) => string | undefined } {
  const run = soma(['doctor', '--json'], '', env);
  const findings = run.out.split('\n').map((line) => findingSchema.parse(JSON.parse(line)));
  for (const { state, remedy, check } of findings)
    if (state === 'warn' || state === 'fail') assert.ok(remedy, `${check} has no remedy`);
  return { run, state: (check) => findings.find((finding) => finding.check === check)?.state };
}

test('finds a healthy system healthy', () => {
  const { run, state } = doctor({});
  assert.is(run.code, 0, run.out);
  for (const check of [
    'node',
    'postgres',
    'migrations',
    'redis',
    'analysis',
    'dispatcher',
    'webhooks',
    'queue',
    'api',
    'key',
    'model emotion',
  ])
    assert.is(state(check), 'ok', `${check}: ${run.out}`);
});

test('finds what is wrong: servers away, a typing error in a key, a port that is another’s, settings', async () => {
  const closed = String(await freePort());
  const away = doctor({
    DATABASE_URL: `postgres://soma@127.0.0.1:${closed}/soma`,
    REDIS_URL: `redis://127.0.0.1:${closed}`,
    NEO4J_URL: `bolt://127.0.0.1:${closed}`,
    SOMA_URL: `http://127.0.0.1:${closed}`,
    MODELS_DIR: 'docs/none',
  });
  assert.is(away.run.code, 1);
  for (const check of ['postgres', 'redis', 'neo4j', 'api', 'models'])
    assert.is(away.state(check), 'fail', check);
  const mistyped = doctor({ SOMA_API_KEY: `${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}` });
  assert.is(mistyped.state('key'), 'fail');
  assert.match(mistyped.run.out, /mistyped/);
  const foreign = doctor({ SOMA_URL: new URL(system.databaseUrl).href.replace(/^postgres/, 'http') });
  assert.is(foreign.state('api'), 'fail');
  const exposed = doctor({ HOST: '0.0.0.0', AUTH: 'off' });
  assert.is(exposed.state('settings'), 'fail');
  assert.match(exposed.run.out, /set AUTH=on/);
});

test.run();
