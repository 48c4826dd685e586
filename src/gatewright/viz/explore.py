"""The gate explorer: one HTML file that shows, unit by unit, what a network remembers and forgets of one sequence."""

import base64
import html
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewright import files, inputs
from gatewright.activations import Activation
from gatewright.arrays import Array, numbers
from gatewright.errors import DataError, NotFiniteError, OptionError, ShapeError
from gatewright.inputs import Batch
from gatewright.layers import Embedding, Recurrent, final_activation, fold_final, leaves
from gatewright.steps import Steps
from gatewright.training import batches, losses
from gatewright.training.objective import Objective, objective
from gatewright.viz import gates, selective
from gatewright.viz.gates import Inside, Seen

if TYPE_CHECKING:  # for the type alone: Model calls this module from inside a method
    from gatewright.model import Model

MOST_STEPS = 2_000
MOST_NUMBERS = 12_000_000  # a byte each, in all heat maps
MOST_SERIES = 16  # columns of a numeric input that are drawn as lines …
MOST_INFLUENCE = 64  # … and as rows of a heat map of the loss's gradients
CANDIDATES = 5
UNIT = ("sigmoid", "hard_sigmoid")  # activations from 0 to 1 …
SIGNED = ("tanh", "softsign")  # … and from -1 to 1: what is near an end is saturated
LOW, HIGH = 0.1, 0.9
DATA = "<!-- data -->"  # where in explore.html the numbers go


class Page(NamedTuple):
    """A page made by `model.explore`; a notebook shows it."""

    html: str

    def save(self, path: Any) -> None:
        """Writes it, to a temporary name first, then renamed."""
        files.write_bytes(Path(path), self.html.encode())

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{html.escape(self.html)}" style="width:100%;height:56rem;border:0"></iframe>'


class Asked(NamedTuple):
    """What to look at, and how to name it."""

    x: Any  # (T, F), (T,) indices, or a batch of one
    text: Sequence[str] | None = None  # T names, one a step
    vocabulary: Sequence[str] | None = None  # names of the indices
    columns: Sequence[str] | None = None  # names of the features
    y: Any = None  # targets, as of `fit`, with or without the batch's axis
    loss: Any = None
    title: str = ""


class Observed(NamedTuple):
    """What was seen, and of what."""

    batch: Batch
    goal: Objective
    words: str  # what was differentiated
    seen: Seen


def explore(model: "Model", asked: Asked, path: Any = None) -> Page:
    """The page for one sequence of at most 2,000 steps, written to `path` if given; see `Model.explore`."""
    found = observed(model, asked)
    content = _header(model, asked, found) | _input(model, asked, found)
    content["layers"] = [_layer(inside) for inside in found.seen.inside]
    content["selective"] = _selective(found.seen, found.batch)
    page = Page(_template().replace(DATA, _embedded(content)))
    if path is not None:
        page.save(path)
    return page


def observed(model: "Model", asked: Asked) -> Observed:
    """The sequence through the network, there and back, in float64. Raises as `Model.explore` says."""
    batch = _one(model, asked.x)
    goal, data, words = _goal(model, asked, batch)
    _bound(model, batch)
    seen = gates.observe(goal, model.parameters.astype(float), data)
    _check_finite(seen)
    return Observed(batch, goal, words, seen)


def _one(model: "Model", x: Any) -> Batch:
    """The sequence as a checked batch of one row, in float64."""
    rank = 2 if model.layer.takes_indices else 3
    given = numbers(x, "x")
    given = given[None] if given.ndim == rank - 1 else given
    if given.ndim != rank or len(given) != 1:
        wanted = "(T,) indices" if rank == 2 else f"(T, {model.layer.features_in or 'F'})"
        raise ShapeError(f"explore: got x of shape {np.shape(x)}, wanted one sequence {wanted}")
    if not 1 <= given.shape[1] <= MOST_STEPS:
        raise DataError(f"explore: got {given.shape[1]} steps, wanted 1 to {MOST_STEPS}: look at a part of the sequence")
    return inputs.batch(model.layer, given, Steps(), float)


def _bound(model: "Model", batch: Batch) -> None:
    """Refuses a network without recurrent layers, and one with too much to draw."""
    found = [layer for layer in leaves(model.layer) if isinstance(layer, Recurrent)]
    if not found:
        raise OptionError("explore: the network has no RNN, LSTM or GRU, so there is nothing to see")
    units = sum(layer.hidden_size * len(layer.prefixes) * (len(layer.gates) + len(layer.sizes)) for layer in found)
    if units * batch.x.shape[1] > MOST_NUMBERS:
        most = MOST_NUMBERS // units
        raise DataError(
            f"explore: {batch.x.shape[1]} steps of {units} gates and states are too much for a page; at most {most}"
        )


