// The Procfile's grammar, and the commands that a formation of it leads to.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { parseFormation, parseProcfile, planProcesses } from './procfile.ts';

const procfile = 'api: node dist/api/main.js\n\n# the heart\nanalysis: node dist/workers/analysis.js\n';

test('reads names and commands, skipping comments and empty lines', () => {
  assert.equal(parseProcfile(procfile), [
    { name: 'api', command: ['node', 'dist/api/main.js'] },
    { name: 'analysis', command: ['node', 'dist/workers/analysis.js'] },
  ]);
});

test('refuses a line that is no process, saying which', () => {
  for (const bad of ['api', 'Api: node x', ': node x', 'api:', 'api: node "a b"']) {
    assert.throws(() => parseProcfile(`web: node x\n${bad}\n`), /Procfile line 2/, bad);
  }
});

test('refuses a name that comes twice', () => {
  assert.throws(() => parseProcfile('api: node x\napi: node y\n'), /line 2 repeats api/);
});

test('reads a formation', () => {
  const counts = parseFormation('api=1, analysis=12', ['api', 'analysis']);
  assert.equal(
    [...counts],
    [
      ['api', 1],
      ['analysis', 12],
    ],
  );
  assert.is(parseFormation('', ['api']).size, 0);
});

test('refuses a formation with an unknown name or no count, naming those that exist', () => {
  for (const bad of ['worker=1', 'api', 'api=', 'api=-1', 'api=x', 'api=1=2']) {
    assert.throws(() => parseFormation(bad, ['api', 'analysis']), /api, analysis/, bad);
  }
});

test('plans one of each where the formation is silent, in order, numbered from 1', () => {
  const plan = planProcesses(parseProcfile(procfile), new Map([['analysis', 2]]), []);
  assert.equal(
    plan.map(({ label }) => label),
    ['api.1', 'analysis.1', 'analysis.2'],
  );
  assert.equal(plan[2]?.command, ['node', 'dist/workers/analysis.js']);
});

test('leaves out a process whose count is 0', () => {
  const plan = planProcesses(parseProcfile(procfile), new Map([['analysis', 0]]), []);
  assert.equal(
    plan.map(({ label }) => label),
    ['api.1'],
  );
});

test('gives each computing process a core in turn, and leaves the others alone', () => {
  const plan = planProcesses(parseProcfile(procfile), new Map([['analysis', 3]]), [4, 6]);
  assert.equal(
    plan.map(({ placement }) => placement),
    ['', 'core 4', 'core 6', 'core 4'],
  );
  assert.equal(plan[0]?.command[0], 'node');
  assert.equal(plan[2]?.command.slice(0, 4), ['taskset', '-c', '6', 'node']);
});

test('pins nothing when there are no cores to pin to', () => {
  const plan = planProcesses(parseProcfile(procfile), new Map(), []);
  assert.equal(plan[1]?.command[0], 'node');
});

test.run();
