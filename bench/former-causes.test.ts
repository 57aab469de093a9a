// The faults that the former system's expressions are described with, so that the baseline stays what it claims to be.

import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { findFormerCauses } from './former-causes.ts';

function read(text: string): readonly (readonly [cause: string, effect: string])[] {
  return findFormerCauses(text).map(({ cause, effect }) => [text.slice(...cause), text.slice(...effect)]);
}

test('cause and effect are swapped after because, since and as', () => {
  for (const connective of ['because', 'since', 'as']) {
    assert.equal(read(`I stayed home ${connective} it rained.`), [['I stayed home', 'it rained']]);
  }
});

test('cause and effect stand right around so, if and caused', () => {
  assert.equal(read('It rained, so I stayed home.'), [['It rained', 'I stayed home']]);
  assert.equal(read('If it rains, I stay home.'), [['it rains', 'I stay home']]);
  assert.equal(read('The rain caused a flood.'), [['The rain', 'a flood']]);
});

test('"due to" and a Because or Since at the start are missed, "as well as" is not', () => {
  assert.equal(read('The match was off due to rain.'), []);
  assert.equal(read('Because it rained, I stayed home.'), []);
  assert.equal(read('Since it rained, I stayed home.'), []);
  assert.is(read('She sings as well as dances.').length, 1);
});

test('what comes after is taken for an effect', () => {
  assert.equal(read('After lunch, we slept.'), [['lunch', 'we slept']]);
});

test.run();
