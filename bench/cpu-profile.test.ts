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
  samples: [2, 2, 3, 4, 5, 5, 5, 6],
});

test('a sample belongs to a package whose function is anywhere on its stack', () => {
  assert.is(shareOf(profile, ['bullmq', 'ioredis']), 0.5);
});

test('a package that never ran has no share', () => {
  assert.is(shareOf(profile, ['pg']), 0);
});

test.run();
