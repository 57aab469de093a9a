// The receiver of the README, run as it stands there: it takes what Soma sends, and nothing else.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { packageRoot } from '../shared/config.ts';
import { freePort } from './free-port.ts';
import { spawnGuarded } from './guarded-process.ts';
import { createLiveSystem, until } from './live-system.ts';

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const receiver = /```js\n(import \{ createServer \}.*?)```/s.exec(readme)?.[1] ?? '';

// Where it finds the package that it imports, and beside dist/, which another test copies meanwhile.
const folder = join(packageRoot, '.services/readme-receiver');
mkdirSync(folder, { recursive: true });
const file = join(folder, 'receiver.mjs');
writeFileSync(file, receiver);

const system = await createLiveSystem({
  WEBHOOK_KEYS: `k1:${randomBytes(32).toString('base64')}`,
  WEBHOOK_ALLOW_LOOPBACK: 'true',
});
const [api] = await Promise.all([system.start('api'), system.start('webhooks')]);
test.after(async () => {
  await system.close();
  rmSync(folder, { recursive: true });
});

async function post(path: string, body: unknown): Promise<unknown> {
  const response = await fetch(api.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return response.json();
}

test('the receiver of the README has 15 lines, takes a message and refuses a forged one', async () => {
  assert.ok(
    receiver
      .trim()
      .split('\n')
      .filter((line) => line !== '').length <= 15,
    receiver,
  );
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  const made = z
    .object({ id: z.string(), secret: z.string() })
    .parse(await post('/v1/webhook_endpoints', { url, events: ['job.canceled', 'webhook.test'] }));
  const lines: string[] = [];
  const running = spawnGuarded({
    name: 'receiver',
    command: [process.execPath, file],
    cwd: folder,
    env: { WEBHOOK_SECRET: made.secret, PORT: String(port) },
    deathSignal: 'KILL',
    onLine: (line) => lines.push(line),
  });
  try {
    await until('the receiver to listen', async () =>
      (await fetch(url).catch(() => undefined)) ? true : undefined,
    );
    const delivery = z
      .object({ id: z.string() })
      .parse(await post(`/v1/webhook_endpoints/${made.id}/test`, {}));
    await until('the message', async () => (lines.length > 0 ? true : undefined));
    assert.is(lines[0], `${delivery.id} webhook.test 1 ${made.id}`);
    const forged = await fetch(url, {
      method: 'POST',
      body: '{"type":"job.succeeded"}',
      headers: { 'webhook-id': 'x', 'webhook-timestamp': '1', 'webhook-signature': 'v1,AAAA' },
    });
    assert.equal([forged.status, lines.length], [400, 1]);
  } finally {
    await running.stop('SIGKILL', 0);
  }
});

test.run();
