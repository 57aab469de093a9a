"""Trains and packs the reasoning model: causal relations and counterfactuals in one forward pass.

One MiniLM-L6 encoder carries four heads. From the mean of the tokens: is there a causal relation,
is the sentence counterfactual. From every token: cause, effect and signal (8 logits: 5 for O,
B/I-Cause, B/I-Effect, 3 for O, B/I-Signal, apart because signals may lie inside arguments), and
antecedent and consequent (5 logits). Only the first word piece of a word is trained and read;
spans.decode turns the scores into spans. Text may only be changed one character for one.

    python models/train/reasoning.py --data ../shared/data --work ../scratch/train/reasoning

Run from the repository root; a second call goes on from the checkpoints in --work. A seeded tenth
of the Causal News Corpus and of SemEval-2020 task 5 is held out: it picks the epoch, the
thresholds and the calibration, and is what the manifest reports.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifact
from encoder import Encoder, Recipe, bucketed_batches, fit, in_batches, linear, mean_pool, pad
from measure import (
    best_threshold,
    binary,
    bootstrap,
    crossfit_calibration,
    f1,
    invariance,
    micro_f1,
    parity,
    sigmoid,
)
from reasoning_data import IGNORED, Example, Relation, Sources, example, read_sources
from spans import Span, decode, exact, overlap, overlap_f1, trim

VERSION = "2026.11.1"
RECIPE = Recipe(
    seed=123, epochs=5, batch=16, lr_top_layer=1e-4, lr_heads=1e-3, warmup=0.08
)
HELD_OUT = 0.1
FORM = artifact.MIXED
PER_EPOCH = {  # rows drawn afresh in every epoch; None takes all
    "cnc": None,
    "altlex": None,
    "semeval2010 positive": 250,
    "semeval2010 negative": 250,
    "counterfactual positive": None,
    "counterfactual negative": 7000,
    "counterfactual spans": 1600,
    "silver positive": 300,
    "silver negative": 300,
    "silver spans": 300,
    "templates": None,
}
OUTPUTS = {
    "causal_logit": ["batch"],
    "span_logits": ["batch", "tokens", 8],
    "counterfactual_logit": ["batch"],
    "counterfactual_span_logits": ["batch", "tokens", 5],
}
TAGS = {
    "span_logits": ["O", "B-Cause", "I-Cause", "B-Effect", "I-Effect", "O", "B-Signal", "I-Signal"],
    "counterfactual_span_logits": [
        "O", "B-Antecedent", "I-Antecedent", "B-Consequent", "I-Consequent",
    ],
}
DATA = [
    {
        "name": "Causal News Corpus V2",
        "source": "Tan et al. 2022, tanfiona/CausalNewsCorpus",
        "licence": "CC0 (annotations)",
        "sources": ["cnc"],
    },
    {
        "name": "AltLex",
        "source": "Hidey and McKeown 2016, by way of tanfiona/UniCausal",
        "licence": "see the source",
        "sources": ["altlex"],
    },
    {
        "name": "SemEval-2010 task 8",
        "source": "Hendrickx et al. 2010, by way of tanfiona/UniCausal",
        "licence": "CC BY 3.0",
        "sources": ["semeval2010 positive", "semeval2010 negative"],
    },
    {
        "name": "SemEval-2020 task 5",
        "source": "Yang et al. 2020, arielsho/SemEval-2020-Task-5",
        "licence": "for research, cite the paper",
        "sources": ["counterfactual positive", "counterfactual negative", "counterfactual spans"],
    },
    {
        "name": "GoEmotions texts, causality labelled by connective (silver)",
        "source": "Demszky et al. 2020, google-research/goemotions",
        "licence": "Apache-2.0",
        "sources": ["silver positive", "silver negative", "silver spans"],
    },
    {
        "name": "everyday_templates.json (generated)",
        "source": "models/train/everyday_templates.json",
        "licence": "this repository's",
        "sources": ["templates"],
    },
]


class ReasoningModel(nn.Module):
    """(input_ids, attention_mask), both [batch, tokens] -> the four OUTPUTS, in their order."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(RECIPE.dropout)
        self.causal = linear(1)
        self.spans = linear(8)
        self.counterfactual = linear(1)
        self.counterfactual_spans = linear(5)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        hidden = self.encoder(input_ids, attention_mask)
        pooled = self.dropout(mean_pool(hidden, attention_mask))
        hidden = self.dropout(hidden)
        return (
            self.causal(pooled).squeeze(-1),
            self.spans(hidden),
            self.counterfactual(pooled).squeeze(-1),
            self.counterfactual_spans(hidden),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("../scratch/train/reasoning"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    sources = read_sources(arguments.data, RECIPE.seed, HELD_OUT)
    model = train(sources, arguments.work)
    fp32 = arguments.work.with_name("reasoning.fp32.onnx")
    artifact.export(model, fp32, OUTPUTS)
    pack(model, fp32, sources)


# --- training -----------------------------------------------------------------------------


def train(sources: Sources, work: Path) -> ReasoningModel:
    torch.manual_seed(RECIPE.seed)
    model = ReasoningModel(Encoder.pretrained())

    def batches_of(epoch: int) -> list[list[Example]]:
        rng = np.random.default_rng(RECIPE.seed + epoch)
        rows = [row for name, rows in PER_EPOCH.items() for row in draw(sources.by_name[name], rows, rng)]
        batches = bucketed_batches([len(row.ids) for row in rows], RECIPE.batch, rng)
        return [[rows[i] for i in batch] for batch in batches]

    def score_of() -> float:
        measured = measure(sources.held_out, lambda rows: run_torch(model, rows), 0.5, 0.5)
        print(json.dumps(artifact.significant(measured)))
        print(everyday(lambda rows: run_torch(model, rows), 0.5, 0.5))
        return selection_score(measured)

    fit(model, RECIPE, batches_of, lambda rows: loss_of(model, rows), score_of, work)
    return model


def draw(rows: list[Example], count: int | None, rng: np.random.Generator) -> list[Example]:
    return rows if count is None else [rows[i] for i in rng.permutation(len(rows))[:count]]


def selection_score(measured: dict) -> float:
    causal, counterfactual = measured["causal"], measured["counterfactual"]
    return float(
        np.mean([
            causal["sentence"]["f1"],
            causal["token_f1"]["cause"],
            causal["token_f1"]["effect"],
            counterfactual["sentence"]["f1"],
            counterfactual["token_f1"]["antecedent"],
            counterfactual["token_f1"]["consequent"],
        ])
    )


def loss_of(model: ReasoningModel, rows: list[Example]) -> Tensor:
    """The sum over heads of each row's weighted loss; a row without a head's label adds nothing."""
    ids, mask = map(torch.from_numpy, pad([row.ids for row in rows]))
    causal, spans, counterfactual, antecedents = (out.float() for out in model(ids, mask))
    weights = torch.tensor([row.weight for row in rows])
    tags = ids.shape[1]
    losses = (
        sentence_loss(causal, [row.causal for row in rows])
        + sentence_loss(counterfactual, [row.counterfactual for row in rows])
        + relation_loss(spans, [relation_tags(row, tags) for row in rows])
        + tag_loss(antecedents, [[counterfactual_tags(row, tags)] for row in rows]).squeeze(1)
    )
    return (weights * losses).mean()


def sentence_loss(logits: Tensor, labels: Sequence[bool | None]) -> Tensor:
    known = torch.tensor([label is not None for label in labels], dtype=torch.float)
    gold = torch.tensor([bool(label) for label in labels], dtype=torch.float)
    return known * F.binary_cross_entropy_with_logits(logits, gold, reduction="none")


def relation_loss(logits: Tensor, tags: list[list[np.ndarray]]) -> Tensor:
    """[batch]: the loss against the nearest of a sentence's gold relations; the model emits one."""
    most = max(1, *(len(relations) for relations in tags))
    empty = np.full((2, logits.shape[1]), IGNORED)
    padded = [[*relations, *[empty] * (most - len(relations))] for relations in tags]
    both = tag_loss(logits[..., :5], [[pair[0] for pair in row] for row in padded]) + tag_loss(
        logits[..., 5:], [[pair[1] for pair in row] for row in padded]
    )
    present = torch.tensor([[i < len(relations) for i in range(most)] for relations in tags])
    nearest = both.masked_fill(~present, torch.inf).amin(1)
    return torch.where(present.any(1), nearest, torch.zeros(()))


def tag_loss(logits: Tensor, tags: list[list[np.ndarray]]) -> Tensor:
    """logits [batch, tokens, classes], tags [batch, alternatives, tokens] -> [batch, alternatives]."""
    gold = torch.from_numpy(np.array(tags))
    log_p = logits.log_softmax(-1).unsqueeze(1).expand(-1, gold.shape[1], -1, -1)
    picked = log_p.gather(-1, gold.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    counted = gold != IGNORED
    return -(picked * counted).sum(-1) / counted.sum(-1).clamp(min=1)


def relation_tags(row: Example, tokens: int) -> list[np.ndarray]:
    """Per relation [2, tokens]: cause and effect tags, signal tags."""
    return [
        np.stack([
            tags_of(row, [relation.cause, relation.effect], tokens),
            tags_of(row, [relation.signal], tokens),
        ])
        for relation in row.relations
    ]


def counterfactual_tags(row: Example, tokens: int) -> np.ndarray:
    if row.antecedent is None:
        return np.full(tokens, IGNORED)
    return tags_of(row, [row.antecedent, row.consequent], tokens)


def tags_of(row: Example, spans: Sequence[Span | None], tokens: int) -> np.ndarray:
    by_word = np.zeros(len(row.words), dtype=np.int64)
    for kind, span in enumerate(spans):
        if span:
            by_word[slice(*span)] = 2 * kind + 2
            by_word[span[0]] = 2 * kind + 1
    tags = np.full(tokens, IGNORED)
    tags[row.starts] = by_word
    return tags


# --- reading the outputs ------------------------------------------------------------------


@torch.no_grad()
def run_torch(model: ReasoningModel, rows: list[list[int]]) -> dict:
    """The same answer as artifact.run, from the fp32 model."""
    results = {name: [np.empty(0)] * len(rows) for name in OUTPUTS}
    for numbers, ids, mask in in_batches(rows, 16):
        outputs = model(torch.from_numpy(ids), torch.from_numpy(mask))
        for name, values in zip(OUTPUTS, outputs):
            for number, value in zip(numbers, values.numpy()):
                results[name][number] = value[: len(rows[number])] if value.ndim > 1 else value
    return results


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


def measure(held_out: dict, run, causal_threshold: float, counterfactual_threshold: float) -> dict:
    """Sentence and span figures on the held-out rows; run(rows of ids) -> outputs."""
    cnc, sentences = held_out["cnc"], held_out["counterfactual"]
    causal = run([row.ids for row in cnc])
    counterfactual = run([row.ids for row in sentences])
    antecedents = run([row.ids for row in held_out["counterfactual spans"]])
    return {
        "causal": {
            "sentence": binary(*heads(cnc, causal, "causal", causal_threshold)),
            **span_figures([relation_spans(row, causal, i) for i, row in enumerate(cnc) if row.relations]),
        },
        "counterfactual": {
            "sentence": binary(
                *heads(sentences, counterfactual, "counterfactual", counterfactual_threshold)
            ),
            **span_figures([
                counterfactual_spans(row, antecedents, i)
                for i, row in enumerate(held_out["counterfactual spans"])
            ]),
        },
    }


def heads(rows: list[Example], outputs: dict, head: str, threshold: float):
    """(gold, predicted), boolean [rows]."""
    gold = gold_of(rows, head)
    return gold, sigmoid(np.array(outputs[f"{head}_logit"])) >= threshold


def relation_spans(row: Example, outputs: dict, number: int) -> dict:
    """{kind: (gold, found)}, gold being the relation nearest to ours."""
    found = read_spans(row, outputs, number)

    def nearness(relation: Relation) -> float:
        return overlap_f1(relation.cause, found["cause"]) + overlap_f1(relation.effect, found["effect"])

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
        figures[f"{name}_ci95"] = {kind: bootstrap(pooled_f1, rows) for kind, rows in counts.items()}
    return figures


def pooled_f1(counts: np.ndarray) -> float:
    return float(f1(*counts.sum(0)))


def everyday(run, causal_threshold: float, counterfactual_threshold: float) -> dict:
    """Hand-written sentences, never trained on: found, and cause and effect the right way round."""
    with Path(__file__).with_name("everyday_causal.tsv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    rows = [example(line["text"]) for line in table]
    outputs = run([row.ids for row in rows])
    causal = sigmoid(np.array(outputs["causal_logit"])) >= causal_threshold
    hypothetical = sigmoid(np.array(outputs["counterfactual_logit"])) >= counterfactual_threshold
    right, wrong, tally = 0, [], {"causal": 0, "other": 0, "false_alarms": 0}
    for i, (line, row) in enumerate(zip(table, rows)):
        if line["counterfactual"] == "1":
            continue
        if not line["cause"]:
            tally["other"] += 1
            tally["false_alarms"] += int(causal[i])
            wrong += [line["text"]] if causal[i] else []
            continue
        tally["causal"] += 1
        found = read_spans(row, outputs, i)
        good = causal[i] and all(same_words(row, found[kind], line[kind]) for kind in ("cause", "effect"))
        right += int(good)
        wrong += [] if good else [line["text"]]
    gold = np.array([line["counterfactual"] == "1" for line in table])
    return tally | {
        "right_way_round": right,
        "counterfactual_right": int((hypothetical == gold).sum()),
        "n": len(table),
        "wrong": wrong + [line["text"] for line, bad in zip(table, hypothetical != gold) if bad],
    }


def same_words(row: Example, found: Span | None, gold: str) -> bool:
    """At least two thirds of the words agree (word F1), so that a swap never passes."""
    first = row.text.index(gold)
    inside = [i for i, (at, _) in enumerate(row.words) if first <= at < first + len(gold)]
    return overlap_f1((inside[0], inside[-1] + 1), found) >= 2 / 3


# --- packing ------------------------------------------------------------------------------


def pack(model: ReasoningModel, fp32: Path, sources: Sources) -> None:
    """Quantizes, measures the graph that will be served, and writes the artifact folder."""
    int8 = artifact.folder("reasoning", VERSION) / "model.int8.onnx"
    artifact.quantize(fp32, int8, calibration_rows(sources), FORM)
    graphs = {"fp32": artifact.session(fp32), "int8": artifact.session(int8)}
    scores = {name: sentence_scores(graph, sources.held_out) for name, graph in graphs.items()}
    gold = {head: gold_of(rows, head) for head, rows in sentence_rows(sources.held_out).items()}
    thresholds = {
        head: best_threshold(
            lambda t, head=head: micro_f1(gold[head], scores["int8"][head] >= t), tolerance=0.01
        )
        for head in gold
    }
    details = {
        "tags": TAGS,
        "thresholds": thresholds,
        "calibration": {
            head: crossfit_calibration(scores["int8"][head], gold[head], RECIPE.seed) for head in gold
        },
        "data": data_rows(sources),
        "recipe": asdict(RECIPE) | {"rows_per_epoch": {**PER_EPOCH}, "silver_weight": 0.4},
        "measured": {
            "heldout": {
                name: measure(sources.held_out, runner(graph), *thresholds.values())
                for name, graph in graphs.items()
            }
            | {"int8_at_0.5": measure(sources.held_out, runner(graphs["int8"]), 0.5, 0.5)},
            "everyday": everyday(runner(graphs["int8"]), *thresholds.values()),
            "invariance": invariance(
                lambda batch: every_score(graphs["int8"], sources.held_out["cnc"], batch), 0.5
            )
            | {"n": len(sources.held_out["cnc"])},
            "parity": {
                head: parity(scores["fp32"][head], scores["int8"][head], thresholds[head])
                for head in gold
            },
            "bytes_fp32": fp32.stat().st_size,
        },
    }
    artifact.write_golden(int8.with_name("golden.json"), golden(model, graphs["int8"]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    artifact.write_manifest("reasoning", VERSION, FORM, parameters, "quotes", OUTPUTS, details)
    print(json.dumps(artifact.significant(details["measured"])))


def calibration_rows(sources: Sources) -> list[list[int]]:
    """News and plain speech, in turns."""
    names = ("cnc", "counterfactual negative", "silver positive", "silver negative")
    return [row.ids for rows in zip(*(sources.by_name[name] for name in names)) for row in rows]


def runner(graph):
    return lambda rows: artifact.run(graph, rows, 16)


def sentence_rows(held_out: dict[str, list[Example]]) -> dict[str, list[Example]]:
    """The rows each sentence head is judged on."""
    return {"causal": held_out["cnc"], "counterfactual": held_out["counterfactual"]}


def sentence_scores(graph, held_out: dict[str, list[Example]]) -> dict[str, np.ndarray]:
    return {
        head: sigmoid(np.array(runner(graph)([row.ids for row in rows])[f"{head}_logit"]))
        for head, rows in sentence_rows(held_out).items()
    }


def gold_of(rows: list[Example], head: str) -> np.ndarray:
    return np.array([getattr(row, head) for row in rows], dtype=bool)


def every_score(graph, rows: list[Example], batch: int) -> np.ndarray:
    """All probabilities of all outputs, in one row, for rows in order of arrival."""
    outputs = artifact.run(graph, [row.ids for row in rows], batch, sort=False)
    sentence = [sigmoid(np.array(outputs[name])) for name in ("causal_logit", "counterfactual_logit")]
    tags = [np.vstack(outputs[name]) for name in ("span_logits", "counterfactual_span_logits")]
    groups = [tags[0][:, :5], tags[0][:, 5:], tags[1]]
    return np.concatenate([*sentence, *(np.exp(log_softmax(group)).ravel() for group in groups)])


def data_rows(sources: Sources) -> list[dict]:
    def count(rows: dict[str, list], names: list[str]) -> dict[str, int]:
        return {name: len(rows[name]) for name in names if name in rows}

    held_out = {
        "cnc": sources.held_out["cnc"],
        "counterfactual positive": [row for row in sources.held_out["counterfactual"] if row.counterfactual],
        "counterfactual negative": [
            row for row in sources.held_out["counterfactual"] if not row.counterfactual
        ],
        "counterfactual spans": sources.held_out["counterfactual spans"],
    }
    return [
        {key: value for key, value in entry.items() if key != "sources"}
        | {
            "rows_trained": count(sources.by_name, entry["sources"]),
            "rows_heldout": count(held_out, entry["sources"]),
        }
        for entry in DATA
    ]


def golden(model: ReasoningModel, served) -> list[dict]:
    """Offsets and spans count UTF-16 code units, as JavaScript does; the first five cases carry
    every output, the rest the sentence logits and the decoded spans."""
    texts = json.loads(Path(__file__).with_name("golden_texts.json").read_text())["reasoning"]
    rows = [example(text) for text in texts]
    exact, int8 = (run([row.ids for row in rows]) for run in (lambda ids: run_torch(model, ids), runner(served)))
    return [golden_case(text, row, exact, int8, i) for i, (text, row) in enumerate(zip(texts, rows))]


def golden_case(text: str, row: Example, exact: dict, int8: dict, number: int) -> dict:
    case = {
        "text": text,
        "input_ids": row.ids,
        "word_starts": row.starts,
        "word_offsets": [[utf16(row.text, at) for at in chars] for chars in row.words],
        "causal_logit": int8["causal_logit"][number],
        "counterfactual_logit": int8["counterfactual_logit"][number],
        "spans": {
            kind: span and [utf16(row.text, row.words[span[0]][0]), utf16(row.text, row.words[span[1] - 1][1])]
            for kind, span in read_spans(row, int8, number).items()
        },
    }
    if number < 5:
        case["outputs_fp32"] = {name: exact[name][number] for name in OUTPUTS}
        case["outputs_int8"] = {name: int8[name][number] for name in OUTPUTS}
    return case


def utf16(text: str, index: int) -> int:
    return len(text[:index].encode("utf-16-le")) // 2


if __name__ == "__main__":
    main()
