"""The committed INT8 graph with the same weights and the same operations in 32-bit floats.

The weights that training ended with are not in the repository, and an exact FP32 graph cannot be
had without them. This one has the weights as the INT8 file stores them, multiplied out, and no
activation is rounded: what differs from the INT8 graph is the arithmetic alone, which is what its
cost is measured against. The cost of a float graph does not depend on the values in it.

    python bench/int8/float_graph.py model.int8.onnx model.float.onnx
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, numpy_helper

QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "MatMulNBits"}


class Constants:
    """Initializers and Constant nodes by name; new ones are added to the graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.arrays[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)

    def add(self, name: str, array: np.ndarray) -> None:
        self.arrays[name] = array
        self.graph.initializer.append(numpy_helper.from_array(array, name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("int8", type=Path)
    parser.add_argument("floats", type=Path)
    arguments = parser.parse_args()
    model = to_floats(onnx.load(arguments.int8))
    arguments.floats.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, arguments.floats)


def to_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = model.graph
    join_parts(graph)
    constants = Constants(graph)
    aliases: dict[str, str] = {}
    kept = []
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = aliases.get(name, name)
        kept.extend(floated(node, constants, aliases))
    del graph.node[:]
    graph.node.extend(kept)
    drop_unused(graph)
    left = {node.op_type for node in graph.node} & QUANTIZED
    if left:
        raise SystemExit(f"still quantized: {sorted(left)}")
    onnx.checker.check_model(model)
    return model


def join_parts(graph: onnx.GraphProto) -> None:
    """MatMuls whose inputs are given in two parts (models/train/artifact.py), in one again: floats
    have no use for the second."""
    made_by = {name: node for node in graph.node for name in node.output}
    added = {node.input[0]: node for node in graph.node if node.op_type == "Add"}
    for split in [node for node in graph.node if node.op_type == "Split"]:
        matmul = made_by[split.input[0]]
        parts = made_by[made_by[matmul.input[0]].input[0]]
        coarse = made_by[parts.input[0]]
        matmul.input[0] = coarse.input[0]
        matmul.output[0] = added[split.output[0]].output[0]
        for node in (split, added[split.output[0]]):
            graph.node.remove(node)
    wanted = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if wanted.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            wanted.update(node.input)


def floated(node: NodeProto, constants: Constants, aliases: dict[str, str]) -> list[NodeProto]:
    """What stands in the float graph for the node; `aliases` learns which tensors became others."""
    if node.op_type == "QuantizeLinear":
        aliases[node.output[0]] = node.input[0]
        return []
    if node.op_type == "DequantizeLinear":
        if node.input[0] in constants.arrays:
            constants.add(node.output[0], dequantized(node, constants))
        else:
            aliases[node.output[0]] = node.input[0]
        return []
    if node.op_type == "MatMulNBits":
        weight = f"{node.output[0]}_weight"
        constants.add(weight, unblocked(node, constants))
        matmul = onnx.helper.make_node("MatMul", [node.input[0], weight], list(node.output))
        matmul.name = node.name
        return [matmul]
    return [node]


def dequantized(node: NodeProto, constants: Constants) -> np.ndarray:
    """(values - zero point) * scale, by channel where there is more than one scale."""
    values, scale, zero = (constants.arrays[name] for name in node.input)
    axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
    if scale.size > 1:
        shape = [-1 if place == axis % values.ndim else 1 for place in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((values.astype(np.int32) - zero.astype(np.int32)) * scale).astype(np.float32)


def unblocked(node: NodeProto, constants: Constants) -> np.ndarray:
    """[K, N] floats of the [N, blocks, block] bytes of a symmetric 8-bit MatMulNBits."""
    attributes = {one.name: one.i for one in node.attribute}
    rows, columns = attributes["K"], attributes["N"]
    if attributes["bits"] != 8 or any(node.input[3:]):
        raise SystemExit("only symmetric 8-bit blocks are known here")
    values = constants.arrays[node.input[1]].reshape(columns, -1, attributes["block_size"])
    scale = constants.arrays[node.input[2]].reshape(columns, -1, 1)
    weight = (values.astype(np.float32) - 128) * scale
    return np.ascontiguousarray(weight.reshape(columns, -1)[:, :rows].T.astype(np.float32))


def drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [one for one in graph.initializer if one.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


if __name__ == "__main__":
    main()
