import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderReport } from './html-report.ts';
import { renderTable } from './results-index.ts';
import type { StoredResult } from './results-files.ts';

const result: StoredResult = {
  part: 'capacity',
  started_at: '2026-11-25T00:00:00.000Z',
  commit: 'abcdef0123',
  dirty: false,
  machine: { cpu: 'A <CPU>', cores: 2, memoryGb: 4, kernel: '6', node: 'v20' },
  load_before: 0.25,
  figures: [
    { name: 'good', value: 2, bound: 1, holds: 'at least', met: true },
    { name: 'bad', value: 9, bound: 5, aim: 1, holds: 'at most', met: false, aim_met: false },
    { name: 'failed', value: null, bound: 1, holds: 'at least', met: false },
  ],
  stages: [],
  points: [
    {
      workers: 1,
      ratePerSecond: 100,
      resultMs: { p50: 1, p95: 2, p99: 3, max: 4 },
      met: true,
      cpuHoursPerMillion: 0.5,
    },
  ],
};

test('the report needs nothing from outside and escapes what it shows', () => {
  const page = renderReport([result]);
  assert.not.match(page, /<(?:script|link|img)[^>]+(?:src|href)=/);
  assert.ok(page.includes('A &lt;CPU&gt;'));
  assert.ok(page.includes('Latency by rate, to the knee'));
});

test('the table names what was missed and what failed', () => {
  const table = renderTable([result]);
  assert.match(table, /\| bad \| 9 \| at most 5 \*\*missed\*\* \| 1 \(no\) \|/);
  assert.match(table, /\| good \| 2 \| at least 1 \|/);
  assert.match(table, /\| failed \| failed \|/);
});

test.run();
