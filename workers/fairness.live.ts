// One tenant's backlog against another's single job, through the real processes: who is alone waits for two pools at most.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { z } from 'zod';
import { ensureTenant, insertKey } from '../db/keys.ts';
import { insertJobs } from '../db/submissions.ts';
import { createRegistry } from '../models/registry.ts';
import { createLiveSystem, newJob, until } from '../scripts/live-system.ts';
import { createApiKey } from '../shared/api-key.ts';
import { readConfig } from '../shared/config.ts';

const system = await createLiveSystem({ AUTH: 'on' });
const [api] = await Promise.all([system.start('api'), system.start('analysis'), system.start('dispatcher')]);
test.after(() => system.close());

const model = createRegistry(readConfig().MODELS_DIR).resolve('emotion');
if (model === undefined) throw new Error('there is no model');
const { version, digest } = model;

/** A backlog of one tenant under many invented people. */
async function flood(tenantId: string, jobs: number): Promise<void> {
  for (let done = 0; done < jobs; done += 500) {
    const group = Array.from({ length: 500 }, (_, index) => {
      const feeling = index % 2 === 0 ? 'sad' : 'fine';
      return newJob({
        tenantId,
        modelVersion: version,
        modelDigest: digest,
        userId: `invented-${index}`,
        texts: [`I am number ${done + index} of many, and each of us feels ${feeling} today.`],
        dispatchId: null,
      });
    });
    await insertJobs(system.owner, group);
  }
}

const countDone = async (tenantId: string): Promise<number> => {
  const { rows } = await system.owner.query(
    `SELECT count(*)::integer AS done FROM jobs WHERE tenant_id = $1 AND status = 'succeeded'`,
    [tenantId],
  );
  return z.tuple([z.object({ done: z.number() })]).parse(rows)[0].done;
};

const poolsSchema = z.array(z.object({ items: z.number(), own: z.boolean() }));

test('starts the single job of a tenant within two pools of a backlog', async () => {
  const [many, few] = await Promise.all([
    ensureTenant(system.owner, 'many', 'premium'),
    ensureTenant(system.owner, 'few', 'free'),
  ]);
  const key = createApiKey();
  await insertKey(system.owner, { id: key.id, tenantId: few, hash: key.hash, scopes: ['jobs:write'] });
  await flood(many, 5000);
  for (const [round, least] of [300, 800, 1300].entries()) {
    await until('the backlog to move', async () => ((await countDone(many)) >= least ? true : undefined));
    const response = await fetch(`${api.address}/v1/jobs`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key.text}`, 'content-type': 'application/json', prefer: 'wait=60' },
      body: JSON.stringify({ kind: 'emotion', input: { text: `I am alone here, ${round}.` } }),
      signal: AbortSignal.timeout(90_000),
    });
    assert.is(response.status, 200);
    const { id } = z.object({ id: z.string() }).parse(await response.json());
    // A pool is claimed by one statement, and so has one moment of its start.
    const { rows } = await system.owner.query(
      `SELECT count(*)::integer AS items, j.started_at = mine.started_at AS own FROM jobs j, (SELECT created_at, started_at FROM jobs WHERE id = $1) mine
        WHERE j.tenant_id = $2 AND j.started_at > mine.created_at AND j.started_at <= mine.started_at
        GROUP BY j.started_at, mine.started_at`,
      [id.slice(4), many],
    );
    const pools = poolsSchema.parse(rows);
    const ahead = pools.filter(({ own }) => !own);
    assert.ok(ahead.length <= 2, `${ahead.length} pools went first`);
    const company = pools.find(({ own }) => own)?.items ?? 0;
    assert.ok(company < 64, `${company} items of the backlog were in the same pool`);
  }
  assert.ok((await countDone(many)) < 5000, 'the backlog was gone before the last round');
});

test.run();
