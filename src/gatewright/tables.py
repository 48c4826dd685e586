"""What a network is, as tables: its layers and sizes, and the code that they run on."""

from typing import Any, NamedTuple

from gatewright.errors import ShapeError
from gatewright.layers import Layer, Sequential
from gatewright.layers.base import ANY_TIME, Shape, in_scope
from gatewright.parameters import Parameters


class KernelRow(NamedTuple):
    """Which code a layer runs on, and why."""

    name: str
    layer: str
    path: str
    reason: str


def kernels(network: Sequential, dtype: Any, kernel: str) -> list[KernelRow]:
    """The path of every layer, those inside others too."""
    rows: list[KernelRow] = []

    def visit(name: str, layer: Layer) -> None:
        if not layer.children:
            choice = layer.choice(dtype, kernel)
            rows.append(KernelRow(name, type(layer).__name__, choice.path, choice.reason))
        for key, child in layer.children.items():
            visit(in_scope(name, key), child)

    for index, layer in enumerate(network.layers):
        visit(str(index), layer)
    return rows


def table(network: Sequential, parameters: Parameters) -> str:
    """One line a layer: its index and description, the shape of its output, its numbers and how many of them are trained."""
    rows = [("", "layer", "output", "parameters", "trained")]
    trained, seen = parameters.trainable, set[str]()
    shapes = _shapes(network)
    for index, layer in enumerate(network.layers):
        names = [in_scope(str(index), name) for name in layer.shapes()]
        sizes = {name: parameters[name].size for name in names if name not in seen}
        seen |= set(names)
        count, free = sum(sizes.values()), sum(size for name, size in sizes.items() if trained[name])
        rows.append((str(index), repr(layer), shapes[index], f"{count:,}", f"{free:,}"))
    total, free = parameters.flat.size, int(parameters.trainable_mask().sum())
    rows.append(("", f"{parameters.dtype.name}, {parameters.flat.nbytes:,} bytes", "", f"{total:,}", f"{free:,}"))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    aligns = (str.rjust, str.ljust, str.ljust, str.rjust, str.rjust)
    lines = ["  ".join(a(cell, width) for a, cell, width in zip(aligns, row, widths, strict=True)).rstrip() for row in rows]
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _shapes(network: Sequential) -> list[str]:
    """The output of every layer: B for the batch, T for the input's steps, T' for another number that depends on them.

    "?" where the input's features are unknown.
    """
    features = network.features_in
    if features is None and not network.takes_indices:
        return ["?"] * len(network.layers)
    last = () if features is None else (features,)
    try:
        found, longer = (_outputs(network, (1, time, *last)) for time in (ANY_TIME, 2 * ANY_TIME))
    except ShapeError:  # a network of single rows
        found = longer = _outputs(network, (1, *last))
    words = []
    for one, two in zip(found, longer, strict=True):
        time = "T" if one[1] == ANY_TIME else str(one[1]) if one == two else "T'"
        words.append(f"(B, {one[1]})" if len(one) == 2 else f"(B, {time}, {one[2]})")
    return words


def _outputs(network: Sequential, shape: Shape) -> list[Shape]:
    """The shapes that the layers give one after the other."""
    return [shape := layer.shape_out(shape) for layer in network.layers]
