"""A walk through a graph: every value that depends on the input, as layers applied to it and as what its axes mean."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from gatewright.arrays import Array
from gatewright.errors import FormatError
from gatewright.interop.onnx import axes as place
from gatewright.interop.onnx import pointwise
from gatewright.interop.onnx.axes import FEATURES, SIDES, Axes
from gatewright.interop.onnx.calls import Call
from gatewright.interop.onnx.graph import Node
from gatewright.interop.onnx.pointwise import Norm, Points
from gatewright.interop.onnx.probe import Probe
from gatewright.interop.onnx.terms import Item, Term, common
from gatewright.interop.tensors import few
from gatewright.layers import RepeatVector


class Part(NamedTuple):
    """What lies in a value, and whether its steps stand in reverse there."""

    term: Term
    flipped: bool = False


class Seen(NamedTuple):
    """A value: one part, or several along the axis D.

    points: nodes after `parts` that compute number by number, of which it is not yet known what they are; operands: what the
    last of them read.
    """

    name: str
    parts: tuple[Part, ...]
    axes: Axes
    points: Points | None = None
    operands: tuple["Seen", ...] = ()

    @property
    def base(self) -> str:
        """Where its points begin."""
        return self.name if self.points is None else self.points.base


class Follow:
    """What is known of a graph's values so far."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.values: dict[str, Seen] = {}
        self.refused: dict[str, FormatError] = {}  # values of which it can't be told what they are
        self.time: str | None = None  # which of the input's axes it is, "0" or "1", as far as that is known
        self._names: dict[str, str] = {}  # of values that are another one, that one's
        self._settled: dict[str, Seen] = {}
        self._done: dict[Any, Node] = {}
        x = probe.runs[0][probe.roles.x]
        letters: Axes = (("0",), ("1",), FEATURES)
        whole = x.dtype.kind in "iu"
        axes = letters[: x.ndim] if whole else (*letters[: x.ndim - 1], FEATURES)
        if x.ndim not in (2, 3) or (whole and x.ndim != 2):
            raise FormatError(f"the input {few([probe.roles.x])} has {x.ndim} axes, wanted batch, time and features")
        self.values[probe.roles.x] = Seen(probe.roles.x, (Part(Term("x", 0 if whole else x.shape[-1])),), axes)

    def refuse(self, node: Node, why: str) -> NoReturn:
        """Raises FormatError that names the node."""
        raise FormatError(f"{node.place}: {why}; it is no chain of layers, but gw.OnnxGraph runs it")

    # --- what goes in

    def dependent(self, node: Node) -> list[Seen]:
        """The inputs of a node that depend on x, in order."""
        return [self.values[name] for name in node.inputs if self.probe.depends(name)]

    def one(self, node: Node) -> Seen:
        """The first input, the only one that depends on x, with nothing left to be found out."""
        found = self.dependent(node)
        if len(found) != 1 or not self.probe.depends(node.inputs[0]):
            self.refuse(node, "several of its inputs depend on x, or another than the first")
        return self.settled(node, found[0])

    def constant(self, node: Node, index: int) -> Array | None:
        """An input that is the same in every run; None where it is left out."""
        if index >= len(node.inputs) or not node.inputs[index]:
            return None
        array = self.probe.constant(node.inputs[index])
        if array is None:
            self.refuse(node, f"its input {index} is not the same in every run")
        return array

    def part(self, node: Node, value: Seen) -> Part:
        """The only part of a value."""
        if len(value.parts) != 1:
            self.refuse(node, "the outputs of several layers or directions are one array there")
        return value.parts[0]

    def arrays(self, name: str) -> list[Array]:
        """A value as it was in each run."""
        return [run[name] for run in self.probe.runs]

    def origin(self, node: Node, *places: int) -> frozenset[str]:
        """The initializers of which some inputs of a node are made."""
        return frozenset[str]().union(*(self.probe.roots.get(node.inputs[k], frozenset()) for k in places))

    # --- what comes out

    def same(self, name: str, value: Seen) -> None:
        """A value that is another one."""
        self.values[name], self._names[name] = value, value.name

    def give(self, name: str, parts: Sequence[Part], axes: Axes) -> None:
        """A value of these parts; directions side by side within the features are joined."""
        parts = tuple(parts)
        if ("D", "F") in axes:
            joined = self._joined("concat", parts)
            if joined is not None:
                parts, axes = (joined,), tuple(FEATURES if axis == ("D", "F") else axis for axis in axes)
        self.values[name] = Seen(name, parts, axes)
        self._check(self.values[name])

    def _check(self, value: Seen) -> None:
        """Raises FormatError where an array has another shape than its axes say: broadcasting makes such ones."""
        known = {(): 1, FEATURES: value.parts[0].term.features, SIDES: len(value.parts)}
        for array in self.arrays(value.name):
            fits = len(value.axes) == array.ndim and all(
                known.get(axis, size) in (size, 0) for axis, size in zip(value.axes, array.shape, strict=True)
            )
            if not fits:
                raise FormatError(f"{few([value.name])}: an array of shape {array.shape}, as no layer gives it")

    def layer(self, node: Node, value: Seen, item: Item, features: int) -> None:
        """The output of a layer on a value."""
        part = self.part(node, value)
        term = Term("layer", features, (part.term,), item)
        self.give(node.outputs[0], [Part(term, part.flipped)], value.axes)

    def merged(self, node: Node, values: list[Seen], how: str) -> Seen:
        """Values as one: joined on the axis of features, summed or multiplied."""
        parts = tuple(self.part(node, value) for value in values)
        if len({value.axes for value in values}) > 1 or FEATURES not in values[0].axes:
            self.refuse(node, "values with different axes are put together")
        if how != "concat" and len({part.term.features for part in parts}) > 1:
            self.refuse(node, "values with different numbers of features are put together")
        joined = self._joined(how, parts)
        if joined is None:
            self.refuse(node, "steps in different orders are put together")
        return Seen(node.outputs[0], (joined,), values[0].axes)

    def _joined(self, how: str, parts: tuple[Part, ...]) -> Part | None:
        """Parts merged; two in different orders are the directions of a bidirectional layer, aligned with what it reads."""
        terms, flips = tuple(part.term for part in parts), tuple(part.flipped for part in parts)
        features = sum(term.features for term in terms) if how == "concat" else terms[0].features
        if len(set(flips)) > 1:
            return Part(Term(how, features, terms, flipped=flips)) if len(parts) == 2 else None
        start = common(terms)
        first = terms[0]
        if first.how == how and how != "concat" and not first.flipped and first.before is start and first is not start:
            terms = (*first.inputs, *terms[1:])
        return Part(Term(how, features, terms), flips[0])

    def again(self, node: Node, call: Call) -> bool:
        """Whether an earlier node has computed the same of the same, which is then known."""
        names = tuple(self._names.get(name, name) if self.probe.depends(name) else self._print(name) for name in node.inputs)
        earlier = self._done.setdefault((node.op, names, repr(sorted(call.attributes.items(), key=str))), node)
        if earlier is node or len(earlier.outputs) < len(node.outputs):
            return False
        pairs = [(new, old) for new, old in zip(node.outputs, earlier.outputs, strict=False) if new]
        if not all(old in self.values for _, old in pairs):
            return False
        for new, old in pairs:
            self.same(new, self.values[old])
        return True

    def _print(self, name: str) -> tuple[Any, ...]:
        """By which one knows a constant again: exporters write some of them several times."""
        arrays = self.arrays(name) if name else []
        return tuple((a.dtype.str, a.shape, hashlib.sha256(a.tobytes()).digest()) for a in arrays)

    # --- nodes that compute number by number

    def points(self, node: Node) -> None:
        """The output of such a node."""
        values = [self.settled(node, v) if _many(v) else v for v in self.dependent(node)]
        for value in values:
            self.part(node, value)
        if len({value.base for value in values}) > 1:
            if node.op not in ("Add", "Mul") or len(values) != 2:
                self.refuse(node, "it puts together what different layers give")
            how = "sum" if node.op == "Add" else "mul"
            self.values[node.outputs[0]] = self.merged(node, [self.settled(node, value) for value in values], how)
            return
        if len({value.axes for value in values}) > 1:
            self.refuse(node, "values with different axes are put together")
        called = node._replace(inputs=tuple(self._names.get(name, name) for name in node.inputs))
        nodes = {each.number: each for value in values if value.points for each in value.points.nodes} | {node.number: called}
        points = Points(values[0].base, tuple(nodes[index] for index in sorted(nodes)))
        self.values[node.outputs[0]] = Seen(node.outputs[0], values[0].parts, values[0].axes, points, tuple(values))

    def settled(self, node: Node, value: Seen) -> Seen:
        """A value whose nodes that compute number by number are found to be an activation, or more."""
        if value.points is None:
            return value
        if value.name not in self._settled:
            self._settled[value.name] = self._found(value)
        return self._settled[value.name]

    def _found(self, value: Seen) -> Seen:
        assert value.points is not None
        node = value.points.nodes[-1]
        found, before = pointwise.identify(self.probe, value.points), self.values[value.points.base]
        for name, rest in [] if found else pointwise.ends(value.points):
            found = pointwise.identify(self.probe, Points(name, rest))
            if found is not None:
                before = self.settled(node, self.values[name])
                break
        if found is None and len(value.operands) == 2 and node.op in ("Add", "Mul"):
            both = [self.settled(node, operand) for operand in value.operands]
            return self.merged(node, both, "sum" if node.op == "Add" else "mul")
        if found is None:
            self.refuse(node, "what it computes is no activation, or stands in no layer")
        part = before.parts[0]
        if isinstance(found, Norm) and value.axes[-1] != FEATURES:
            self.refuse(node, "it acts along another axis than that of the features")
        item = Item(found.layer, found.arrays) if isinstance(found, Norm) else found
        term = Term("layer", part.term.features, (part.term,), item)
        return Seen(value.name, (Part(term, part.flipped),), value.axes)

    # --- axes

    def sizes(self, value: Seen, run: int) -> dict[str, int]:
        """The size of every letter of a value's axes."""
        x, shape = self.probe.runs[run][self.probe.roles.x], self.probe.runs[run][value.name].shape
        found = {"0": x.shape[0], "1": x.shape[1], "D": len(value.parts), "F": value.parts[0].term.features}
        for axis, size in zip(value.axes, shape, strict=True):
            if len(axis) == 1:
                found[axis[0]] = size
            elif self.time in axis:  # there may be fewer steps than in x
                rest = [found[letter] for letter in axis if letter != self.time]
                found[self.time or ""] = size // max(math.prod(rest), 1)
        return found

    def reshape(self, node: Node, value: Seen, name: str) -> None:
        """The axes of an output that has the value's numbers in their order."""
        found = {place.reshaped(value.axes, self.sizes(value, run), array.shape) for run, array in enumerate(self.arrays(name))}
        axes = found.pop()
        if axes is None or found:
            self.refuse(node, "its shape tears an axis apart")
        self.give(name, value.parts, axes)

    def is_time(self, axis: tuple[str, ...]) -> bool:
        """Whether an axis is time; one that may be time is it from now on."""
        if axis not in (("0",), ("1",)) or self.time not in (None, axis[0]):
            return False
        self.time = axis[0]
        return True

    def lengths(self, term: Term, run: int) -> Array | None:
        """(B,) how many steps of a term live; None where all of them do."""
        name = self.probe.roles.lengths
        found = None if name is None else self.probe.runs[run][name].astype(int)
        items = []
        while term.inputs:
            items.append(term.item)
            term = term.inputs[0]
        for item in reversed(items):
            if isinstance(item, Item):
                found = None if isinstance(item.layer, RepeatVector) or found is None else item.layer.lengths_out(found)
        return found

    def whole_rows(self, term: Term, name: str) -> bool:
        """Whether a vector is the lengths of a term's rows; where all steps live, it may be as long as one likes."""
        for run, array in enumerate(self.arrays(name)):
            wanted = self.lengths(term, run)
            if wanted is None:
                wanted = np.full(array.shape, self.probe.runs[run][self.probe.roles.x].shape[int(self.time or "1")])
            if not np.array_equal(array, wanted):
                return False
        return True

    def live(self, value: Seen, run: int) -> Array | None:
        """Of which steps of a value the rows have not ended: a bool array that goes with it; None without lengths or time."""
        lengths = self.lengths(value.parts[0].term, run)
        x = self.probe.runs[run][self.probe.roles.x]
        if lengths is None or len(value.parts) != 1:
            return None
        time = self.time or ("1" if len(lengths) == x.shape[0] else "0")
        batch = "1" if time == "0" else "0"
        if (time,) not in value.axes or (batch,) not in value.axes:
            return None
        places = value.axes.index((batch,)), value.axes.index((time,))
        steps = self.probe.runs[run][value.name].shape[places[1]]
        live = np.arange(steps) < lengths[:, None]  # (B, T)
        shape = [live.shape[places.index(k)] if k in places else 1 for k in range(len(value.axes))]
        return np.asarray((live if places[0] < places[1] else live.T).reshape(shape))

    def is_clean(self, value: Seen) -> bool:
        """Whether a value is zero at dead steps."""
        for run, array in enumerate(self.arrays(value.name)):
            live = self.live(value, run)
            if live is None or np.any(np.where(live, 0, array)):
                return False
        return True

    def is_mask(self, value: Seen, name: str) -> bool:
        """Whether an array is one where the value's steps are live, zero elsewhere."""
        for run, (array, shown) in enumerate(zip(self.arrays(name), self.arrays(value.name), strict=True)):
            live = self.live(value, run)
            if live is None or not same_spread(array, np.broadcast_to(live, shown.shape)):
                return False
        return True


def same_spread(array: Array, whole: Array) -> bool:
    """Whether an array, broadcast to the shape of another one, is that."""
    try:
        return np.array_equal(np.broadcast_to(array, whole.shape), whole)
    except ValueError:
        return False


def _many(value: Seen) -> bool:
    return value.points is not None and len(value.points.nodes) >= pointwise.MOST
