"""Reads the reasoning model's outputs and says how right they are.

`run` is always a function from rows of ids to the four outputs, one array per row, whichever of
the PyTorch model, the fp32 graph or the served graph computes them.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from measure import binary, bootstrap, f1, sigmoid
from reasoning_data import Example, Relation, example
from spans import Span, decode, exact, overlap, overlap_f1, trim

Run = Callable[[list[list[int]]], dict]


# --- reading ------------------------------------------------------------------------------


def read_spans(row: Example, outputs: dict, number: int) -> dict[str, Span | None]:
    """The five spans, in words. A relation needs a cause and an effect, a counterfactual an
    antecedent; the signal and the consequent may be missing."""
    words = [row.text[first:last] for first, last in row.words]
    relation = outputs["span_logits"][number][row.starts]
    counterfactual = outputs["counterfactual_span_logits"][number][row.starts]
    if not words:
        return dict.fromkeys(("cause", "effect", "signal", "antecedent", "consequent"))
    cause, effect = decode(log_softmax(relation[:, :5]), [True, True])
    (signal,) = decode(log_softmax(relation[:, 5:]), [False])
    antecedent, consequent = decode(log_softmax(counterfactual), [True, False])
    return {
        "cause": trim(cause, words),
        "effect": trim(effect, words),
        "signal": trim(signal, words),
        "antecedent": trim(antecedent, words),
        "consequent": trim(consequent, words),
    }


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


# --- measuring ----------------------------------------------------------------------------


def measure(
    held_out: dict[str, list[Example]],
    run: Run,
    causal_threshold: float,
    counterfactual_threshold: float,
) -> dict:
    """Sentence and span figures on the held-out rows."""
    cnc, sentences = held_out["cnc"], held_out["counterfactual"]
    causal = run([row.ids for row in cnc])
    counterfactual = run([row.ids for row in sentences])
    antecedents = run([row.ids for row in held_out["counterfactual spans"]])
    return {
        "causal": {
            "sentence": binary(*heads(cnc, causal, "causal", causal_threshold)),
            **span_figures(
                [relation_spans(row, causal, i) for i, row in enumerate(cnc) if row.relations]
            ),
        },
        "counterfactual": {
            "sentence": binary(
                *heads(sentences, counterfactual, "counterfactual", counterfactual_threshold)
            ),
            **span_figures(
                [
                    counterfactual_spans(row, antecedents, i)
                    for i, row in enumerate(held_out["counterfactual spans"])
                ]
            ),
        },
    }


def heads(
    rows: list[Example], outputs: dict, head: str, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """(gold, predicted), boolean [rows]."""
    gold = gold_of(rows, head)
    return gold, sigmoid(np.array(outputs[f"{head}_logit"])) >= threshold


def relation_spans(row: Example, outputs: dict, number: int) -> dict:
    """{kind: (gold, found)}, gold being the relation nearest to ours."""
    found = read_spans(row, outputs, number)

    def nearness(relation: Relation) -> float:
        return overlap_f1(relation.cause, found["cause"]) + overlap_f1(
            relation.effect, found["effect"]
        )

    nearest = max(row.relations, key=nearness)
    return {kind: (getattr(nearest, kind), found[kind]) for kind in ("cause", "effect", "signal")}


def counterfactual_spans(row: Example, outputs: dict, number: int) -> dict:
    found = read_spans(row, outputs, number)
    return {kind: (getattr(row, kind), found[kind]) for kind in ("antecedent", "consequent")}


def span_figures(pairs: list[dict]) -> dict:
    """Token and exact F1 per kind with intervals, over [{kind: (gold, found)}]."""
    figures: dict = {"span_sentences": len(pairs)}
    for name, counts_of in (("token_f1", overlap), ("exact_f1", exact)):
        counts = {kind: np.array([counts_of(*pair[kind]) for pair in pairs]) for kind in pairs[0]}
        figures[name] = {kind: pooled_f1(rows) for kind, rows in counts.items()}
        figures[f"{name}_ci95"] = {
            kind: bootstrap(pooled_f1, rows) for kind, rows in counts.items()
        }
    return figures


def pooled_f1(counts: np.ndarray) -> float:
    return float(f1(*counts.sum(0)))


def everyday(run: Run, causal_threshold: float, counterfactual_threshold: float) -> dict:
    """Hand-written sentences, never trained on: found, and cause and effect the right way round."""
    with Path(__file__).with_name("everyday_causal.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    rows = [example(line["text"]) for line in table]
    outputs = run([row.ids for row in rows])
    causal = sigmoid(np.array(outputs["causal_logit"])) >= causal_threshold
    unreal = sigmoid(np.array(outputs["counterfactual_logit"])) >= counterfactual_threshold
    kinds = np.array([kind_of(line) for line in table])
    right = {
        "causal": [
            causal[i] and right_way_round(rows[i], outputs, i, table[i])
            for i in at(kinds, "causal")
        ],
        "other": [not causal[i] for i in at(kinds, "other")],
        "counterfactual": list(unreal == (kinds == "counterfactual")),
    }
    return {kind: {"n": len(values), "right": int(sum(values))} for kind, values in right.items()}


def kind_of(line: dict[str, str]) -> str:
    if line["counterfactual"] == "1":
        return "counterfactual"
    return "causal" if line["cause"] else "other"


def at(kinds: np.ndarray, kind: str) -> np.ndarray:
    return np.flatnonzero(kinds == kind)


def right_way_round(row: Example, outputs: dict, number: int, line: dict[str, str]) -> bool:
    found = read_spans(row, outputs, number)
    return all(same_words(row, found[kind], line[kind]) for kind in ("cause", "effect"))


def same_words(row: Example, found: Span | None, gold: str) -> bool:
    """At least two thirds of the words agree (word F1), so that a swap never passes."""
    first = row.text.index(gold)
    inside = [i for i, (at, _) in enumerate(row.words) if first <= at < first + len(gold)]
    return overlap_f1((inside[0], inside[-1] + 1), found) >= 2 / 3


def sentence_rows(held_out: dict[str, list[Example]]) -> dict[str, list[Example]]:
    """The rows each sentence head is judged on."""
    return {"causal": held_out["cnc"], "counterfactual": held_out["counterfactual"]}


def gold_of(rows: list[Example], head: str) -> np.ndarray:
    return np.array([getattr(row, head) for row in rows], dtype=bool)


def selection_score(measured: dict) -> float:
    causal, counterfactual = measured["causal"], measured["counterfactual"]
    return float(
        np.mean(
            [
                causal["sentence"]["f1"],
                causal["token_f1"]["cause"],
                causal["token_f1"]["effect"],
                counterfactual["sentence"]["f1"],
                counterfactual["token_f1"]["antecedent"],
                counterfactual["token_f1"]["consequent"],
            ]
        )
    )
