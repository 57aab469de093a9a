// Settings are read whole or refused by name, and unsafe ones are refused.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { childEnv, readConfig } from './config.ts';

test('has a default for everything', () => {
  const config = readConfig({});
  assert.equal([config.HOST, config.PORT, config.FAULT_INJECTION], ['127.0.0.1', 3000, false]);
  assert.match(config.MODELS_DIR, /^\/.*models\/artifacts$/);
});

test('takes an empty variable as none', () => {
  assert.equal(readConfig({ PORT: '', HOST: '', WORKERS: '' }), readConfig({}));
});

test('names every variable that is wrong', () => {
  const env = {
    PORT: '70000',
    WORKERS: 'many',
    REDIS_URL: 'http://x',
    FAULT_INJECTION: 'yes',
    QUEUE_PREFIX: 'a b',
  };
  assert.throws(
    () => readConfig(env),
    (error: Error) => Object.keys(env).every((name) => error.message.includes(name)),
  );
});

test('listens to others only when it asks for keys', () => {
  for (const HOST of ['0.0.0.0', '::', '10.0.0.1', 'example.org']) {
    assert.throws(() => readConfig({ HOST }), /AUTH=on/);
    assert.is(readConfig({ HOST, AUTH: 'on' }).HOST, HOST);
  }
  for (const HOST of ['127.0.0.1', '::1', 'localhost']) assert.is(readConfig({ HOST }).HOST, HOST);
});

test('injects no faults in production', () => {
  assert.throws(() => readConfig({ FAULT_INJECTION: 'true', NODE_ENV: 'production' }), /FAULT_INJECTION/);
});

test('lets webhooks reach this machine in development alone', () => {
  const env = { WEBHOOK_ALLOW_LOOPBACK: 'true' };
  assert.is(readConfig(env).WEBHOOK_ALLOW_LOOPBACK, true);
  assert.throws(() => readConfig({ ...env, NODE_ENV: 'production' }), /WEBHOOK_ALLOW_LOOPBACK/);
});

test('hands on its own environment with changes', () => {
  const env = childEnv({ SOMA_TEST_VARIABLE: 'x' });
  assert.is(env['SOMA_TEST_VARIABLE'], 'x');
  assert.is(env['PATH'], childEnv({})['PATH']);
});

test.run();
