"""Trains and packs the emotion model: 28 GoEmotions labels, each with its own score, and sarcasm.

MiniLM-L6, mean pool, 28 sigmoids, BCE with mildly weighted positives; text goes through
encoder.normalize_text, which serving repeats. A seeded tenth of the training rows is held out: it
picks the epoch, the threshold and the confidence calibration; dev only measures. The sarcasm head
is fitted afterwards on the frozen encoder (sarcasm.py).

    python models/train/emotion.py --data ../shared/data --work ../scratch/train/emotion

Run from the repository root; a second call goes on from the checkpoints in --work. Takes about
six minutes on two AVX512-BF16 cores. The fp32 graph stays beside --work as emotion.fp32.onnx.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifact
from encoder import (
    Encoder,
    Recipe,
    bucketed_batches,
    encode,
    fit,
    in_batches,
    linear,
    mean_pool,
    normalize_text,
    pad,
)
from measure import (
    best_threshold,
    calibration,
    f1_per_label,
    invariance,
    macro_f1,
    micro_f1,
    multilabel,
    parity,
    sigmoid,
)
from sarcasm import DATA as SARCASM_DATA
from sarcasm import (
    SarcasmHead,
    Texts,
    fit_sarcasm,
    held_out_ids,
    read_plain,
    read_tweets,
    sarcasm_figures,
)

VERSION = "2026.11.2"
RECIPE = Recipe(seed=123, epochs=3, batch=48, lr_top_layer=1.5e-4, lr_heads=7e-4)
HELD_OUT = 0.1
FORM = artifact.STATIC
OUTPUTS = {"logits": ["batch", 28], "sarcasm_logit": ["batch"]}
DATA = {
    "name": "GoEmotions",
    "source": "Demszky et al. 2020, google-research/goemotions",
    "licence": "Apache-2.0",
}


class Split(NamedTuple):
    tokens: list[list[int]]
    gold: np.ndarray  # bool [rows, 28]


class EmotionModel(nn.Module):
    """(input_ids, attention_mask), both [batch, tokens] -> logits [batch, 28]."""

    def __init__(self, encoder: Encoder, labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(RECIPE.dropout)
        self.head = linear(labels, bias=-3.0)  # labels are rare: start from "no"

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        hidden = self.encoder(input_ids, attention_mask)
        return self.head(self.dropout(mean_pool(hidden, attention_mask)))


class ServedModel(nn.Module):
    """(input_ids, attention_mask), both [batch, tokens] -> the OUTPUTS, in their order."""

    def __init__(self, emotion: EmotionModel, sarcasm: SarcasmHead) -> None:
        super().__init__()
        self.emotion, self.sarcasm = emotion, sarcasm

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        states = self.emotion.encoder.states(input_ids, attention_mask)
        pooled = mean_pool(states[-1], attention_mask)
        return self.emotion.head(pooled), self.sarcasm(states, attention_mask)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("../scratch/train/emotion"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--held-out-only", action="store_true", help="only write heldout.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    sarcasm_path = arguments.data / "sarcasm" / "isarcasmeval_train_en.csv"
    ids = {"sarcasm": held_out_ids(sarcasm_path, RECIPE.seed)}
    artifact.write_held_out("emotion", VERSION, ids)
    if arguments.held_out_only:
        return
    folder = arguments.data / "goemotions"
    labels = (folder / "labels.txt").read_text().split()
    rows, dev = (read_split(folder / f"{name}.tsv", len(labels)) for name in ("train", "dev"))
    train_rows, held_out = split(rows)
    tweets, tweets_held_out = read_tweets(sarcasm_path, RECIPE.seed)
    plain = read_plain(folder / "train.tsv", RECIPE.seed)

    emotion = train(train_rows, held_out, arguments.work)
    sarcasm, picked = fit_sarcasm(emotion.encoder, tweets, plain, RECIPE.seed)
    model = ServedModel(emotion, sarcasm).eval()
    fp32 = arguments.work.with_name("emotion.fp32.onnx")
    int8 = artifact.folder("emotion", VERSION) / "model.int8.onnx"
    artifact.export(model, fp32, OUTPUTS)
    artifact.quantize(fp32, int8, train_rows.tokens, FORM)

    exact, served = artifact.session(fp32), artifact.session(int8)
    details = emotion_details(exact, served, labels, train_rows, held_out, dev)
    details["sarcasm"] = sarcasm_details(served, picked, tweets_held_out, dev)
    details["data"] += [
        entry | {"rows_trained": len(trained.gold), "rows_heldout": held}
        for entry, trained, held in zip(
            SARCASM_DATA, (tweets, plain), (len(tweets_held_out.gold), 0)
        )
    ]
    details["measured"]["bytes_fp32"] = fp32.stat().st_size
    artifact.write_golden(int8.with_name("golden.json"), golden(model, served))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    artifact.write_manifest("emotion", VERSION, FORM, parameters, "emoji-names", OUTPUTS, details)
    print(
        json.dumps(artifact.significant([details["measured"]["dev"]["int8"], details["sarcasm"]]))
    )


# --- data ---------------------------------------------------------------------------------


def read_split(path: Path, labels: int) -> Split:
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    gold = np.zeros((len(lines), labels), dtype=bool)
    for row, (_, ids, _) in enumerate(lines):
        gold[row, [int(label) for label in ids.split(",")]] = True
    return Split(encode([normalize_text(text) for text, _, _ in lines]), gold)


def split(rows: Split) -> tuple[Split, Split]:
    """(train, held out), by the recipe's seed."""
    order = np.random.default_rng(RECIPE.seed).permutation(len(rows.tokens))
    cut = round(len(order) * HELD_OUT)
    return take(rows, order[cut:]), take(rows, order[:cut])


