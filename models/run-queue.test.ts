// Urgent runs go between the steps of others, and none is left standing.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createRunQueue } from './run-queue.ts';

/** Adds a run of so many steps to the queue; each writes its name. */
function addRun(
  queue: ReturnType<typeof createRunQueue>,
  run: { name: string; urgency: number; steps: number },
) {
  return (log: string[], atStep: (step: number) => void = () => undefined): Promise<void> =>
    new Promise((ended) => {
      async function* steps(): AsyncGenerator<void, void, void> {
        for (let step = 0; step < run.steps; step++) {
          log.push(run.name);
          atStep(step);
          yield;
        }
      }
      queue.add({ urgency: run.urgency, steps: steps(), ended });
    });
}

test('runs pools of one urgency one after another', async () => {
  const log: string[] = [];
  const queue = createRunQueue();
  const runs = ['a', 'b'].map((name) => addRun(queue, { name, urgency: 1, steps: 3 })(log));
  await Promise.all(runs);
  assert.is(log.join(''), 'aaabbb');
});

test('puts an urgent pool before the next step of a patient one', async () => {
  const log: string[] = [];
  const queue = createRunQueue();
  let urgent = Promise.resolve();
  await addRun(queue, { name: 'p', urgency: 3, steps: 5 })(log, (step) => {
    if (step === 1) urgent = addRun(queue, { name: 'u', urgency: 1, steps: 2 })(log);
  });
  await urgent;
  assert.is(log.join(''), 'ppuuppp');
});

test('gives a pool that waits every eighth step', async () => {
  const log: string[] = [];
  const queue = createRunQueue();
  const patient = addRun(queue, { name: 'p', urgency: 3, steps: 9 })(log);
  await Promise.all([addRun(queue, { name: 'u', urgency: 1, steps: 63 })(log), patient]);
  const beside = log.slice(1, log.lastIndexOf('u'));
  assert.is(beside.filter((name) => name === 'p').length, Math.floor((beside.length + 1) / 8));
});

test.run();
