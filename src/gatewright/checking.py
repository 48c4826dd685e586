"""Gradient checks: does the backward pass give the derivative of the forward pass?

Two numerical derivatives serve as the judge. The *complex step* (Squire & Trapp 1998), f'(v) = Im f(p + i h v) / h, has no
cancellation, so h can be 1e-30 and the answer is right to the last digits; it needs a forward pass that holds for complex
numbers. *Central differences*, (f(p + h v) - f(p - h v)) / 2h, serve where there are kinks (relu, mae).

Each tensor is checked along random directions, which see every number at once, and element by element. A check that could not
fail is refused: too few steps, a state of zeros, gradients that vanish.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gatewright.arrays import Array
from gatewright.checks import positive, whole_number
from gatewright.errors import DataError, GatewrightError, OptionError, one_of
from gatewright.parameters import Parameters
from gatewright.state import checked as checked_state
from gatewright.state import tree_fill, tree_from, tree_items, tree_map
from gatewright.steps import Steps, checked_for, from_lists, live_or_none, packing

METHODS = ("auto", "complex", "differences")
TOLERANCE = {"complex": 1e-10, "differences": 1e-7}
STEP = {"complex": 1e-30, "differences": 1e-6}
VANISHED = 1e-7


class UninformativeError(GatewrightError):
    """A gradient check that could not fail, and why."""


class Row(NamedTuple):
    """The check of one tensor: its worst direction or element."""

    name: str
    shape: tuple[int, ...]
    where: str  # "direction 2" or the index of the element
    expected: float  # the numerical derivative
    actual: float  # what the backward pass says
    error: float  # |expected - actual| / the largest number of the tensor's gradient


@dataclass(frozen=True)
class Report:
    """The outcome of a gradient check: `ok` if the error of every row is below `tolerance`; prints as a table.

    title: what was checked; method: "complex" or "differences"; rows: one a tensor.
    """

    title: str
    method: str
    tolerance: float
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every row is below the tolerance."""
        return all(row.error < self.tolerance for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row with the largest error (NaN counts as the largest)."""
        return max(self.rows, key=lambda row: np.inf if np.isnan(row.error) else row.error)

    def __str__(self) -> str:
        how = {"complex": "complex step", "differences": "central differences"}[self.method]
        head = ("tensor", "shape", "worst at", f"expected ({how})", "actual (backward)", "error")
        lines = [
            (row.name, str(row.shape).replace(" ", ""), row.where, f"{row.expected: .15e}", f"{row.actual: .15e}",
             f"{row.error:.1e}" + ("" if row.error < self.tolerance else "  WRONG"))
            for row in self.rows
        ]  # fmt: skip
        widths = [max(len(line[k]) for line in (head, *lines)) for k in range(len(head))]
        table = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in (head, *lines)]
        wrong = sum(not row.error < self.tolerance for row in self.rows)
        verdict = (
            f"all {len(self.rows)} gradients are right: the worst error is {self.worst.error:.1e}, below {self.tolerance:.0e}"
            if self.ok
            else f"{wrong} of {len(self.rows)} gradients are WRONG; the worst is {self.worst.name}: {self.worst.error:.1e}"
        )
        return "\n".join([f"gradient check of {self.title}", *table, verdict])


class Problem(NamedTuple):
    """A scalar function of named arrays, and what the backward pass says of it."""

    arrays: Mapping[str, Array]  # float64, by name
    value: Callable[[Mapping[str, Array]], Any]  # of arrays of those names, perhaps complex
    gradients: Callable[[Mapping[str, Array]], Mapping[str, Array]]
    movable: Mapping[str, Array]  # bool: where an array may be moved; everywhere if it is not named here


class Choices(NamedTuple):
    """How to check."""

    method: str  # "complex" or "differences"
    directions: int
    elements: int
    tolerance: float


def choices(method: str, directions: Any, elements: Any, tolerance: Any) -> Choices:
    """How to check by "complex" or "differences"; OptionError for an impossible number of probes or tolerance."""
    whole_number("directions", directions, 0)
    whole_number("elements", elements, 0)
    if not directions and not elements:
        raise OptionError("directions=0 and elements=0: nothing would be checked")
    if tolerance is None:
        tolerance = TOLERANCE[method]
    positive("tolerance", tolerance)
    return Choices(method, int(directions), int(elements), float(tolerance))


def generator(seed: Any) -> np.random.Generator:
    """The generator of what a check draws; OptionError for an impossible seed."""
    whole_number("seed", seed, 0)
    return np.random.default_rng(seed)


def compare(problem: Problem, choices: Choices, rng: np.random.Generator, title: str) -> Report:
    """Checks every array of the problem along random directions and at random elements."""
    if not np.isfinite(problem.value(problem.arrays)):
        raise DataError("what is checked is NaN or infinite: so are x at a live step, the state or the parameters")
    gradients = problem.gradients(problem.arrays)
    for name in problem.arrays:
        largest = np.abs(gradients[name]).max(initial=0)
        # A backward pass that gives zero where the numerical derivative does not is wrong, and that is for the table to say.
        if largest < VANISHED and abs(_derivative(problem, name, _direction(problem, name, rng), choices.method)) < VANISHED:
            raise UninformativeError(
                f"the gradient of {name} is at most {largest:.1e}: it vanishes, so the check would pass whatever the backward "
                f"pass does; use larger weights or inputs, other seeds, or fewer steps"
            )
    rows = tuple(_check(problem, name, gradients[name], choices, rng) for name in problem.arrays)
    return Report(title, choices.method, choices.tolerance, rows)


def _check(problem: Problem, name: str, gradient: Array, choices: Choices, rng: np.random.Generator) -> Row:
    """The worst of the directions and elements of one array."""
    array, scale = problem.arrays[name], float(np.abs(gradient).max())
    probes = [(f"direction {k + 1}", _direction(problem, name, rng)) for k in range(choices.directions)]
    for flat in rng.permutation(np.flatnonzero(_movable(problem, name)))[: choices.elements]:
        unit = np.zeros(array.size)
        unit[flat] = 1
        index = [int(n) for n in np.unravel_index(flat, array.shape)]
        probes.append((str(index).replace(" ", ""), unit.reshape(array.shape)))
    rows = []
    for where, direction in probes:
        expected, actual = _derivative(problem, name, direction, choices.method), float((gradient * direction).sum())
        unit_of_error = scale if scale >= VANISHED else max(abs(expected), VANISHED)
        rows.append(Row(name, array.shape, where, expected, actual, abs(expected - actual) / unit_of_error))
    return max(rows, key=lambda row: np.inf if np.isnan(row.error) else row.error)


def _movable(problem: Problem, name: str) -> Array:
    """Bool, of the array's shape."""
    return np.broadcast_to(problem.movable.get(name, np.True_), problem.arrays[name].shape)


def _direction(problem: Problem, name: str, rng: np.random.Generator) -> Array:
    """A random direction of unit length."""
    direction = rng.standard_normal(problem.arrays[name].shape) * _movable(problem, name)
    return direction / (np.linalg.norm(direction) or 1.0)


def _derivative(problem: Problem, name: str, direction: Array, method: str) -> float:
    """The numerical derivative of the problem's value along a direction of one array."""
    h = STEP[method]
    if method == "complex":
        arrays = {key: array.astype(complex) for key, array in problem.arrays.items()}
        arrays[name] = arrays[name] + 1j * h * direction
        return float(np.imag(problem.value(arrays)) / h)
    up, down = ({**problem.arrays, name: problem.arrays[name] + sign * h * direction} for sign in (1, -1))
    return float((problem.value(up) - problem.value(down)) / (2 * h))


class Inputs(NamedTuple):
    """What a network is checked with, all float64."""

    x: Array  # (B, T, F), or (B, T) indices
    state: Any  # the initial state, or None to begin from the learned one
    steps: Steps | None


Objective = Callable[[Any, Any], tuple[Any, Any, Any]]  # (y, final state) -> (value, dy, dstate)


def gradcheck(
    layer: Any,
    x: Any,
    state: Any = None,
    *,
    params: Parameters | None = None,
    lengths: Any = None,
    mask: Any = None,
    starts: Any = None,
    seed: int = 0,
    directions: int = 3,
    elements: int = 8,
    method: str = "auto",
    tolerance: float | None = None,
) -> Report:
    """Checks the backward pass of a layer or a Model: every parameter, the input and the initial state; gives a Report.

    The function that is differentiated is a random weighting of every output step and of the final state. x is (B, T, F),
    (B, T) indices, or a list of sequences; `state` the initial state, of (num_layers * directions, B, H) arrays (drawn at
    random if None); lengths (B,), mask and starts (B, T). A layer's parameters are drawn at random (or `params`); a Model's
    are its own, where those that are all zero, such as new biases, are drawn too: zeros hide wrong terms. All runs in
    float64, without dropout. Each tensor is checked along `directions` random directions and at `elements` random elements,
    by "complex" step (tolerance 1e-10) or central "differences" (1e-7); "auto" takes the first where the activations are
    analytic. Errors are relative to the largest number of the tensor's gradient.

    Raises UninformativeError where the check could not fail: fewer than 3 steps, a state of zeros, vanishing gradients;
    ShapeError, DataError or OptionError for impossible input.
    """
    rng = generator(seed)
    model, layer = (layer, layer.network) if hasattr(layer, "network") else (None, layer)
    if not hasattr(layer, "takes_indices"):
        raise OptionError(f"gradcheck: got {layer!r}, wanted a layer or a Model")
    rank = 1 if layer.takes_indices else 2
    x, given = from_lists(x, Steps(lengths, mask, starts), rank)
    if layer.takes_indices and x.dtype.kind not in "iu":
        raise DataError(f"x: got {x.dtype}, wanted whole numbers: this network begins with an Embedding")
    layer.shape_out(x.shape)
    x = x if layer.takes_indices else x.astype(float)
    if model:
        params = model.parameters if params is None else params
        state = model.to_network_state(state, len(x))
    else:
        state = checked_state(state, layer.state_shape(len(x)), float)
    steps = checked_for(given, x.shape, rank)
    params = random_parameters(layer, rng, params)
    if layer.takes_indices:
        _refuse_indices(layer, x, steps, params)
    probe, after, _ = layer.forward(params, x, None, steps=steps)
    dy, dafter = (tree_map(lambda a: rng.standard_normal(a.shape), tree) for tree in (probe, after))

    def objective(y: Any, final: Any) -> tuple[Any, Any, Any]:
        pairs = zip(tree_items((y, final)), tree_items((dy, dafter)), strict=True)
        return sum((a * w).sum() for (_, a), (_, w) in pairs), dy, dafter

    how = choices(chosen_method(method, layer.analytic), directions, elements, tolerance)
    return check_network(layer, params, Inputs(x, state, steps), objective, how, rng)


def chosen_method(method: str, analytic: bool) -> str:
    """The method that "auto" means."""
    if method not in METHODS:
        raise one_of("method", method, METHODS)
    if method == "complex" and not analytic:
        raise OptionError("method='complex': an activation or the loss has kinks; use method='differences' or 'auto'")
    return method if method != "auto" else "complex" if analytic else "differences"


def random_parameters(layer: Any, rng: np.random.Generator, params: Parameters | None) -> Parameters:
    """Parameters (float64) with nothing zero: new ones at random, or given ones with their all-zero tensors drawn."""
    new = params is None
    params = layer.init(rng) if params is None else params.astype(float)
    params.assign(
        {
            name: array + 0.2 * rng.standard_normal(array.shape) if new else 0.2 * rng.standard_normal(array.shape)
            for name, array in params.items()
            if new or not array.any()
        }
    )
    return params


def check_network(
    layer: Any, params: Parameters, inputs: Inputs, objective: Objective, choices: Choices, rng: np.random.Generator
) -> Report:
    """Checks a layer under any objective; see `gradcheck`."""
    x, state, steps = inputs
    _refuse_few_steps(layer, x, steps)
    shapes = layer.state_shape(x.shape[0])
    if state is None:
        state = tree_fill(shapes, lambda shape: 0.5 * rng.standard_normal(shape))
    state = tree_map(lambda array: np.asarray(array, float), state)
    for name, array in tree_items(state):
        if array.size and not array.any():
            raise UninformativeError(f"{name} is zero: what is multiplied by it is not checked; give a random state, or none")
    learned = [name for name in params if name.rpartition(".")[2] in ("h0", "c0")]
    arrays = {f"parameter {name}": array for name, array in params.items()}
    if not layer.takes_indices:
        arrays["input x"] = x
    begun = {f"initial {name}": array for name, array in tree_items(state)}
    used = {name: array for name, array in arrays.items() if name[len("parameter ") :] not in learned}
    title = f"{layer}, x of shape {x.shape}"
    report = compare(_problem(layer, params, Inputs(x, state, steps), objective, {**used, **begun}), choices, rng, title)
    if learned:  # these serve only where no state is given
        alone = {f"parameter {name}": params[name] for name in learned}
        more = compare(_problem(layer, params, Inputs(x, None, steps), objective, alone), choices, rng, title)
        report = Report(title, report.method, report.tolerance, report.rows + more.rows)
    return report


def _refuse_indices(layer: Any, x: Array, steps: Steps | None, params: Parameters) -> None:
    """An index at a live step has to be in the Embedding: in the smallest of them, for all read the same x."""
    count = min(len(array) for name, array in params.items() if name.rpartition(".")[2] == "E")
    live = live_or_none(layer.steps_in(x, steps), *x.shape)
    wrong = (x < 0) | (x >= count) if live is None else ((x < 0) | (x >= count)) & live
    for row, step in np.argwhere(wrong)[:1]:
        raise DataError(f"x: got {x[row, step]} in row {row}, step {step}; wanted an index in 0 … {count - 1}")


def _refuse_few_steps(layer: Any, x: Array, steps: Steps | None) -> None:
    """A recurrent network shows its backward pass through time only over three steps or more."""
    if layer.state_shape(1) is None or not any(True for _ in tree_items(tree_fill(layer.state_shape(1), np.zeros))):
        return
    if x.ndim == 2 and not layer.takes_indices:  # rows, of which the network makes steps
        return
    longest = max((stop for _, stop, n in packing(layer.steps_in(x, steps), *x.shape[:2]).rectangles() if n), default=0)
    if longest < 3:
        raise UninformativeError(f"the longest sequence has {longest} steps: errors of the recurrence show from 3 on; use more")


def _problem(layer: Any, params: Parameters, inputs: Inputs, objective: Objective, arrays: Mapping[str, Array]) -> Problem:
    """The objective as a function of the named arrays; the others stay what they are."""

    def run(now: Mapping[str, Array]) -> tuple[Parameters, Any, Any, Any, Any]:
        dtype = np.result_type(*now.values())
        there = params.astype(dtype)
        there.assign({name: now[f"parameter {name}"] for name in params if f"parameter {name}" in now})
        x = now.get("input x", inputs.x)
        x = x if layer.takes_indices else np.asarray(x, dtype)
        begun = [now.get(f"initial {name}", array) for name, array in tree_items(inputs.state)]
        state = tree_map(lambda array: np.asarray(array, dtype), tree_from(inputs.state, begun))
        return there, x, *layer.forward(there, x, state, steps=inputs.steps)

    def value(now: Mapping[str, Array]) -> Any:
        _, _, y, final, _ = run(now)
        return objective(y, final)[0]

    def gradients(now: Mapping[str, Array]) -> Mapping[str, Array]:
        there, _, y, final, cache = run(now)
        _, dy, dfinal = objective(y, final)
        grads = there.zeros_like()
        dx, dstate = layer.backward(there, grads, cache, dy, dfinal)
        found = {f"parameter {name}": array for name, array in grads.items()} | {"input x": dx}
        return found | {f"initial {name}": array for name, array in tree_items(dstate)}

    return Problem(arrays, value, gradients, {} if layer.takes_indices else _at_live_steps(layer, inputs))


def _at_live_steps(layer: Any, inputs: Inputs) -> dict[str, Array]:
    """Where x may be moved. What stands at a dead step is not read, but may be what makes it dead (gw.Masking)."""
    x = inputs.x
    live = live_or_none(layer.steps_in(x, inputs.steps), *x.shape[:2]) if x.ndim > 2 else None
    return {} if live is None else {"input x": live.reshape(live.shape + (1,) * (x.ndim - 2))}
