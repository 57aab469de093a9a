// Seeded randomness, so that a measurement can be repeated with the same texts and the same resamples.

/** Numbers in 0..1 (1 excluded) that are the same for the same seed; Mulberry32, 2^32 long: for sampling only. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number in 0..count - 1. */
export function pickIndex(random: () => number, count: number): number {
  return Math.floor(random() * count);
}

/** A copy in random order (Fisher-Yates). */
export function shuffle<T>(values: readonly T[], random: () => number): T[] {
  const left = [...values];
  return values.flatMap(() => left.splice(pickIndex(random, left.length), 1));
}
