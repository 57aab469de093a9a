"""The sarcasm head of the emotion model: a linear probe on the frozen encoder.

Reads the mean of the tokens after the embeddings and after each of the six layers; tone shows in
the middle of the network more than at its end, which emotion has shaped. The encoder does not
move, so emotion's figures cannot either. iSarcasmEval labels were given by the authors of the
tweets themselves, and readers do not recover them well: take the score as a hint. Besides the
tweets it sees GoEmotions texts, the few marked "/s" as sarcastic and a sample of the rest as not,
because plain speech is what it will meet.
"""

import csv
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from encoder import LAYERS, WIDTH, Encoder, encode, in_batches, mean_pool, normalize_text
from measure import best_threshold, binary, calibrated, ece, isotonic_knots, micro_f1

HELD_OUT = 0.2  # 867 of 3,467 tweets are sarcastic: a tenth would leave too few to measure on
REGULARISATION = 0.001  # LogisticRegression's C, by cross-validation on the training tweets
PLAIN_NEGATIVES = 800
PRECISION_OF_YES = 0.5
MARKER = re.compile(r"\s(?:edit: )?/s[.!]*$", re.IGNORECASE)
DATA = [
    {
        "name": "iSarcasmEval (English, train)",
        "source": "Abu Farha et al. 2022, iabufarha/iSarcasmEval",
        "licence": "MIT",
    },
    {
        "name": "GoEmotions texts, sarcastic if marked /s",
        "source": "Demszky et al. 2020, google-research/goemotions",
        "licence": "Apache-2.0",
    },
]


class Texts(NamedTuple):
    tokens: list[list[int]]
    gold: np.ndarray  # bool [rows]


class SarcasmHead(nn.Module):
    """Seven hidden states [batch, tokens, 384], mask [batch, tokens] -> logit [batch]."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear((LAYERS + 1) * WIDTH, 1)

    def forward(self, states: list[Tensor], mask: Tensor) -> Tensor:
        return self.linear(pooled_states(states, mask)).squeeze(-1)


def pooled_states(states: list[Tensor], mask: Tensor) -> Tensor:
    return torch.cat([mean_pool(state, mask) for state in states], dim=1)


# --- data ---------------------------------------------------------------------------------


def read_tweets(path: Path, seed: int) -> tuple[Texts, Texts]:
    """(train, held out)."""
    rows = read_rows(path)
    gold = np.array([row["sarcastic"] == "1" for row in rows])
    tokens = encode([normalize_text(row["tweet"]) for row in rows])
    train, held_out = (
        Texts([tokens[i] for i in part], gold[part]) for part in split(len(rows), seed)
    )
    return train, held_out


def held_out_ids(path: Path, seed: int) -> list[str]:
    """The tweets that read_tweets holds out, named as in the file, in its order."""
    rows = read_rows(path)
    return [rows[i][""] for i in sorted(split(len(rows), seed)[1])]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["tweet"].strip()]


def split(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers: (train, held out), by seed."""
    order = np.random.default_rng(seed).permutation(rows)
    cut = round(rows * HELD_OUT)
    return order[cut:], order[:cut]


def read_plain(path: Path, seed: int) -> Texts:
    """GoEmotions texts that end in the marker, without it, and a sample of those without any."""
    texts = [line.split("\t")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    marked = [MARKER.sub("", text) for text in texts if MARKER.search(text)]
    others = [text for text in texts if "/s" not in text]
    sample = np.random.default_rng(seed).permutation(len(others))[:PLAIN_NEGATIVES]
    chosen = marked + [others[i] for i in sample]
    gold = np.arange(len(chosen)) < len(marked)
    return Texts(encode([normalize_text(text) for text in chosen]), gold)


# --- fitting ------------------------------------------------------------------------------


def fit_sarcasm(
    encoder: Encoder, tweets: Texts, plain: Texts, seed: int
) -> tuple[SarcasmHead, dict]:
    """The head, and the thresholds and calibration that out-of-fold scores of its tweets give."""
    known = np.concatenate([features(encoder, tweets.tokens), features(encoder, plain.tokens)])
    gold = np.concatenate([tweets.gold, plain.gold])
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=REGULARISATION, max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_predict(probe, known, gold, cv=folds, method="predict_proba")[:, 1]
    scores = scores[: len(tweets.gold)]
    threshold = best_threshold(lambda t: micro_f1(tweets.gold, scores >= t), tolerance=0.01)
    certain = certain_from(scores, tweets.gold)
    picked = {
        "threshold": threshold,
        "unsure": [threshold, max(threshold, certain)],
        "calibration": isotonic_knots(scores, tweets.gold),
    }
    return folded(probe.fit(known, gold)), picked


@torch.no_grad()
def features(encoder: Encoder, tokens: list[list[int]]) -> np.ndarray:
    out = np.zeros((len(tokens), (LAYERS + 1) * WIDTH), dtype=np.float32)
    for numbers, ids, mask in in_batches(tokens, 32):
        ids, mask = torch.from_numpy(ids), torch.from_numpy(mask)
        out[numbers] = pooled_states(encoder.states(ids, mask), mask).numpy()
    return out


def certain_from(scores: np.ndarray, gold: np.ndarray) -> float:
    """The lowest score from which on at least half of the tweets are sarcastic."""
    order = np.argsort(-scores)
    precision = gold[order].cumsum() / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(precision >= PRECISION_OF_YES)
    return round(float(scores[order[enough[-1]]]), 2)


def folded(probe) -> SarcasmHead:
    """Scaler and regression as one linear layer."""
    scaler, regression = (step for _, step in probe.steps)
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - (weight * scaler.mean_).sum(1)
    head = SarcasmHead()
    head.linear.weight.data = torch.from_numpy(weight).float()
    head.linear.bias.data = torch.from_numpy(bias).float()
    return head


# --- measuring ----------------------------------------------------------------------------


def sarcasm_figures(scores: np.ndarray, gold: np.ndarray, picked: dict) -> dict:
    """On held-out tweets; "certain" counts only what lies above the unsure band."""
    low, high = picked["unsure"]
    return {
        "at_threshold": binary(gold, scores >= low),
        "certain": binary(gold, scores >= high),
        "everything_sarcastic_f1": micro_f1(gold, np.ones_like(gold)),
        "auc": auc(scores, gold),
        "ece": ece(calibrated(picked["calibration"], scores), gold),
        "ece_raw": ece(scores, gold),
    }


def auc(scores: np.ndarray, gold: np.ndarray) -> float:
    """The chance that a sarcastic text scores above one that is not."""
    wins = scores[gold][:, None] > scores[~gold][None, :]
    ties = scores[gold][:, None] == scores[~gold][None, :]
    return float((wins + 0.5 * ties).mean())
