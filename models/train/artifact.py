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
from onnx import numpy_helper
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
TWO_PARTS = "int8 static QDQ, the inputs of FFN-out in two parts"
BLOCKS = "int8 blocks of 32, embeddings static QDQ"
APART: dict[str, Callable[[str], bool]] = {  # the weight MatMuls that are not simply static
    STATIC: lambda name: False,
    TWO_PARTS: lambda name: "/ffn_out/" in name,
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
    from .011 down to .004). TWO_PARTS gives the second MatMul of each feed-forward, whose post-GELU
    inputs have outliers that one scale does not serve, its inputs in two parts (`in_two_parts`).
    BLOCKS turns all weight MatMuls into MatMulNBits, which scales activations by row and block:
    batch-invariant too, nearest to fp32, and the slowest.
    """
    model = onnx.load(fp32)
    constants = {tensor.name for tensor in model.graph.initializer}
    matmuls = {
        node.name: node.input[1] in constants
        for node in model.graph.node
        if node.op_type == "MatMul"
    }
    apart = [name for name, weighted in matmuls.items() if weighted and APART[form](name)]
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
        nodes_to_exclude=[*attention, *apart],
        extra_options={
            "CalibMovingAverage": True,
            "OpTypesToExcludeOutputQuantization": ["MatMul", "Gather"],
        },
    )
    if form == TWO_PARTS:
        served = onnx.load(int8)
        in_two_parts(served.graph, apart, largest_inputs(model, apart, rows))
        onnx.save(served, int8)
    if form == BLOCKS:
        quantizer = MatMulNBitsQuantizer(
            onnx.load(int8),
            algo_config=DefaultWeightOnlyQuantConfig(
                bits=8, block_size=32, is_symmetric=True, accuracy_level=4
            ),
            nodes_to_exclude=[name for name in matmuls if name not in apart],
        )
        quantizer.process()
        quantizer.model.save_model_to_file(str(int8))


def largest_inputs(
    model: onnx.ModelProto, matmuls: Sequence[str], rows: Rows
) -> dict[str, float]:
    """The largest absolute value of each input of the MatMuls over the calibration texts."""
    named = [node for node in model.graph.node if node.name in matmuls]
    inputs = sorted({node.input[0] for node in named})
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    for name in inputs:
        watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    graph = ort.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    texts = CalibrationTexts(rows)
    seen = [graph.run(inputs, batch) for batch in iter(texts.get_next, None)]
    return {
        name: max(float(np.abs(one).max()) for one in values)
        for name, values in zip(inputs, zip(*seen))
    }


def in_two_parts(
    graph: onnx.GraphProto, matmuls: Sequence[str], largest: dict[str, float]
) -> None:
    """Each MatMul x·W becomes coarse·W + rest·W, all three in 8 bits.

    `coarse` is x on a scale that has room for twice the range of calibration, `rest` is x - coarse
    on a scale 255 times finer, so that x has nearly 16 bits, outliers and small values alike. Both
    go through one MatMul, one behind the other in the first dimension: W stands there once, signed,
    with one scale a column. The same sums whatever else is in the micro-batch.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    parts: dict[str, str] = {}
    nodes = []

    def constant(name: str, value: np.ndarray) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def node(kind: str, inputs: list[str], *names: str, **attributes: int) -> str:
        nodes.append(onnx.helper.make_node(kind, inputs, names, name=f"{names[0]}:", **attributes))
        return names[0]

    def parts_of(x: str) -> str:
        scale = 2 * largest[x] / 127
        on = [
            constant(f"{x}_scale", np.float32(scale)),
            constant(f"{x}_zero", np.uint8(128)),
        ]
        finer = constant(f"{x}_finer", np.float32(255))
        coarse = node("QuantizeLinear", [x, *on], f"{x}_coarse")
        served = node("DequantizeLinear", [coarse, *on], f"{x}_coarse_served")
        rest = node("Mul", [node("Sub", [x, served], f"{x}_rest"), finer], f"{x}_rest_finer")
        both = [coarse, node("QuantizeLinear", [rest, *on], f"{x}_rest_quantized")]
        joined = node("Concat", both, f"{x}_parts", axis=0)
        return node("DequantizeLinear", [joined, *on], f"{x}_parts_served")

    def weight_of(name: str) -> str:
        weight = numpy_helper.to_array(constants[name])
        graph.initializer.remove(constants[name])
        scale = np.maximum(np.abs(weight).max(0), 1e-12).astype(np.float32) / 127
        values = np.clip(np.round(weight / scale), -127, 127).astype(np.int8)
        inputs = [
            constant(f"{name}_quantized", values),
            constant(f"{name}_scale", scale),
            constant(f"{name}_zero", np.zeros(scale.shape, np.int8)),
        ]
        return node("DequantizeLinear", inputs, f"{name}_served", axis=1)

    back = constant("parts_back", np.float32(1 / 255))
    for one in graph.node:
        if one.name not in matmuls:
            nodes.append(one)
            continue
        (x, weight), y = one.input, one.output[0]
        if x not in parts:
            parts[x] = parts_of(x)
        product = node("MatMul", [parts[x], weight_of(weight)], f"{y}_parts")
        coarse, rest = f"{y}_coarse", f"{y}_rest"
        node("Split", [product], coarse, rest, axis=0)
        node("Add", [coarse, node("Mul", [rest, back], f"{y}_rest_back")], y)
    del graph.node[:]
    graph.node.extend(nodes)


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
    # As models/session.ts, which says why.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.add_session_config_entry(
        "optimization.disable_specified_optimizers", "SkipLayerNormFusion"
    )
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
