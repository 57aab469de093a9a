"""The figures every manifest reports: F1 with intervals, calibration, batch invariance, parity."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.isotonic import IsotonicRegression


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(logits, dtype=np.float64)))


def f1(true_positives, false_positives, false_negatives):
    """F1 from counts, elementwise; 0 where nothing was there and nothing was said."""
    double = 2 * np.asarray(true_positives, dtype=float)
    return double / np.maximum(double + false_positives + false_negatives, 1)


def f1_per_label(gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """gold, predicted: boolean [rows, labels] -> [labels]."""
    return f1((gold & predicted).sum(0), (~gold & predicted).sum(0), (gold & ~predicted).sum(0))


def macro_f1(gold: np.ndarray, predicted: np.ndarray) -> float:
    return float(f1_per_label(gold, predicted).mean())


def micro_f1(gold: np.ndarray, predicted: np.ndarray) -> float:
    return float(f1((gold & predicted).sum(), (~gold & predicted).sum(), (gold & ~predicted).sum()))


def multilabel(gold: np.ndarray, predicted: np.ndarray) -> dict:
    return {
        "macro_f1": macro_f1(gold, predicted),
        "macro_f1_ci95": bootstrap(macro_f1, gold, predicted),
        "micro_f1": micro_f1(gold, predicted),
        "micro_f1_ci95": bootstrap(micro_f1, gold, predicted),
        "subset_accuracy": float((gold == predicted).all(1).mean()),
        "hamming_loss": float((gold != predicted).mean()),
    }


def binary(gold: np.ndarray, predicted: np.ndarray) -> dict:
    """gold, predicted: boolean [rows]; the figures of the positive class."""
    hits = (gold & predicted).sum()
    return {
        "n": len(gold),
        "positives": int(gold.sum()),
        "precision": float(hits / max(predicted.sum(), 1)),
        "recall": float(hits / max(gold.sum(), 1)),
        "f1": micro_f1(gold, predicted),
        "f1_ci95": bootstrap(micro_f1, gold, predicted),
        "accuracy": float((gold == predicted).mean()),
    }


def bootstrap(
    metric: Callable[..., float], *arrays: np.ndarray, rounds: int = 1000, seed: int = 0
) -> list[float]:
    """95 % percentile interval of metric(*arrays) over resampled rows."""
    rng = np.random.default_rng(seed)
    rows = len(arrays[0])
    draws = (rng.integers(rows, size=rows) for _ in range(rounds))
    values = [metric(*(array[draw] for array in arrays)) for draw in draws]
    return [float(value) for value in np.percentile(values, [2.5, 97.5])]


def best_threshold(
    quality: Callable[[float], float], tolerance: float = 0.002, low: float = 0.1, high: float = 0.9
) -> float:
    """The middle of the thresholds within `tolerance` of the best quality: no sitting on a spike.

    A fair tolerance is half the sampling error of the quality.
    """
    grid = np.arange(low, high + 0.005, 0.01)
    values = np.array([quality(threshold) for threshold in grid])
    good = grid[values >= values.max() - tolerance]
    return round(float(good[np.argmin(abs(good - np.median(good)))]), 2)


# --- calibration --------------------------------------------------------------------------


def isotonic_knots(scores: np.ndarray, hits: np.ndarray) -> dict:
    """A monotone map score -> P(hit), as the knots of a piecewise linear function.

    Fitted over equal-count groups (25 rows and more, at most 40 groups), not single rows: a pure
    isotonic fit ends in 0 and 1 on the strength of a few rows at the edges. Serving interpolates,
    and is flat outside.
    """
    order = np.argsort(scores, kind="stable")
    parts = np.array_split(order, np.clip(len(order) // 25, 2, 40))
    x = np.array([scores[part].mean() for part in parts])
    y = np.array([hits[part].mean() for part in parts])
    y = IsotonicRegression().fit_transform(x, y)
    kept = [
        i for i in range(len(x)) if i in (0, len(x) - 1) or y[i] != y[i - 1] or y[i] != y[i + 1]
    ]
    return {"method": "isotonic", "x": x[kept].tolist(), "y": y[kept].tolist()}


def calibrated(knots: dict, scores: np.ndarray) -> np.ndarray:
    return np.interp(scores, knots["x"], knots["y"])


def ece(confidence: np.ndarray, hits: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins: mean |accuracy - confidence|."""
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [
        abs(hits[bin_of == b].mean() - confidence[bin_of == b].mean()) * (bin_of == b).sum()
        for b in np.unique(bin_of)
    ]
    return float(sum(gaps) / len(confidence))


def calibration(
    scores: np.ndarray, hits: np.ndarray, dev_scores: np.ndarray, dev_hits: np.ndarray, dev: str
) -> dict:
    """Knots fitted on the held-out rows, with the error there, and on `dev` before and after."""
    knots = isotonic_knots(scores, hits)
    return knots | {
        "ece_heldout": ece(calibrated(knots, scores), hits),
        f"ece_{dev}": ece(calibrated(knots, dev_scores), dev_hits),
        f"ece_raw_{dev}": ece(dev_scores, dev_hits),
    }


def crossfit_calibration(scores: np.ndarray, hits: np.ndarray, seed: int) -> dict:
    """Knots from all held-out rows; the honest error comes from halves fitted on each other."""
    knots = isotonic_knots(scores, hits)
    halves = np.array_split(np.random.default_rng(seed).permutation(len(scores)), 2)
    crossed = np.empty(len(scores))
    for fitted, judged in (halves, halves[::-1]):
        crossed[judged] = calibrated(isotonic_knots(scores[fitted], hits[fitted]), scores[judged])
    return knots | {
        "ece_heldout": ece(calibrated(knots, scores), hits),
        "ece_crossfit": ece(crossed, hits),
        "ece_raw_heldout": ece(scores, hits),
    }


# --- int8 against fp32, batch against batch -----------------------------------------------


def parity(exact: np.ndarray, served: np.ndarray, threshold: float) -> dict:
    """Scores of the fp32 graph against the served one."""
    gap = abs(exact - served)
    flips = (exact >= threshold) != (served >= threshold)
    return {
        "mean_abs_dp": float(gap.mean()),
        "max_abs_dp": float(gap.max()),
        "label_flips_per_text": float(flips.sum() / len(flips)),
    }


def invariance(
    run: Callable[[int], np.ndarray], threshold: float, batches: Sequence[int] = (8, 32)
) -> dict:
    """run(batch) -> scores of the same texts in arrival order; each batch size against batch 1."""
    alone = run(1)
    together = [run(batch) for batch in batches]
    return {
        "n": len(alone),
        "micro_batches": [1, *batches],
        "max_abs_dp": float(max(abs(scores - alone).max() for scores in together)),
        "label_flips": int(
            sum(((scores >= threshold) != (alone >= threshold)).sum() for scores in together)
        ),
    }