def take(rows: Split, numbers: np.ndarray) -> Split:
    return Split([rows.tokens[i] for i in numbers], rows.gold[numbers])


# --- training -----------------------------------------------------------------------------


def train(rows: Split, held_out: Split, work: Path) -> EmotionModel:
    torch.manual_seed(RECIPE.seed)
    model = EmotionModel(Encoder.pretrained(), rows.gold.shape[1])
    weights = torch.from_numpy(positive_weights(rows.gold))
    lengths = [len(tokens) for tokens in rows.tokens]

    def batches_of(epoch: int) -> list[np.ndarray]:
        return bucketed_batches(lengths, RECIPE.batch, np.random.default_rng(RECIPE.seed + epoch))

    def loss_of(numbers: np.ndarray) -> Tensor:
        ids, mask = map(torch.from_numpy, pad([rows.tokens[i] for i in numbers]))
        gold = torch.from_numpy(rows.gold[numbers]).float()
        return F.binary_cross_entropy_with_logits(
            model(ids, mask).float(), gold, pos_weight=weights
        )

    def score_of() -> float:
        return macro_f1(held_out.gold, logits(model, held_out.tokens) > 0)

    fit(model, RECIPE, batches_of, loss_of, score_of, work)
    return model


def positive_weights(gold: np.ndarray) -> np.ndarray:
    """(negatives / positives) ^ 0.25, at most 20: moves rare labels' best threshold to 0.5."""
    positives = gold.sum(0)
    return np.minimum(((len(gold) - positives) / positives) ** 0.25, 20).astype(np.float32)


