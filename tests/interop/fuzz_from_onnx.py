"""Mutants of ONNX files, read by gw.from_onnx: only FormatError may come out, in one line, and soon.

usage: python fuzz_from_onnx.py GOLDEN FILE COUNT SEED     GOLDEN: the folder of the recordings; FILE: where mutants are written

A mutant is a whole file in which nodes have other inputs, operators or attributes, or are gone, initializers other shapes or
numbers, and inputs and outputs other sizes or names. Prints how many were read and how many refused, and the slowest.
"""

import random
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx

import gatewright as gw
from gatewright.interop.onnx import layers

SECONDS = 20  # for one file
NUMBERS = {1: ("f", (0.0, -1.0, 0.5, 1e30, float("nan"))), 2: ("i", (0, 1, -1, 2, -2, 3, 7))}
WORDS = (b"reverse", b"forward", b"bidirectional", b"SAME_LOWER", b"VALID")
CHANGES = (
    lambda a: a * 0, lambda a: a.reshape(-1), lambda a: a[None], lambda a: a.T, lambda a: a + 1,
    lambda a: a[:0] if a.ndim else a, lambda a: a.astype(float),
)  # fmt: skip


def attribute(node, rng):
    """One attribute other than it was, or gone."""
    index = rng.randrange(len(node.attribute))
    found = node.attribute[index]
    if rng.random() < 0.3:
        del node.attribute[index]
    elif found.type in NUMBERS:
        name, values = NUMBERS[found.type]
        setattr(found, name, rng.choice(values))
    elif found.type == onnx.AttributeProto.INTS and found.ints:
        found.ints[rng.randrange(len(found.ints))] = rng.choice((0, 1, -1, 2, 3))
    elif found.type == onnx.AttributeProto.STRING:
        found.s = rng.choice(WORDS)


def mutate(graph, rng):
    """One change."""
    node, kind = rng.choice(graph.node), rng.randrange(8)
    made = [name for each in graph.node for name in each.output if name]
    names = [*made, *(tensor.name for tensor in graph.initializer), *(value.name for value in graph.input)]
    if kind == 0 and node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice(names)
    elif kind == 1:
        node.op_type = rng.choice(list(layers.HANDLERS))
    elif kind == 2 and node.attribute:
        attribute(node, rng)
    elif kind == 3 and graph.initializer:
        tensor = rng.choice(graph.initializer)
        array = np.ascontiguousarray(rng.choice(CHANGES)(onnx.numpy_helper.to_array(tensor)))
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    elif kind == 4:
        graph.output[0].name = rng.choice(names)
    elif kind == 5 and len(graph.node) > 1:
        graph.node.remove(node)
    elif kind == 6:
        sizes = rng.choice(graph.input).type.tensor_type.shape.dim
        if sizes:
            rng.choice(sizes).dim_value = rng.choice((1, 2, 3, 4, 7))
    elif kind == 7 and node.input:
        del node.input[rng.randrange(len(node.input))]


def main(golden, path, count, seed):
    warnings.simplefilter("ignore", UserWarning)
    rng, read, slowest, files = random.Random(seed), 0, 0.0, []
    for name in ("onnx_networks.zip", "onnx_graphs.zip"):
        with zipfile.ZipFile(Path(golden) / name) as archive:
            files += [archive.read(each) for each in archive.namelist() if not each.startswith(("opset", "compat"))]
    for _ in range(count):
        model = onnx.load_from_string(rng.choice(files))
        for _ in range(rng.randint(1, 4)):
            mutate(model.graph, rng)
        Path(path).write_bytes(model.SerializeToString())
        start, told = time.monotonic(), ""
        try:
            gw.from_onnx(path, kernel="numpy")
            read += 1
        except gw.FormatError as error:
            told = str(error)
        assert "\n" not in told, told
        assert len(told) < 700, told
        slowest = max(slowest, time.monotonic() - start)
        assert slowest < SECONDS, slowest
    print(f"{count} mutants: {read} read, {count - read} refused, the slowest in {slowest:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
