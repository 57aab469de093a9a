import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { profileSchema, shareOf } from './cpu-profile.ts';

const frame = (functionName: string, url = '') => ({ functionName, url });
const profile = profileSchema.parse({
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 3, 5, 6] },
    { id: 2, callFrame: frame('ours', 'file:///app/dist/a.js') },
    { id: 3, callFrame: frame('add', 'file:///app/node_modules/bullmq/dist/queue.js'), children: [4] },
    { id: 4, callFrame: frame('write', 'node:net') },
    { id: 5, callFrame: frame('(idle)') },
    { id: 6, callFrame: frame('(program)') },
  ],
  startTime: 1000,
  samples: [2, 2, 3, 4, 5, 5, 5, 6],
  timeDeltas: [10, 10, 10, 10, 10, 10, 10, 10],
});
const whole = { fromUs: 0, toUs: 2000 };

test('a sample belongs to a package whose function is anywhere on its stack', () => {
  assert.is(shareOf(profile, ['bullmq', 'ioredis'], whole), 0.5);
});

test('a package that never ran has no share', () => {
  assert.is(shareOf(profile, ['pg'], whole), 0);
});

test('samples outside the window do not count', () => {
  assert.is(shareOf(profile, ['bullmq'], { fromUs: 1020, toUs: 1030 }), 0.5);
  assert.is(shareOf(profile, ['bullmq'], { fromUs: 1030, toUs: 1040 }), 1);
});

test.run();
