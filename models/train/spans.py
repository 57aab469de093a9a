"""Spans from tag scores, and how right they are. Serving ports `decode` and `trim` line by line."""

from collections.abc import Sequence

import numpy as np

from measure import f1

Span = tuple[int, int]  # first word, last word + 1
NONE = -np.inf
EDGES = set(",;:.!?-–—…")  # never the first or last word of an argument


def decode(scores: np.ndarray, required: Sequence[bool]) -> list[Span | None]:
    """The best tagging in which each kind of span occurs at most once, by Viterbi.

    `scores` [words, 1 + 2k] are log-probabilities of O, B-1, I-1, B-2, I-2, ... on the first
    word piece of each word; `required[i]` says that span i must be there. A state is (tag, set of
    kinds already begun): O follows anything, B-i anything that has not begun i, and I-i only
    B-i or I-i. Returns one span per kind; all None if no tagging satisfies `required`.
    """
    words, tags = scores.shape
    masks = 1 << len(required)
    best = np.full((tags, masks), NONE)
    best[0, 0] = 0.0  # before the first word: O, nothing begun
    back = np.zeros((words, tags, masks, 2), dtype=int)
    for word in range(words):
        step = np.full_like(best, NONE)
        for tag, mask, before in steps(tags, masks):
            tag_before = max(before, key=lambda state: best[state])
            step[tag, mask] = best[tag_before] + scores[word, tag]
            back[word, tag, mask] = tag_before
        best = step
    wanted = sum(1 << kind for kind, needed in enumerate(required) if needed)
    ends = [(tag, mask) for tag in range(tags) for mask in range(masks) if mask & wanted == wanted]
    state = max(ends, key=lambda end: best[end])
    if best[state] == NONE:
        return [None] * len(required)
    path = []
    for word in reversed(range(words)):
        path.append(state[0])
        state = tuple(back[word, *state])
    return [span_of(path[::-1], kind) for kind in range(len(required))]


def steps(tags: int, masks: int) -> list[tuple[int, int, list[tuple[int, int]]]]:
    """(tag, mask, the states it may follow), for every state that can be reached."""
    moves = []
    for mask in range(masks):
        moves.append((0, mask, [(tag, mask) for tag in range(tags)]))
        for begin in range(1, tags, 2):
            bit = 1 << (begin // 2)
            if mask & bit:
                moves.append((begin, mask, [(tag, mask & ~bit) for tag in range(tags)]))
                moves.append((begin + 1, mask, [(begin, mask), (begin + 1, mask)]))
    return moves


def span_of(path: Sequence[int], kind: int) -> Span | None:
    inside = [word for word, tag in enumerate(path) if tag in (2 * kind + 1, 2 * kind + 2)]
    return (inside[0], inside[-1] + 1) if inside else None


def trim(span: Span | None, words: Sequence[str]) -> Span | None:
    """Without punctuation at either end; None if nothing else is left."""
    if span is None:
        return None
    first, end = span
    while first < end and words[first] in EDGES:
        first += 1
    while end > first and words[end - 1] in EDGES:
        end -= 1
    return (first, end) if first < end else None


# --- quality ------------------------------------------------------------------------------


def overlap(gold: Span | None, found: Span | None) -> np.ndarray:
    """(words in both, words only found, words only in gold)."""
    gold_words, found_words = (set(range(*span)) if span else set() for span in (gold, found))
    both = len(gold_words & found_words)
    return np.array([both, len(found_words) - both, len(gold_words) - both])


def overlap_f1(gold: Span | None, found: Span | None) -> float:
    return float(f1(*overlap(gold, found)))


def exact(gold: Span | None, found: Span | None) -> np.ndarray:
    """(exactly right, wrong, missed), as counts for F1."""
    same = gold == found and gold is not None
    return np.array(
        [same, found is not None and not same, gold is not None and not same], dtype=int
    )
