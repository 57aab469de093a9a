"""Trains and packs the reasoning model: causal relations and counterfactuals in one forward pass.

One MiniLM-L6 encoder carries four heads. From the mean of the tokens: is there a causal relation,
is the sentence counterfactual. From every token: cause, effect and signal (8 logits: 5 for O,
B/I-Cause, B/I-Effect, 3 for O, B/I-Signal, apart because signals may lie inside arguments), and
antecedent and consequent (5 logits). Only the first word piece of a word is trained and read;
spans.decode turns the scores into spans. Text may only be changed one character for one.

    python models/train/reasoning.py --data ../shared/data --work ../scratch/train/reasoning
    python models/train/reasoning.py --data ../shared/data --graph reasoning.fp32.onnx

Run from the repository root; a second call goes on from the checkpoints in --work. The second form
trains nothing and packs a graph of floats that there is already, as the export of a training or
what bench/int8/float_graph.py makes of a served graph: version 2026.11.2 has the weights of
2026.11.1. A seeded tenth of the Causal News Corpus and of SemEval-2020 task 5 is held out: it picks
the epoch, the thresholds and the calibration, and is what the manifest reports.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from onnxruntime import InferenceSession
from torch import Tensor, nn

import artifact
from encoder import Encoder, Recipe, bucketed_batches, fit, in_batches, linear, mean_pool, pad
from measure import best_threshold, crossfit_calibration, invariance, micro_f1, parity, sigmoid
from reasoning_data import IGNORED, Example, Sources, example, held_out_ids, read_sources
from reasoning_measure import (
    Run,
    everyday,
    gold_of,
    log_softmax,
    measure,
    read_spans,
    selection_score,
    sentence_rows,
)
from spans import Span

VERSION = "2026.11.2"
RECIPE = Recipe(seed=123, epochs=5, batch=16, lr_top_layer=1e-4, lr_heads=1e-3, warmup=0.08)
HELD_OUT = 0.1
FORM = artifact.TWO_PARTS
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
        "O",
        "B-Antecedent",
        "I-Antecedent",
        "B-Consequent",
        "I-Consequent",
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
    parser.add_argument("--graph", type=Path, help="pack this graph of floats, train nothing")
    parser.add_argument("--held-out-only", action="store_true", help="only write heldout.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    ids = held_out_ids(arguments.data, RECIPE.seed, HELD_OUT)
    artifact.write_held_out("reasoning", VERSION, ids)
    if arguments.held_out_only:
        return
    sources = read_sources(arguments.data, RECIPE.seed, HELD_OUT)
    fp32 = arguments.graph
    if fp32 is None:
        fp32 = arguments.work.with_name("reasoning.fp32.onnx")
        artifact.export(train(sources, arguments.work), fp32, OUTPUTS)
    pack(fp32, sources)


# --- training -----------------------------------------------------------------------------


def train(sources: Sources, work: Path) -> ReasoningModel:
    torch.manual_seed(RECIPE.seed)
    model = ReasoningModel(Encoder.pretrained())

    def batches_of(epoch: int) -> list[list[Example]]:
        rng = np.random.default_rng(RECIPE.seed + epoch)
        drawn = (draw(sources.by_name[name], count, rng) for name, count in PER_EPOCH.items())
        rows = [row for part in drawn for row in part]
        batches = bucketed_batches([len(row.ids) for row in rows], RECIPE.batch, rng)
        return [[rows[i] for i in batch] for batch in batches]

    def score_of() -> float:
        return selection_score(measure(sources.held_out, partial(run_torch, model), 0.5, 0.5))

    fit(model, RECIPE, batches_of, lambda rows: loss_of(model, rows), score_of, work)
    return model


def draw(rows: list[Example], count: int | None, rng: np.random.Generator) -> list[Example]:
    return rows if count is None else [rows[i] for i in rng.permutation(len(rows))[:count]]


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
    """Mean loss per word: logits [batch, tokens, tags], gold [batch, n, tokens] -> [batch, n]."""
    gold = torch.from_numpy(np.array(tags))
    log_p = logits.log_softmax(-1).unsqueeze(1).expand(-1, gold.shape[1], -1, -1)
    picked = log_p.gather(-1, gold.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    counted = gold != IGNORED
    return -(picked * counted).sum(-1) / counted.sum(-1).clamp(min=1)


def relation_tags(row: Example, tokens: int) -> list[np.ndarray]:
    """Per relation [2, tokens]: cause and effect tags, signal tags."""
    return [
        np.stack(
            [
                tags_of(row, [relation.cause, relation.effect], tokens),
                tags_of(row, [relation.signal], tokens),
            ]
        )
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


# --- packing ------------------------------------------------------------------------------


def pack(fp32: Path, sources: Sources) -> None:
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
            head: crossfit_calibration(scores["int8"][head], gold[head], RECIPE.seed)
            for head in gold
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
    artifact.write_golden(int8.with_name("golden.json"), golden(graphs["fp32"], graphs["int8"]))
    parameters = sum(parameter.numel() for parameter in ReasoningModel(Encoder()).parameters())
    artifact.write_manifest("reasoning", VERSION, FORM, parameters, "quotes", OUTPUTS, details)
    print(json.dumps(artifact.significant(details["measured"])))


def calibration_rows(sources: Sources) -> list[list[int]]:
    """News and plain speech, in turns."""
    names = ("cnc", "counterfactual negative", "silver positive", "silver negative")
    return [row.ids for rows in zip(*(sources.by_name[name] for name in names)) for row in rows]


def runner(graph: InferenceSession) -> Run:
    return partial(artifact.run, graph, batch=16)


def sentence_scores(
    graph: InferenceSession, held_out: dict[str, list[Example]]
) -> dict[str, np.ndarray]:
    return {
        head: sigmoid(np.array(runner(graph)([row.ids for row in rows])[f"{head}_logit"]))
        for head, rows in sentence_rows(held_out).items()
    }


def every_score(graph: InferenceSession, rows: list[Example], batch: int) -> np.ndarray:
    """All probabilities of all outputs, in one row, for rows in order of arrival."""
    outputs = artifact.run(graph, [row.ids for row in rows], batch, sort=False)
    sentence = [
        sigmoid(np.array(outputs[name])) for name in ("causal_logit", "counterfactual_logit")
    ]
    tags = [np.vstack(outputs[name]) for name in ("span_logits", "counterfactual_span_logits")]
    groups = [tags[0][:, :5], tags[0][:, 5:], tags[1]]
    return np.concatenate([*sentence, *(np.exp(log_softmax(group)).ravel() for group in groups)])


def data_rows(sources: Sources) -> list[dict]:
    def count(rows: dict[str, list], names: list[str]) -> dict[str, int]:
        return {name: len(rows[name]) for name in names if name in rows}

    sentences = sources.held_out["counterfactual"]
    held_out = sources.held_out | {
        "counterfactual positive": [row for row in sentences if row.counterfactual],
        "counterfactual negative": [row for row in sentences if not row.counterfactual],
    }
    return [
        {key: value for key, value in entry.items() if key != "sources"}
        | {
            "rows_trained": count(sources.by_name, entry["sources"]),
            "rows_heldout": count(held_out, entry["sources"]),
        }
        for entry in DATA
    ]


def golden(fp32: InferenceSession, served: InferenceSession) -> list[dict]:
    """Offsets and spans count UTF-16 code units, as JavaScript does; the first five cases carry
    every output, the rest the sentence logits and the decoded spans."""
    texts = json.loads(Path(__file__).with_name("golden_texts.json").read_text())["reasoning"]
    rows = [example(text) for text in texts]
    ids = [row.ids for row in rows]
    exact, int8 = runner(fp32)(ids), runner(served)(ids)
    return [{"text": texts[i]} | golden_case(row, exact, int8, i) for i, row in enumerate(rows)]


def golden_case(row: Example, exact: dict, int8: dict, number: int) -> dict:
    def characters(span: Span | None) -> list[int] | None:
        return span and [
            utf16(row.text, row.words[span[0]][0]),
            utf16(row.text, row.words[span[1] - 1][1]),
        ]

    case = {
        "input_ids": row.ids,
        "word_starts": row.starts,
        "word_offsets": [[utf16(row.text, at) for at in chars] for chars in row.words],
        "causal_logit": int8["causal_logit"][number],
        "counterfactual_logit": int8["counterfactual_logit"][number],
        "spans": {kind: characters(span) for kind, span in read_spans(row, int8, number).items()},
    }
    if number < 5:
        case["outputs_fp32"] = {name: exact[name][number] for name in OUTPUTS}
        case["outputs_int8"] = {name: int8[name][number] for name in OUTPUTS}
    return case


def utf16(text: str, index: int) -> int:
    return len(text[:index].encode("utf-16-le")) // 2


if __name__ == "__main__":
    main()
