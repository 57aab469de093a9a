"""From a trained model to its folder: ONNX export, batch-invariant INT8, goldens, manifest.

Why not dynamic INT8: its activation scale is taken over the whole micro-batch, so one text gets
other scores in other company (measured: up to 0.21). Static scales depend on the weights alone.
"""

import hashlib
import json
import logging
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.matmul_nbits_quantizer import (
    DefaultWeightOnlyQuantConfig,
    MatMulNBitsQuantizer,
)
from torch import nn

from encoder import ARTIFACTS, BASE, TOKENS_MAX, pad

STATIC = "int8 static QDQ"
MIXED = "int8 static QDQ, FFN-out in 8-bit blocks of 32"
BLOCKS = "int8 blocks of 32, embeddings static QDQ"
IN_BLOCKS: dict[str, Callable[[str], bool]] = {
    STATIC: lambda name: False,
    MIXED: lambda name: "/ffn_out/" in name,
    BLOCKS: lambda name: True,
}
CALIBRATION_TEXTS, CALIBRATION_BATCH = 192, 16

logging.disable(logging.WARNING)  # the quantizers report every node they pass by
Rows = Sequence[Sequence[int]]


def export(model: nn.Module, path: Path, outputs: dict[str, list[str]]) -> None:
    """Writes the fp32 graph; `outputs` names each output's axes, e.g. {"logits": ["batch", 28]}."""
    model.eval()
    axes = {name: {0: "batch", 1: "tokens"} for name in ("input_ids", "attention_mask")}
    for name, shape in outputs.items():
        axes[name] = {i: axis for i, axis in enumerate(shape) if isinstance(axis, str)}
    example = tuple(map(torch.from_numpy, pad([[101, 7592, 2088, 102], [101, 7592, 102]])))
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            example,
            str(path),
            input_names=["input_ids", "attention_mask"],
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


def quantize(fp32: Path, int8: Path, rows: Rows, form: str) -> None:
    """Embedding rows and weight MatMuls to 8 bits, calibrated on `rows`; `form` names which how.

    STATIC is the fastest. Two things about it decide its quality: attention's two MatMuls stay in
    fp32, and outputs are not rounded again (on emotion both together bring the mean score error
    from .011 down to .004, and the graph runs 1.4 times faster than MIXED). MIXED turns the second
    MatMul of each feed-forward, whose post-GELU inputs have the outliers, into MatMulNBits, BLOCKS
    turns all of them. That scales activations by row and block: batch-invariant too, nearer to
    fp32, slower.
    """
    graph = onnx.load(fp32).graph
    constants = {tensor.name for tensor in graph.initializer}
    matmuls = {
        node.name: node.input[1] in constants for node in graph.node if node.op_type == "MatMul"
    }
    blocks = [name for name, weighted in matmuls.items() if weighted and IN_BLOCKS[form](name)]
    attention = [name for name, weighted in matmuls.items() if not weighted]
    int8.parent.mkdir(parents=True, exist_ok=True)
    quantize_static(
        fp32,
        int8,
        CalibrationTexts(rows),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul", "Gather"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
        nodes_to_exclude=[*attention, *blocks],
        extra_options={
            "CalibMovingAverage": True,
            "OpTypesToExcludeOutputQuantization": ["MatMul", "Gather"],
        },
    )
    if blocks:
        quantizer = MatMulNBitsQuantizer(
            onnx.load(int8),
            algo_config=DefaultWeightOnlyQuantConfig(
                bits=8, block_size=32, is_symmetric=True, accuracy_level=4
            ),
            nodes_to_exclude=[name for name in matmuls if name not in blocks],
        )
        quantizer.process()
        quantizer.model.save_model_to_file(str(int8))


class CalibrationTexts(CalibrationDataReader):
    """The first 192 rows in batches of 16."""

    def __init__(self, rows: Rows) -> None:
        starts = range(0, min(CALIBRATION_TEXTS, len(rows)), CALIBRATION_BATCH)
        self.feeds = iter([feed(rows[start : start + CALIBRATION_BATCH]) for start in starts])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


# --- running a graph ----------------------------------------------------------------------


def feed(rows: Rows) -> dict[str, np.ndarray]:
    ids, mask = pad(rows)
    return {"input_ids": ids, "attention_mask": mask}


def session(path: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # As models/session.ts: without it, sums of 8-bit products saturate on processors without VNNI.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(graph: ort.InferenceSession, rows: Rows, batch: int, sort: bool = True) -> dict:
    """Every output for every row, {"logits": [array per row]}; padding is cut off again.

    Length-sorted micro-batches are cheaper; `sort=False` keeps the order of arrival.
    """
    names = [output.name for output in graph.get_outputs()]
    results = {name: [np.empty(0)] * len(rows) for name in names}
    for numbers in micro_batches(rows, batch, sort):
        for name, values in zip(names, graph.run(None, feed([rows[i] for i in numbers]))):
            for number, value in zip(numbers, values):
                results[name][number] = value[: len(rows[number])] if value.ndim > 1 else value
    return results


def micro_batches(rows: Rows, batch: int, sort: bool) -> Iterator[list[int]]:
    order = list(range(len(rows)))
    if sort:
        order.sort(key=lambda i: len(rows[i]))
    return (order[i : i + batch] for i in range(0, len(order), batch))


# --- the folder ---------------------------------------------------------------------------


def folder(kind: str, version: str) -> Path:
    return ARTIFACTS / kind / version


def write_golden(path: Path, cases: list[dict]) -> None:
    """One case a line, numbers to 5 significant digits."""
    lines = ",\n".join(json.dumps(significant(case), ensure_ascii=False) for case in cases)
    path.write_text(f"[\n{lines}\n]\n")


def write_held_out(kind: str, version: str, rows: dict[str, list[str]]) -> None:
    """heldout.json: ids of the rows that training never saw, by data set, in the file's order."""
    target = folder(kind, version)
    target.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(ids)}" for name, ids in rows.items())
    (target / "heldout.json").write_text(f"{{\n{lines}\n}}\n")


def write_manifest(
    kind: str,
    version: str,
    precision: str,
    parameters: int,
    normalization: str,
    outputs: dict[str, list],
    details: dict,
) -> None:
    """manifest.json, format 1: what the file is, where it comes from, what it was measured at."""
    target = folder(kind, version)
    model = target / "model.int8.onnx"
    manifest = {
        "format": 1,
        "kind": kind,
        "version": version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "model": {
            "file": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "bytes": model.stat().st_size,
            "precision": precision,
            "parameters": parameters,
        },
        "tokenizer": {"version": "1", "max_tokens": TOKENS_MAX, "normalization": normalization},
        "outputs": outputs,
        **significant(details),
        "base": BASE,
        "command": shlex.join(["python", f"models/train/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
    }
    text = json.dumps(manifest, indent=2, ensure_ascii=False)
    flat = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda list_: f"[{' '.join(list_[1].split())}]", text)
    (target / "manifest.json").write_text(flat + "\n")


def significant(value: object, digits: int = 5) -> object:
    """Floats, however deep, to `digits` significant digits."""
    if isinstance(value, float | np.floating):
        return float(f"{value:.{digits}g}")
    if isinstance(value, np.ndarray | np.generic):
        return significant(value.tolist(), digits)
    if isinstance(value, dict):
        return {key: significant(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [significant(item, digits) for item in value]
    return value
