// Many answers at once, without keeping everything else waiting: each costs the API up to a millisecond.

import { setImmediate as nextTurn } from 'node:timers/promises';

const perTurn = 16;

/** Does something for each, in their order, and lets the event loop turn after every 16. */
export async function inTurns<One>(all: Iterable<One>, each: (one: One) => void): Promise<void> {
  let done = 0;
  for (const one of all) {
    if (done > 0 && done % perTurn === 0) await nextTurn();
    each(one);
    done += 1;
  }
}
