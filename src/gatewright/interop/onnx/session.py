"""OnnxGraph: an ONNX file that runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gatewright import checks
from gatewright.arrays import Array
from gatewright.errors import DataError, OptionError, ShapeError, one_of
from gatewright.interop.onnx import reader, recurrent, runner
from gatewright.interop.onnx.calls import Setting, half
from gatewright.interop.onnx.graph import Value, placeholders
from gatewright.interop.tensors import few
from gatewright.layers.dispatch import KERNELS
from gatewright.threads import Threads


class OnnxGraph:
    """An ONNX file that runs, in NumPy, its recurrent operators compiled where they can be; it needs the onnx package to read.

    path: an .onnx file of opset 7 or later, whose operators are those around recurrent networks: RNN, GRU and LSTM with all
    that they can be, products, arithmetic, activations, norms, pooling, and what gathers, slices and reshapes.
    compat: None follows ONNX's specification; where that is silent, a row of length 0 keeps its initial state. "onnxruntime"
    does as onnxruntime does where that is something else: no clip of what goes into an LSTM's activation h, final states of
    zero for rows of length 0, alphas and betas of 0 for ThresholdedRelu, ScaledTanh and Affine where none is given, and more of
    them than are needed.
    kernel and threads: as in gw.Model.
    limit: the bytes that one value may have, and that all may have together at a time, beyond the file's own.

    Weights that are constants are brought into our form once, here. One graph can be run by several threads.

    Raises MissingFileError, MissingExtraError, and FormatError with the file's name and the node for a file that is broken or
    that says what is not supported.
    """

    def __init__(
        self, path: Any, *, compat: str | None = None, kernel: str = "auto", threads: int | None = None, limit: int = 2**31
    ) -> None:
        if compat not in recurrent.READINGS:
            raise one_of("compat", compat, recurrent.READINGS)
        if kernel not in KERNELS:
            raise one_of("kernel", kernel, KERNELS)
        checks.whole_number("limit", limit)
        self._graph = reader.read(path)
        self._program = runner.prepare(self._graph, Setting(self._graph.opset, limit, compat, kernel, Threads(threads)))

    @property
    def inputs(self) -> dict[str, Value]:
        """Each input's (dtype, shape), a name in place of a size that may differ from run to run; those without a default."""
        return {name: value for name, value in self._graph.inputs.items() if name not in self._graph.constants}

    @property
    def outputs(self) -> dict[str, Value]:
        """Each output's (dtype, shape), as the file says it."""
        return dict(self._graph.outputs)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        """{name: array} of all outputs for {name: array} of all inputs; where an input has a default, it may be left out.

        Raises OptionError for missing or unknown names, ShapeError or DataError for arrays that the file says can't be, and
        FormatError, with the node, where an operator can't take what it is given.
        """
        if not isinstance(inputs, Mapping):
            raise OptionError(f"inputs: got {type(inputs).__name__}, wanted a dict {{name: array}}")
        known, needed = self._graph.inputs, self.inputs
        for name in [*(name for name in inputs if name not in known), *(name for name in needed if name not in inputs)]:
            wrong = "is unknown" if name in inputs else "is missing"
            raise OptionError(f"inputs: {few([str(name)])} {wrong}; known: {few(known)}")
        given = {name: _array(name, inputs[name], known[name]) for name in inputs}
        sizes: dict[str, tuple[int, str]] = {}
        for name, array in given.items():
            for axis, size in placeholders(known[name]):
                before = sizes.setdefault(size, (array.shape[axis], name))
                if before[0] != array.shape[axis]:
                    told = f"{before[0]} in {few([before[1]])}"
                    raise ShapeError(
                        f"inputs: {few([size])} is {told} and {array.shape[axis]} in {few([name])}, wanted one size"
                    )
        return runner.run(self._program, given)

    def __repr__(self) -> str:
        return f"OnnxGraph({self._graph.path!r})  # {', '.join(self.inputs)} -> {', '.join(self.outputs)}"


def _array(name: str, values: Any, value: Value) -> Array:
    """An input as the file wants it: floats may be wider or narrower, whole numbers must fit, bools be bools."""
    place = f"inputs: {few([name])}"
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(f"{place}: got rows of unequal lengths, wanted one array") from None
    wanted = value.dtype
    kind, ours = ("f" if half(dtype) else dtype.kind for dtype in (array.dtype, wanted))
    if isinstance(values, np.ma.MaskedArray) or kind not in {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[ours]:
        raise DataError(
            f"{place}: got {'a masked array of ' * isinstance(values, np.ma.MaskedArray)}{array.dtype}, wanted {wanted}"
        )
    with np.errstate(over="ignore"):
        found = array.astype(wanted, copy=False)
    if ours in "iu" and not np.array_equal(found, array):
        raise DataError(f"{place}: got whole numbers that are no {wanted}")
    sizes = value.shape
    fits = sizes is None or (
        len(sizes) == array.ndim and all(not isinstance(n, int) or n == m for n, m in zip(sizes, array.shape, strict=True))
    )
    if not fits:
        shape = ", ".join("?" if n is None else str(n) for n in sizes or ())
        raise ShapeError(f"{place}: got shape {array.shape}, wanted ({shape})")
    return found
