// Ids and states mean the same to every process.

import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { v4, v7 } from 'uuid';
import {
  formatJobId,
  isTerminal,
  jobStatuses,
  jobTransitions,
  packUuid,
  parseJobId,
  terminalStatuses,
  unpackUuid,
  uuidTime,
} from './job.ts';

test('lets nothing leave a terminal state', () => {
  assert.equal(jobStatuses.filter(isTerminal), [...terminalStatuses]);
});

test('reaches every state from a new job, and an end from every state', () => {
  const reach = (from: (typeof jobStatuses)[number]): Set<string> => {
    const seen = new Set([from]);
    for (const status of seen) for (const next of jobTransitions[status]) seen.add(next);
    return seen;
  };
  assert.equal([...reach('scheduled')].toSorted(), [...jobStatuses].toSorted());
  for (const status of jobStatuses)
    assert.ok(
      terminalStatuses.some((end) => reach(status).has(end)),
      status,
    );
});

test('reads back the ids that it writes and no others', () => {
  const uuid = v7();
  assert.is(parseJobId(formatJobId(uuid)), uuid);
  for (const id of ['', uuid, `job_${v4()}`, `job_${uuid.toUpperCase()}`, ` job_${uuid}`, `job_${uuid}\n`])
    assert.is(parseJobId(id), undefined, JSON.stringify(id));
});

test('finds the millisecond in an id', () => {
  assert.is(uuidTime(v7({ msecs: 1_795_536_000_123 })).getTime(), 1_795_536_000_123);
});

test('packs an id into 22 characters and back', () => {
  fc.assert(
    fc.property(fc.uuid(), (uuid) => {
      const packed = packUuid(uuid);
      assert.is(packed.length, 22);
      assert.is(unpackUuid(packed), uuid);
    }),
    { seed: 1 },
  );
});

test.run();
