// From tag scores to spans: the same decoding, step by step, as models/train/spans.py did when the model was measured.

/** A run of words: the first, and one past the last. */
export type Span = readonly [first: number, end: number];

/** Never the first or last word of an argument. */
const edges = new Set([',', ';', ':', '.', '!', '?', '-', '–', '—', '…']);

/**
 * The best tagging in which each kind of span occurs at most once (Viterbi over tag and the kinds begun so far).
 * O may follow anything, B-i anything that has not begun kind i, I-i only B-i or I-i.
 * @param scores `[words][1 + 2 × kinds]`: log-probabilities of O, B-1, I-1, B-2, I-2, ...
 * @param required whether the span of each kind must be there
 * @returns a span per kind; all undefined if no tagging satisfies `required`
 */
export function decodeSpans(
  scores: readonly (readonly number[])[],
  required: readonly boolean[],
): (Span | undefined)[] {
  const tags = 1 + 2 * required.length;
  const masks = 1 << required.length;
  const moves = listMoves(tags, masks);
  let best = Array.from({ length: tags * masks }, () => -Infinity);
  best[0] = 0;
  const back: number[][] = [];
  for (const word of scores) {
    const step = Array.from({ length: tags * masks }, () => -Infinity);
    const from = Array.from({ length: tags * masks }, () => 0);
    for (const { state, tag, before } of moves) {
      const previous = before.reduce((top, other) =>
        (best[other] ?? -Infinity) > (best[top] ?? -Infinity) ? other : top,
      );
      step[state] = (best[previous] ?? -Infinity) + (word[tag] ?? -Infinity);
      from[state] = previous;
    }
    best = step;
    back.push(from);
  }
  const wanted = required.reduce((mask, needed, kind) => (needed ? mask | (1 << kind) : mask), 0);
  let state = -1;
  for (let end = 0; end < tags * masks; end++) {
    const satisfied = ((end % masks) & wanted) === wanted;
    if (satisfied && (best[end] ?? -Infinity) > (state < 0 ? -Infinity : (best[state] ?? -Infinity)))
      state = end;
  }
  if (state < 0) return required.map(() => undefined);
  const path: number[] = [];
  for (const from of back.toReversed()) {
    path.push(Math.floor(state / masks));
    state = from[state] ?? 0;
  }
  return required.map((_, kind) => spanOf(path.toReversed(), kind));
}

/** Without punctuation at either end; undefined if nothing else is left. */
export function trimSpan(span: Span | undefined, words: readonly string[]): Span | undefined {
  if (span === undefined) return undefined;
  let [first, end] = span;
  while (first < end && edges.has(words[first] ?? '')) first++;
  while (end > first && edges.has(words[end - 1] ?? '')) end--;
  return first < end ? [first, end] : undefined;
}

/** Log-probabilities of one word's logits. */
export function logSoftmax(logits: readonly number[]): number[] {
  const top = Math.max(...logits);
  const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit - top), 0));
  return logits.map((logit) => logit - top - sum);
}

interface Move {
  readonly state: number;
  readonly tag: number;
  readonly before: readonly number[];
}

/** Every state that can be reached, numbered `tag × masks + mask`, with the states it may follow. */
function listMoves(tags: number, masks: number): Move[] {
  const allTags = Array.from({ length: tags }, (_, tag) => tag);
  const moves: Move[] = [];
  for (let mask = 0; mask < masks; mask++) {
    moves.push({ state: mask, tag: 0, before: allTags.map((tag) => tag * masks + mask) });
    for (let begin = 1; begin < tags; begin += 2) {
      const bit = 1 << ((begin - 1) / 2);
      if ((mask & bit) === 0) continue;
      moves.push({
        state: begin * masks + mask,
        tag: begin,
        before: allTags.map((tag) => tag * masks + (mask & ~bit)),
      });
      const inside = (begin + 1) * masks + mask;
      moves.push({ state: inside, tag: begin + 1, before: [begin * masks + mask, inside] });
    }
  }
  return moves;
}

function spanOf(path: readonly number[], kind: number): Span | undefined {
  const inside = path.flatMap((tag, word) => (tag === 2 * kind + 1 || tag === 2 * kind + 2 ? [word] : []));
  const [first] = inside;
  const last = inside.at(-1);
  return first === undefined || last === undefined ? undefined : [first, last + 1];
}
