// The hot statements are planned once on each connection, often while the tables are empty: the plan must be the right
// one when they are not.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v7 } from 'uuid';
import { createDatabase, newJob } from '../scripts/live-system.ts';
import { completeJobs, startJobs } from './attempts.ts';
import { createPool } from './client.ts';
import { insertJobs } from './submissions.ts';

test('claims and ends jobs by their keys', async () => {
  const { url, drop } = await createDatabase(`soma_test_plans_${v7().replaceAll('-', '')}`);
  const pool = createPool(url, { role: 'worker', max: 1 });
  const intake = createPool(url, { role: 'intake', max: 1 });
  const dispatchId = v7();
  const jobs = Array.from({ length: 100 }, () => ({ ...newJob(), dispatchId }));
  const { tenantId, id } = jobs.at(-1) ?? newJob();
  const args = { worker: 'w', leaseMs: 60_000, attemptsMax: 5 };
  const before = [await startJobs(pool, { ...args, jobs }), await completeJobs(pool, [])];
  await insertJobs(intake, jobs);
  const started = await startJobs(pool, { ...args, jobs: jobs.slice(0, 50) });
  const explain = async (statement: string) =>
    JSON.stringify((await pool.query(`EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE ${statement}`)).rows);
  const plans = [
    await explain(`start_jobs('{${tenantId}}', 'w', 60000, 5, '{}', '{${id}}', '{${dispatchId}}', 0)`),
    await explain(`complete_jobs('{${tenantId}}', '{${id}}', '{1}', '{1}', '{0}', '{f}', '{1}', '{1}', '{1}',
      '{}', '{}', '', '', '{}')`),
  ];
  const { rows } = await pool.query('SELECT status FROM jobs WHERE id = $1', [id]);
  await Promise.all([pool.end(), intake.end()]);
  await drop();
  assert.equal([before, started.length, rows], [[[], []], 50, [{ status: 'succeeded' }]]);
  for (const plan of plans) {
    const scans = [...plan.matchAll(/"(?:Relation|Index) Name":"jobs_[^}]*?"Actual Rows":([\d.]+)/g)];
    const counts = scans.map(([, count]) => Number(count));
    assert.is(Math.max(...counts), 1, plan);
  }
});

test.run();