def _goal(model: "Model", asked: Asked, batch: Batch) -> tuple[Objective, batches.Batch, str]:
    """What is differentiated, and in which words; by default the next symbol's cross-entropy, else the output's mean square."""
    shape = model.network.shape_out(batch.x.shape)
    steps, weight, words, loss = batch.x.shape[1], None, "", asked.loss
    if asked.y is not None:
        y = numbers(asked.y, "y")
        goal = objective(model.network, "mse" if loss is None else loss)
        wanted = goal.loss.target_shape(shape)
        y = y[None] if y.ndim == len(wanted) - 1 else y
    elif loss is not None:
        raise OptionError(f"explore: loss={loss!r} needs the targets too: give y")
    elif steps > 1 and _tells_symbols(model, shape):
        goal, words = objective(model.network, "cross_entropy"), "cross-entropy of the next symbol"
        y, weight = np.append(batch.x[:, 1:], [[0]], axis=1), np.arange(steps)[None] < steps - 1
    else:
        goal, words = objective(model.network, "mse"), "mean square of the output"
        y = np.zeros(shape)
    data = batches.Data(batch.x, inputs.targets(model.network, y, batch), batch.steps, weight)
    return goal, batches.prepare(goal, data, np.dtype(float)), words or type(goal.loss).__name__


def _tells_symbols(model: "Model", shape: tuple[int, ...]) -> bool:
    """Whether the output (1, T, O) is a distribution over the network's own symbols, or its logits."""
    if not model.layer.takes_indices or len(shape) < 3 or shape[-1] != _count(model):
        return False
    final = final_activation(model.network)
    return final == Activation("linear") or fold_final(model.network, "softmax") is not None


def _count(model: "Model") -> int:
    """The number of indices that the network reads."""
    return min(layer.count for layer in leaves(model.layer) if isinstance(layer, Embedding))


def _check_finite(seen: Seen) -> None:
    if not np.isfinite(seen.loss):
        raise NotFiniteError(f"explore: the loss is {seen.loss}")
    for inside in seen.inside:
        for letter, values in (*inside.arrays.items(), ("the gradient of h", inside.gradient)):
            if not np.isfinite(values).all():
                step = np.flatnonzero(~np.isfinite(values).all(axis=1))[0]
                raise NotFiniteError(f"explore: layer {inside.name} ({inside.kind}): {letter} is not finite at step {step}")


def _header(model: "Model", asked: Asked, found: Observed) -> dict[str, Any]:
    """What the page says of itself, and the loss with its gradients at the input."""
    seen, bits = found.seen, np.log(2) if found.goal.loss == losses.CrossEntropy() else 1.0
    saliency = None if seen.saliency is None else np.linalg.norm(seen.saliency, axis=1)
    return {
        "title": asked.title,
        "parameters": int(model.parameters.flat.size),
        "steps": found.batch.x.shape[1],
        "limits": [LOW, HIGH],
        "loss": {"words": found.words, "value": seen.loss / bits, "unit": "bits" if bits != 1 else "",
                 "steps": None if seen.step_loss is None else _floats(seen.step_loss / bits)},
        "saliency": None if saliency is None else _floats(saliency),
        "saliencyOf": "the symbol's embedding" if model.layer.takes_indices else "the input",
    }  # fmt: skip


def _input(model: "Model", asked: Asked, observed: Observed) -> dict[str, Any]:
    """The sequence: symbols with the candidates for the next one, or columns of numbers."""
    x, output = observed.batch.x[0], observed.seen.output
    text = _names("text", asked.text, len(x), "one a step")
    if not model.layer.takes_indices:
        if asked.vocabulary is not None:
            raise OptionError("explore: vocabulary: this network reads numbers, not indices")
        columns = _names("columns", asked.columns, x.shape[1], "one a feature") or [f"x{k}" for k in range(x.shape[1])]
        shown = x[:, :MOST_SERIES]
        series = {"names": columns[:MOST_SERIES], "hidden": max(0, x.shape[1] - MOST_SERIES), "data": _floats(shown)}
        influence = observed.seen.saliency
        if influence is not None and 1 < x.shape[1] <= MOST_INFLUENCE:
            series["influence"] = {"letter": "∂L/∂x", "units": x.shape[1], "range": "free"} | _signed(influence)
        return {"symbols": text, "series": series}
    if asked.columns is not None:
        raise OptionError("explore: columns: this network reads indices, not numbers")
    names = _names("vocabulary", asked.vocabulary, _count(model), "one an index")
    if names is None:
        known = dict(zip(x.tolist(), text or map(str, x.tolist()), strict=True))
        names = [known.get(index, str(index)) for index in range(_count(model))]
    found: dict[str, Any] = {"symbols": text or [names[index] for index in x]}
    if observed.goal.loss.classes and output.shape == (len(x), _count(model)):
        p = Activation("softmax").forward(output)
        best = np.argsort(-p, axis=1, kind="stable")[:, :CANDIDATES]
        chance = np.round(np.take_along_axis(p, best, axis=1) * 255).astype(np.uint8)
        found["candidates"] = {"count": best.shape[1], "names": [names[k] for k in np.unique(best)], "chance": _bytes(chance),
                               "index": _bytes(np.searchsorted(np.unique(best), best).astype("<u2"))}  # fmt: skip
    return found


