"""Trains and packs the emotion model: 28 GoEmotions labels, each with its own score.

MiniLM-L6, mean pool, 28 sigmoids, BCE with mildly weighted positives; text goes through
encoder.normalize_text, which serving repeats. A seeded tenth of the training rows is held out: it
picks the epoch, the threshold and the confidence calibration; dev only measures.

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

VERSION = "2026.11.1"
RECIPE = Recipe(seed=123, epochs=3, batch=48, lr_top_layer=1.5e-4, lr_heads=7e-4)
HELD_OUT = 0.1
OUTPUTS = {"logits": ["batch", 28]}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("../scratch/train/emotion"))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    labels = (arguments.data / "goemotions" / "labels.txt").read_text().split()
    rows = read_split(arguments.data / "goemotions" / "train.tsv", len(labels))
    dev = read_split(arguments.data / "goemotions" / "dev.tsv", len(labels))
    train_rows, held_out = split(rows)

    model = train(train_rows, held_out, arguments.work)
    fp32 = arguments.work.with_name("emotion.fp32.onnx")
    artifact.export(model, fp32, OUTPUTS)
    pack(model, fp32, labels, train_rows, held_out, dev)


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
        return F.binary_cross_entropy_with_logits(model(ids, mask).float(), gold, pos_weight=weights)

    def score_of() -> float:
        return macro_f1(held_out.gold, logits(model, held_out.tokens) > 0)

    fit(model, RECIPE, batches_of, loss_of, score_of, work)
    return model


def positive_weights(gold: np.ndarray) -> np.ndarray:
    """(negatives / positives) ^ 0.25, at most 20: moves the best threshold of rare labels to 0.5."""
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


def pack(
    model: EmotionModel, fp32: Path, labels: list[str], train_rows: Split, held_out: Split, dev: Split
) -> None:
    """Quantizes, measures the graph that will be served, and writes the artifact folder."""
    precision = artifact.STATIC
    int8 = artifact.folder("emotion", VERSION) / "model.int8.onnx"
    artifact.quantize(fp32, int8, train_rows.tokens, precision)
    served = artifact.session(int8)
    exact_dev = scores(artifact.session(fp32), dev.tokens)
    served_dev = scores(served, dev.tokens)
    served_held_out = scores(served, held_out.tokens)
    threshold = best_threshold(lambda t: quality(held_out.gold, served_held_out >= t))
    details = {
        "labels": labels,
        "threshold": threshold,
        "calibration": {
            "confidence": calibration(
                *top_label(served_held_out, held_out.gold), *top_label(served_dev, dev.gold), "dev"
            )
        },
        "data": [DATA | {"rows_trained": len(train_rows.tokens), "rows_heldout": len(held_out.tokens)}],
        "recipe": asdict(RECIPE) | {"loss": "BCE, pos_weight (neg/pos)^0.25", "pooling": "mean"},
        "measured": {
            "dev": {
                "n": len(dev.tokens),
                "fp32": multilabel(dev.gold, exact_dev >= threshold),
                "int8": multilabel(dev.gold, served_dev >= threshold)
                | {
                    "at_0.5": multilabel(dev.gold, served_dev >= 0.5),
                    "per_label_f1": dict(zip(labels, f1_per_label(dev.gold, served_dev >= threshold))),
                },
            },
            "invariance": invariance(
                lambda batch: scores(served, dev.tokens[:320], batch, sort=False), threshold
            ),
            "parity": parity(exact_dev, served_dev, threshold),
            "bytes_fp32": fp32.stat().st_size,
        },
    }
    artifact.write_golden(int8.with_name("golden.json"), golden(model, served))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    artifact.write_manifest(
        "emotion", VERSION, precision, parameters, "emoji-names", OUTPUTS, details
    )
    int8_dev = details["measured"]["dev"]["int8"]
    print(f"threshold {threshold}, dev INT8 {int8_dev['macro_f1']:.4f} / {int8_dev['micro_f1']:.4f}")


def scores(graph, tokens: list[list[int]], batch: int = 32, sort: bool = True) -> np.ndarray:
    return sigmoid(np.stack(artifact.run(graph, tokens, batch, sort)["logits"]))


def quality(gold: np.ndarray, predicted: np.ndarray) -> float:
    """What the threshold is picked by: macro-F1 swings with a few rows of the rarest labels."""
    return (macro_f1(gold, predicted) + micro_f1(gold, predicted)) / 2


def top_label(score: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(score of the top label, whether it is among the gold labels), each [rows]."""
    top = score.argmax(1)
    rows = np.arange(len(score))
    return score[rows, top], gold[rows, top]


def golden(model: EmotionModel, served) -> list[dict]:
    texts = json.loads(Path(__file__).with_name("golden_texts.json").read_text())["emotion"]
    tokens = encode([normalize_text(text) for text in texts])
    exact = logits(model, tokens)
    int8 = artifact.run(served, tokens, 1)["logits"]
    return [
        {"text": text, "input_ids": ids, "logits_fp32": a, "logits_int8": b}
        for text, ids, a, b in zip(texts, tokens, exact, int8)
    ]


if __name__ == "__main__":
    main()