@torch.no_grad()
def logits(model: EmotionModel, tokens: list[list[int]]) -> np.ndarray:
    """fp32 logits, float32 [rows, 28]."""
    out = np.zeros((len(tokens), model.head.out_features), dtype=np.float32)
    for numbers, ids, mask in in_batches(tokens, 32):
        out[numbers] = model(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    return out


# --- packing ------------------------------------------------------------------------------


def emotion_details(
    exact, served, labels: list[str], train_rows: Split, held_out: Split, dev: Split
) -> dict:
    """The manifest's emotion part; threshold and calibration come from the graph that is served."""
    exact_dev, served_dev = scores(exact, dev.tokens), scores(served, dev.tokens)
    served_held_out = scores(served, held_out.tokens)
    threshold = best_threshold(lambda t: quality(held_out.gold, served_held_out >= t))
    return {
        "labels": labels,
        "threshold": threshold,
        "calibration": {
            "confidence": calibration(
                *top_label(served_held_out, held_out.gold), *top_label(served_dev, dev.gold), "dev"
            )
        },
        "data": [
            DATA | {"rows_trained": len(train_rows.tokens), "rows_heldout": len(held_out.tokens)}
        ],
        "recipe": asdict(RECIPE) | {"loss": "BCE, pos_weight (neg/pos)^0.25", "pooling": "mean"},
        "measured": {
            "dev": {
                "n": len(dev.tokens),
                "fp32": multilabel(dev.gold, exact_dev >= threshold),
                "int8": multilabel(dev.gold, served_dev >= threshold)
                | {
                    "at_0.5": multilabel(dev.gold, served_dev >= 0.5),
                    "per_label_f1": dict(
                        zip(labels, f1_per_label(dev.gold, served_dev >= threshold))
                    ),
                },
            },
            "invariance": invariance(
                lambda batch: scores(served, dev.tokens[:320], batch, sort=False), threshold
            ),
            "parity": parity(exact_dev, served_dev, threshold),
        },
    }


def sarcasm_details(served, picked: dict, held_out: Texts, dev: Split) -> dict:
    """The manifest's sarcasm part, with how often it speaks up on everyday texts (dev)."""
    everyday = sarcasm_scores(served, dev.tokens)
    return picked | {
        "head": "linear on the mean tokens of all layers, encoder frozen",
        "measured": {
            "heldout": sarcasm_figures(
                sarcasm_scores(served, held_out.tokens), held_out.gold, picked
            ),
            "goemotions_dev_above": {
                str(t): float((everyday >= t).mean()) for t in picked["unsure"]
            },
            "invariance": invariance(
                lambda batch: sarcasm_scores(served, dev.tokens[:320], batch, sort=False),
                picked["threshold"],
            ),
        },
    }


def scores(graph, tokens: list[list[int]], batch: int = 32, sort: bool = True) -> np.ndarray:
    return sigmoid(np.stack(artifact.run(graph, tokens, batch, sort)["logits"]))


def sarcasm_scores(
    graph, tokens: list[list[int]], batch: int = 32, sort: bool = True
) -> np.ndarray:
    return sigmoid(np.array(artifact.run(graph, tokens, batch, sort)["sarcasm_logit"]))


def quality(gold: np.ndarray, predicted: np.ndarray) -> float:
    """What the threshold is picked by: macro-F1 swings with a few rows of the rarest labels."""
    return (macro_f1(gold, predicted) + micro_f1(gold, predicted)) / 2


def top_label(score: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(score of the top label, whether it is among the gold labels), each [rows]."""
    top = score.argmax(1)
    rows = np.arange(len(score))
    return score[rows, top], gold[rows, top]


@torch.no_grad()
def golden(model: ServedModel, served) -> list[dict]:
    texts = json.loads(Path(__file__).with_name("golden_texts.json").read_text())["emotion"]
    tokens = encode([normalize_text(text) for text in texts])
    int8 = artifact.run(served, tokens, 1)
    cases = []
    for i, (text, ids) in enumerate(zip(texts, tokens)):
        exact = model(*map(torch.from_numpy, pad([ids])))
        case = {"text": text, "input_ids": ids}
        for name, value in zip(OUTPUTS, exact):
            case |= {f"{name}_fp32": value[0].numpy(), f"{name}_int8": int8[name][i]}
        cases.append(case)
    return cases


if __name__ == "__main__":
    main()
