import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createHttpClient, type HttpClient } from './http-client.ts';
import { allowedCores } from './machine.ts';
import { uniqueTexts } from './mix-texts.ts';
import { runOpenLoop } from './open-loop.ts';
import { personas, planArrivals } from './personas.ts';
import { runStage } from './stage.ts';
import { migrate, startSystem, type System } from './system.ts';

const texts = uniqueTexts(1);
let system: System | undefined;
let client: HttpClient | undefined;

test.before(async () => {
  await migrate();
  system = await startSystem({ cores: allowedCores().slice(0, 1), profile: true, env: { WORKER_NICE: '0' } });
  client = createHttpClient(system.url, { connectionsMax: 100, timeoutMs: 60_000 });
});

test.after(async () => {
  client?.close();
  await system?.stop();
});

test('the system answers every scenario as the scenario expects', async () => {
  assert.ok(client);
  const all = personas.flatMap(({ scenarios }) => scenarios);
  const arrivals = all.map((scenario, index) => ({
    dueMs: index * 20,
    scenario,
    request: scenario.request({ userId: 'user_0001', texts, random: () => 0 }),
  }));
  const samples = await runOpenLoop(client, arrivals);
  const faults = samples.filter(({ error }) => error !== undefined);
  assert.equal(
    faults.map(({ scenario, error }) => `${scenario.name}: ${error}`),
    [],
  );
  for (const { scenario, acceptMs } of samples) assert.is(acceptMs !== undefined, scenario.twoSteps);
});

test('a stage says what its users saw, what each process spent, and that nothing is left', async () => {
  assert.ok(system && client);
  const visits = Array.from({ length: 20 }, () => [{ from: 0, to: 4 }]);
  const arrivals = planArrivals({ visits, texts, people: 20, seed: 5 });
  const stage = await runStage(system, client, {
    name: 'a few users',
    users: 20,
    arrivals,
    seconds: 4,
    skipSeconds: 1,
  });
  assert.is(stage.errors, 0, JSON.stringify(stage.reasons));
  assert.is(stage.unfinished, 0);
  assert.is(stage.resultMs.count + stage.readMs.count, stage.sent);
  assert.ok('inference' in stage.cores && stage.machine.busy > 0);
  assert.ok((stage.loopGapMs['api'] ?? 0) > 0);
  assert.ok((stage.split['inference']?.mean ?? 0) > 0);
});

test.run();
