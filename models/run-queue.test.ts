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

test('gives a pool that waits an eighth of the time, however short its steps are', async () => {
  let clockMs = 0;
  const log: string[] = [];
  const msOf = { patient: 2, urgent: 20 };
  const spend = (name: keyof typeof msOf) => (): void => {
    clockMs += msOf[name];
  };
  const queue = createRunQueue(() => clockMs);
  const patient = addRun(queue, { name: 'patient', urgency: 3, steps: 1000 })(log, spend('patient'));
  await addRun(queue, { name: 'urgent', urgency: 1, steps: 210 })(log, spend('urgent'));
  const ms = 2 * log.filter((name) => name === 'patient').length;
  assert.ok(ms > 550 && ms <= 602, `${ms} ms beside ${20 * 210}`);
  await patient;
});

test.run();
