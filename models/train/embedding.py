"""Packs the embedding model: the base encoder as published, mean pool and L2 norm in the graph.

Nothing is trained. GoEmotions train texts calibrate the INT8 scales, and 1,000 dev texts measure
what they cost: the cosine between the fp32 and the served vector of one text, and how often both
agree on which of the texts is nearest.

    python models/train/embedding.py --data ../shared/data --work ../scratch/train/embedding
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import artifact
from encoder import Encoder, encode, mean_pool, straighten_quotes

VERSION = "2026.11.1"
OUTPUTS = {"embedding": ["batch", 384]}
DEV_TEXTS = 1000
DATA = {
    "name": "GoEmotions texts (scales and measurement only)",
    "source": "Demszky et al. 2020, google-research/goemotions",
    "licence": "Apache-2.0",
}


class EmbeddingModel(nn.Module):
    """(input_ids, attention_mask), both [batch, tokens] -> unit vectors [batch, 384]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder.pretrained()

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return F.normalize(mean_pool(self.encoder(input_ids, attention_mask), attention_mask))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("../scratch/train/embedding"))
    arguments = parser.parse_args()
    model = EmbeddingModel()
    fp32 = arguments.work.with_name("embedding.fp32.onnx")
    artifact.export(model, fp32, OUTPUTS)
    train_rows, dev_rows = (
        read_tokens(arguments.data / "goemotions" / f"{name}.tsv") for name in ("train", "dev")
    )
    int8 = artifact.folder("embedding", VERSION) / "model.int8.onnx"
    artifact.quantize(fp32, int8, train_rows, artifact.BLOCKS)
    served = artifact.session(int8)
    measured = {
        "dev": agreement(
            vectors(artifact.session(fp32), dev_rows[:DEV_TEXTS]),
            vectors(served, dev_rows[:DEV_TEXTS]),
        ),
        "invariance": invariance(served, dev_rows[:320]),
        "bytes_fp32": fp32.stat().st_size,
    }
    artifact.write_golden(int8.with_name("golden.json"), golden(model, served))
    artifact.write_manifest(
        "embedding",
        VERSION,
        artifact.BLOCKS,
        sum(parameter.numel() for parameter in model.parameters()),
        "quotes",
        OUTPUTS,
        {
            "data": [DATA | {"rows_trained": 0}],
            "recipe": {"pooling": "mean, L2 norm"},
            "measured": measured,
        },
    )
    print(json.dumps(artifact.significant(measured)))


def read_tokens(path: Path) -> list[list[int]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return encode([straighten_quotes(line.split("\t")[0]) for line in lines])


def vectors(graph, rows: list[list[int]], batch: int = 32, sort: bool = True) -> np.ndarray:
    return np.stack(artifact.run(graph, rows, batch, sort)["embedding"])


def agreement(exact: np.ndarray, served: np.ndarray) -> dict:
    cosines = (exact * served).sum(1)
    nearest = [nearest_of(rows) for rows in (exact, served)]
    return {
        "n": len(exact),
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
        "same_nearest_text": float((nearest[0] == nearest[1]).mean()),
    }


def nearest_of(rows: np.ndarray) -> np.ndarray:
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -1)
    return similarity.argmax(1)


def invariance(served, rows: list[list[int]]) -> dict:
    alone = vectors(served, rows, 1)
    gaps = [abs(vectors(served, rows, batch, sort=False) - alone).max() for batch in (8, 32)]
    return {"n": len(rows), "micro_batches": [1, 8, 32], "max_abs_difference": float(max(gaps))}


@torch.no_grad()
def golden(model: EmbeddingModel, served) -> list[dict]:
    texts = json.loads(Path(__file__).with_name("golden_texts.json").read_text())["reasoning"][:20]
    tokens = encode([straighten_quotes(text) for text in texts])
    exact = [
        model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long))[0] for row in tokens
    ]
    return [
        {"text": text, "input_ids": ids, "embedding_fp32": a.numpy(), "embedding_int8": b}
        for text, ids, a, b in zip(texts, tokens, exact, vectors(served, tokens, 1))
    ]


if __name__ == "__main__":
    main()
