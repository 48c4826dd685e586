"""Mutants of ONNX files, read and run under limits of memory and time: only FormatError and its kin may come out.

usage: python fuzz_onnx.py FILE COUNT SEED        FILE: where mutants are written

A mutant of a recorded file (golden/onnx_graphs.zip) has flipped or new bytes, is cut, has parts of another in it, or its
messages were changed and written anew: other dimensions, types, operators, attributes, names and numbers. Prints how many ran,
and how many were refused at reading, by their inputs, and at running; a mutant that takes longer than SLOW seconds is an error.
"""

import random
import resource
import signal
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx

import gatewright as gw
from gatewright.errors import DataError, FormatError, ShapeError
from gatewright.interop.onnx import operators

ROOM = 600 << 20  # bytes of memory beyond what Python has at the start
LIMIT = 64 << 20  # bytes that OnnxGraph may make
SLOW = 20
NUMBERS = (0, 1, -1, 2, 3, 7, -7, 255, 2**16, 2**31 - 1, -(2**31), 2**40, 2**62, 2**63 - 1, -(2**63))


def flipped(content, rng):
    """Some bits the other way round, or bytes that are new, gone or doubled."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        place, kind = rng.randrange(len(changed)), rng.randrange(4)
        if kind == 0:
            changed[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            del changed[place : place + rng.randrange(1, 9)]
        else:
            changed[place:place] = changed[place : place + rng.randrange(1, 40)]
        if not changed:
            break
    return bytes(changed)


def number(rng):
    return rng.choice(NUMBERS) if rng.random() < 0.7 else rng.randrange(-20, 20)


def rearranged(model, rng):
    """Messages changed, and written again."""
    graph = model.graph
    nodes = list(graph.node)
    for _ in range(rng.choice((1, 1, 2, 3))):
        kind, node = rng.choice((*range(12), 3, 3, 3, 3, 7, 7, 7, 7)), rng.choice(nodes)  # numbers most of all
        names = [name for other in nodes for name in (*other.input, *other.output)]
        if kind == 0:
            node.op_type = rng.choice(sorted(operators.FORMS))
        elif kind == 1 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice([*names, ""])
        elif kind == 2:
            node.output.append(rng.choice([*names, "", "new"]))
        elif kind == 3 and node.attribute:
            attribute = rng.choice(node.attribute)
            attribute.i = number(rng)
            attribute.f = rng.choice((0.0, -1.0, 1e30, float("nan"), float("inf")))
            if attribute.ints:
                attribute.ints[rng.randrange(len(attribute.ints))] = number(rng)
        elif kind == 4 and node.attribute:
            rng.choice(node.attribute).type = rng.randrange(15)
        elif kind == 5 and node.attribute:
            del node.attribute[rng.randrange(len(node.attribute))]
        elif kind == 6 and graph.initializer:
            tensor = rng.choice(graph.initializer)
            if tensor.dims:
                tensor.dims[rng.randrange(len(tensor.dims))] = number(rng)
            else:
                tensor.dims.append(number(rng))
        elif kind == 7 and graph.initializer:
            tensor = rng.choice(graph.initializer)
            if tensor.data_type == 7 and tensor.raw_data and len(tensor.raw_data) % 8 == 0:
                values = np.frombuffer(tensor.raw_data, "<i8").copy()
                values[rng.randrange(len(values))] = number(rng)
                tensor.raw_data = values.tobytes()
            else:
                tensor.data_type = rng.randrange(20)
        elif kind == 8:
            graph.node.insert(rng.randrange(len(graph.node) + 1), rng.choice(nodes))
        elif kind == 9 and graph.node:
            del graph.node[rng.randrange(len(graph.node))]
        elif kind == 10 and graph.input:
            dims = rng.choice(graph.input).type.tensor_type.shape.dim
            if dims:
                rng.choice(dims).dim_param = rng.choice(("batch", "other"))
        else:
            model.opset_import[0].version = rng.randrange(5, 30)
        nodes = list(graph.node) or nodes
    return model.SerializeToString()


def mutant(contents, rng):
    """One of a file, or of two."""
    content, kind = rng.choice(contents), rng.randrange(12)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        return flipped(content, rng)
    if kind == 2:
        other, place = rng.choice(contents), rng.randrange(len(content))
        return content[:place] + other[rng.randrange(len(other)) :]
    return rearranged(onnx.load_from_string(content), rng)


def inputs(graph, rng):
    """Random numbers in the shapes that a file asks for."""
    sizes, found = {}, {}
    for name, value in graph.inputs.items():
        shape = [n if isinstance(n, int) else sizes.setdefault(n, rng.choice((0, 1, 2, 3, 7))) for n in value.shape or ()]
        if np.prod([float(n) for n in shape]) > 1e6:
            return None
        draw = np.random.default_rng(rng.randrange(100))
        array = draw.standard_normal(shape) if value.dtype.kind in "fV" else draw.integers(0, 2, shape)
        found[name] = array.astype(value.dtype)
    return found


def main(file, count, seed):
    rng = random.Random(int(seed))
    with zipfile.ZipFile(Path(__file__).parents[1] / "golden" / "onnx_graphs.zip") as archive:
        contents = [archive.read(name) for name in sorted(archive.namelist())]
    Path(file).write_bytes(contents[0])
    gw.OnnxGraph(file)  # loads what is to be loaded before the limit is set
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM,) * 2)
    done = dict.fromkeys(("ran", "not read", "not given", "not run"), 0)
    for _ in range(int(count)):
        Path(file).write_bytes(mutant(contents, rng))
        stage = "not read"
        signal.alarm(SLOW)
        try:
            graph = gw.OnnxGraph(file, limit=LIMIT, kernel="numpy", compat=rng.choice((None, "onnxruntime")))
            stage = "not given"
            given = inputs(graph, rng)
            if given is not None:
                stage = "not run"
                graph.run(given)
                stage = "ran"
        except FormatError as error:
            if "\n" in str(error) or len(str(error)) >= 600:
                sys.exit(f"not one short line: {error}")
        except (ShapeError, DataError):  # sizes that the file has one name for
            if stage != "not run":
                raise
        signal.alarm(0)
        done[stage] += 1
    print(*done.values())


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(*sys.argv[1:])