def _names(option: str, names: Sequence[str] | None, count: int, which: str) -> list[str] | None:
    if names is None:
        return None
    found = list(names)
    if len(found) != count or not all(isinstance(name, str) for name in found):
        raise DataError(f"explore: {option}: got {len(found)} names, wanted {count} strings, {which}")
    return found


def _layer(inside: Inside) -> dict[str, Any]:
    """One layer's heat maps, gradients and how long its gates are saturated."""
    return {
        "name": inside.name,
        "kind": inside.kind,
        "steps": len(inside.gradient),
        "gradient": _floats(np.linalg.norm(inside.gradient, axis=1)),
        "maps": [_map(inside, letter, values) for letter, values in inside.arrays.items()],
    }


def _map(inside: Inside, letter: str, values: Array) -> dict[str, Any]:
    """One gate or state (T, H): a byte a number, 0 … 1 as 0 … 255 or -scale … scale as -127 … 127."""
    kind, live = reach(inside, letter), values[inside.live]
    made: dict[str, Any] = {"letter": letter, "units": values.shape[1], "range": kind}
    if kind == "unit":
        made |= {"scale": 1, "data": _bytes(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))}
    else:
        made |= _signed(values)
    if kind == "unit":
        made["saturated"] = [_shares(live < LOW), _shares(live > HIGH)]
    elif kind == "signed":
        made["saturated"] = [_shares(live < -HIGH), _shares(live > HIGH)]
    return made


def _signed(values: Array) -> dict[str, Any]:
    """Numbers of both signs: a byte each, -127 … 127 for -scale … scale."""
    scale = float(np.abs(values).max()) or 1.0
    return {"scale": scale, "data": _bytes(np.round(values / scale * 127).astype(np.int8))}


def reach(inside: Inside, letter: str) -> str:
    """How far it can go: "unit" for 0 … 1, "signed" for -1 … 1, "free" for what has no ends."""
    options, projected = inside.layer.options, inside.arrays[letter].shape[1] != inside.layer.hidden_size
    if letter == "c" or projected:
        return "free"
    name = "activation" if letter in "gnh" else "recurrent_activation"
    outer = letter == "h" and hasattr(options, "cell_activation")
    made = getattr(options, "cell_activation" if outer else name).name
    return "unit" if made in UNIT else "signed" if made in SIGNED else "free"


def _shares(hits: Array) -> list[float]:
    """The share of time of every unit, from hits (T, H) at live steps."""
    return [round(float(share), 4) for share in hits.mean(axis=0)]


def _selective(seen: Seen, batch: Batch) -> list[dict[str, Any]]:
    """All units of all layers that read as many steps as the input has, the most selective first."""
    rows, x = [], batch.x[0]
    for at, inside in enumerate(seen.inside):
        if len(inside.live) != len(x):
            continue
        h, read = inside.arrays["h"][inside.live], x[inside.live]
        found = selective.by_class(h, read) if x.ndim == 1 else selective.by_column(h, read)
        for unit, (score, of, sign) in enumerate(zip(*found, strict=True)):
            first = int(np.flatnonzero(x == of)[0]) if x.ndim == 1 else int(of)
            rows.append({"layer": at, "unit": unit, "score": round(float(score), 4), "of": first, "sign": int(sign),
                         "mean": round(float(h[:, unit].mean()), 4), "spread": round(float(h[:, unit].std()), 4)})  # fmt: skip
    return sorted(rows, key=lambda row: -float(row["score"]))


def _bytes(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _floats(array: Array) -> str:
    """float32, little-endian, row after row; NaN where there is nothing."""
    return _bytes(array.astype("<f4"))


def _embedded(content: dict[str, Any]) -> str:
    """JSON that can stand inside a script element, whatever the names in it are."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _template() -> str:
    return resources.files("gatewright.viz").joinpath("explore.html").read_text(encoding="utf-8")
