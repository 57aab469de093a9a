// What the doctor makes of figures and texts that no healthy machine has; the rest is in scripts/soma-doctor.live.ts.

import { mkdtempSync, rmSync, cpSync, truncateSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { readConfig } from '../../shared/config.ts';
import { checkModels, checkNode, judgeDisk, judgeEnvFile } from './check-machine.ts';
import { judgeProcesses, judgeQueueAge, judgeRedis, judgeSkew } from './check-servers.ts';
import { showFinding } from './doctor.ts';
import { warn } from './finding.ts';

test('compares versions of Node by their numbers', () => {
  const states = ['v20.20.0', 'v22.3.1', 'v100.0.0', 'v20.19.9', 'v18.20.4'].map(
    (one) => checkNode(one).state,
  );
  assert.equal(states, ['ok', 'ok', 'ok', 'fail', 'fail']);
});

test('notices names in .env that no setting has', () => {
  assert.is(judgeEnvFile('PORT=1\n#X=2\nexport SOMA_URL=http://a\n').state, 'ok');
  const found = judgeEnvFile('PROT=1\nDATABASE_URl=x\n');
  assert.is(found.state, 'warn');
  assert.match(found.detail, /PROT, DATABASE_URl/);
});

test('misses the processes that somebody waits for', () => {
  const states = (types: readonly string[], WEBHOOK_KEYS: string) =>
    Object.fromEntries(
      judgeProcesses(
        types.map((type) => ({ type, seenAt: new Date() })),
        { WEBHOOK_KEYS },
      ).map(({ check, state }) => [check, state]),
    );
  assert.equal(states([], 'k1:x'), {
    analysis: 'fail',
    dispatcher: 'fail',
    profile: 'warn',
    webhooks: 'warn',
  });
  assert.is(states([], '')['webhooks'], 'skip');
  const all = ['analysis', 'dispatcher', 'profile', 'webhooks'];
  assert.ok(Object.values(states(all, 'k1:x')).every((state) => state === 'ok'));
});

test('grades disk, clocks and the queue', () => {
  assert.equal(
    [400e6, 1e9, 9e9].map((bytes) => judgeDisk(bytes).state),
    ['fail', 'warn', 'ok'],
  );
  assert.equal(
    [0, -1999, 2000, -60_000].map((ms) => judgeSkew('clock', ms).state),
    ['ok', 'ok', 'warn', 'fail'],
  );
  assert.equal(
    [0, 59_000, 60_000, 600_000].map((ms) => judgeQueueAge(ms, 600_000).state),
    ['ok', 'ok', 'warn', 'fail'],
  );
});

test('reads what Redis says of itself', () => {
  const info = (policy: string) =>
    `# Server\r\nredis_version:7.0.15\r\nused_memory_human:1.8M\r\nmaxmemory_policy:${policy}\r\n`;
  assert.equal(
    judgeRedis(info('noeviction'), 'x:1').map(({ state, detail }) => [state, detail]),
    [
      ['ok', '7.0.15 at x:1, 1.8M in use'],
      ['ok', 'noeviction'],
    ],
  );
  assert.is(judgeRedis(info('allkeys-lru'), 'x:1')[1]?.state, 'fail');
});

test('finds a model file that was cut', () => {
  const folder = mkdtempSync(join(tmpdir(), 'soma-models-'));
  try {
    cpSync(readConfig().MODELS_DIR, folder, { recursive: true });
    const [version = ''] = readdirSync(join(folder, 'emotion')).toSorted().slice(-1);
    truncateSync(join(folder, 'emotion', version, 'model.int8.onnx'), 1000);
    const states = checkModels(folder).map(({ check, state }) => [check, state]);
    assert.equal(states, [
      ['model emotion', 'fail'],
      ['model reasoning', 'ok'],
      ['model embedding', 'ok'],
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('shows the remedy under the finding', () => {
  assert.is(
    showFinding(warn('disk', 'full', 'Free some')),
    `warn  disk               full\n${' '.repeat(25)}-> Free some`,
  );
});

test.run();
