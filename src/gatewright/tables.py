"""What a network is, as tables: its layers and sizes, and the code that they run on."""

from typing import Any, NamedTuple

from gatewright.layers import Layer, Sequential
from gatewright.layers.base import Shape, in_scope
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
    """The output of every layer, with B for the batch and T for time, or "?" where the input's features are unknown."""
    features = network.features_in
    shape: Shape | None = (1, 1) if network.takes_indices else (1, 1, features) if features else None
    words = []
    for layer in network.layers:
        shape = shape and layer.shape_out(shape)
        words.append(
            "?" if not shape else f"({', '.join(['B', 'T', str(shape[2])] if len(shape) == 3 else ['B', str(shape[1])])})"
        )
    return words
