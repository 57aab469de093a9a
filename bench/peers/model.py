"""The same work for every peer: our committed ONNX file, our vocabulary, our normalization.

A peer does less per text than Soma, which also derives valence, intensity, sarcasm and more.
Texts of one request run one by one: with this model a padded batch in order of arrival costs more
CPU per text, and no peer sorts. MODEL_BATCH=1 pads and runs them at once instead.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

ARTIFACTS = Path(__file__).resolve().parents[2] / "models" / "artifacts"
CLS, SEP, TOKENS_MAX = 101, 102, 128


def sums_may_saturate() -> bool:
    """As shared/processor.ts."""
    info = Path("/proc/cpuinfo").read_text()
    return not any(f" {flag}" in info for flag in ("amx_int8", "avx512_vnni", "avx_vnni", "asimddp"))


class Model:
    """One session of one thread: more processes serve better than more threads."""

    def __init__(self) -> None:
        folder = sorted((ARTIFACTS / "emotion").iterdir())[-1]
        manifest = json.loads((folder / "manifest.json").read_text())
        self.labels, self.threshold = manifest["labels"], manifest["threshold"]
        self.tokenizer, self.table = load_tokenizer(), normalization()
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Right sums on processors without VNNI too; a peer that leaves it out is faster there, and wrong.
        options.add_session_config_entry("session.x64quantprecision", "1" if sums_may_saturate() else "0")
        path = str(folder / manifest["model"]["file"])
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.at_once = os.environ.get("MODEL_BATCH") == "1"

    def encode(self, texts: list[str]) -> list[list[int]]:
        encoded = self.tokenizer.encode_batch([text.translate(self.table) for text in texts])
        return [truncate(one.ids) for one in encoded]

    def analyze(self, texts: list[str]) -> list[dict]:
        rows = self.encode(texts)
        groups = [rows] if self.at_once else [[row] for row in rows]
        logits = np.concatenate([self.run(group) for group in groups])
        return [self.describe(scores) for scores in 1 / (1 + np.exp(-logits))]

    def run(self, rows: list[list[int]]) -> np.ndarray:
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        return self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]

    def describe(self, scores: np.ndarray) -> dict:
        everything = dict(zip(self.labels, scores.round(5).tolist()))
        shown = [name for name, score in everything.items() if score >= self.threshold]
        return {"emotions": shown, "all_emotions": everything}


def load_tokenizer() -> Tokenizer:
    pieces = (ARTIFACTS / "tokenizer" / "1" / "vocab.txt").read_text("utf-8").split("\n")
    vocabulary = {piece: number for number, piece in enumerate(pieces) if piece}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    return tokenizer


def normalization() -> dict[int, str | None]:
    """Quotes straight, emoji as their names, joiners and skin tones dropped."""
    names = json.loads((ARTIFACTS / "tokenizer" / "1" / "emoji-names.json").read_text())
    table: dict[int, str | None] = {code: "'" for code in range(0x2018, 0x201C)}
    table |= {code: '"' for code in range(0x201C, 0x2020)}
    table |= dict.fromkeys([0x200D, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400)])
    return table | {int(code, 16): f" {name} " for code, name in names.items()}


def truncate(ids: list[int]) -> list[int]:
    return ids if len(ids) <= TOKENS_MAX else [*ids[: TOKENS_MAX - 1], SEP]


def digest(texts: list[str]) -> str:
    """For the check that peers read the texts as Soma does."""
    ids = Model().encode(texts)
    return hashlib.sha256(json.dumps(ids, separators=(",", ":")).encode()).hexdigest()


if __name__ == "__main__":
    print(digest(json.load(sys.stdin)))
