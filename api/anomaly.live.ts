// Flags on unusual values: absent until a tenant asks for them, and then in neutral words.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { setAnomalyFlags } from '../db/tenant-settings.ts';
import { createLiveSystem } from '../scripts/live-system.ts';
import { historyEntrySchema } from './history.ts';

const system = await createLiveSystem();
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

const pageSchema = z.looseObject({ data: z.array(historyEntrySchema) });

async function analyse(text: string): Promise<void> {
  const response = await fetch(`${api.address}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=60' },
    body: JSON.stringify({ kind: 'emotion', user_id: 'anna', input: { text } }),
    signal: AbortSignal.timeout(70_000),
  });
  assert.is(response.status, 200);
}

async function newest(): Promise<z.output<typeof historyEntrySchema> | undefined> {
  const response = await fetch(`${api.address}/v1/users/anna/emotions`);
  return pageSchema.parse(await response.json()).data[0];
}

test('an unusual text is flagged for a tenant that asked for it, and for no other', async () => {
  for (let day = 1; day <= 8; day++) await analyse(`I am happy, this was good day number ${day}!`);
  await analyse('I feel terrible and hopeless, everything is awful.');
  assert.is((await newest())?.anomaly, undefined);

  assert.is(await setAnomalyFlags(system.owner, 'default', true), true);
  assert.is(await setAnomalyFlags(system.owner, 'nobody', true), false);

  const flagged = (await newest())?.anomaly;
  assert.is(flagged?.unusual, true);
  assert.is(flagged?.valence.direction, 'below_usual');
  assert.not.match(flagged?.note ?? '', /alert|health|wellness|risk/i);
});

test.run();
