"""Fitted estimators as safetensors files: the network's numbers, and all else as JSON in the metadata. Nothing is executed."""

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gatewright import files
from gatewright.arrays import Array, float_dtype
from gatewright.checks import is_number
from gatewright.errors import DataError, FormatError, GatewrightError, OptionError, one_of, shortened
from gatewright.estimators import network
from gatewright.estimators.scaling import Scaler
from gatewright.estimators.sequences import LAYOUTS, Form
from gatewright.model import Model

if TYPE_CHECKING:
    from gatewright.estimators.base import SequenceEstimator

Estimator = TypeVar("Estimator", bound="SequenceEstimator")

OF_THE_MACHINE = ("kernel", "threads")  # parameters that who loads an estimator chooses
CHARACTERS = 1 << 24  # of all labels, each as long as the longest


def save(estimator: "SequenceEstimator", path: Any, more: Mapping[str, Any] | None = None) -> None:
    """Writes a fitted estimator into one file; more: other JSON values that the file is to hold.

    Raises OptionError for parameters and labels that JSON can't say, or that ask for another network than the fitted one.
    """
    check_is_fitted(estimator, "model_")
    asked = (estimator._build(), float_dtype(estimator.dtype), estimator.standardize)
    if asked != (estimator.model_.layer, estimator.model_.dtype, estimator._made["standardize"]):
        raise OptionError("save: the parameters ask for something other than what was fitted: fit once more")
    form, names = estimator._form, getattr(estimator, "feature_names_in_", None)
    files.save(path, dict(estimator.model_.parameters.items()), {
        "kind": estimator._kind, "options": _options(estimator), **estimator._told_apart(),
        "form": {"features": form.features, "time": form.time, "names": None if names is None else list(names)},
        "scaler": [array.tolist() for array in estimator._scaler],
        "loss_curve": estimator.loss_curve_, "validation_scores": _scores(estimator.validation_scores_),
        **(more or {}), **estimator.model_.describe(),
    })  # fmt: skip


def load(kind: type[Estimator], path: Any, kernel: str, threads: int | None) -> Estimator:
    """The estimator in a file that `save` wrote; see `SequenceEstimator.load`."""
    tensors, described = files.load(path)
    if described.get("kind") != kind._kind:
        plain = f"a file of gatewright's, but no {kind._kind}: gw.{kind.__name__}.save makes one"
        raise FormatError(f"{path}: {files.other(described, f'but no {kind._kind}') or plain}")
    try:
        return _read(kind, tensors, described, path, {"kernel": kernel, "threads": threads})
    except FormatError:
        raise
    except (GatewrightError, KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise FormatError(f"{path}: the description of the {kind._kind} makes no sense: {shortened(error)}") from None


def _options(estimator: "SequenceEstimator") -> dict[str, Any]:
    """The parameters but for those of the machine, as JSON values."""
    options = {name: value for name, value in estimator.get_params().items() if name not in OF_THE_MACHINE}
    options["dtype"] = estimator.model_.dtype.name
    if isinstance(weights := options.get("class_weight"), Mapping):
        options["class_weight"] = [[_plain(label), _plain(weight)] for label, weight in weights.items()]
    if not isinstance(options["random_state"], Integral):
        options["random_state"] = None  # a generator's state is no part of what was learned
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: Any) -> Any:
    """A value as JSON has it: NumPy's numbers become Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _scores(scores: list[float] | None) -> list[float | None] | None:
    return None if scores is None else [score if np.isfinite(score) else None for score in scores]


def _read(
    kind: type[Estimator], tensors: dict[str, Array], described: dict[str, Any], path: Any, machine: dict[str, Any]
) -> Estimator:
    layer, parameters = files.read_model({k: v for k, v in described.items() if k != "kind"}, tensors, path)
    estimator = kind(**_given(kind, described["options"]), **machine)
    network.check(estimator)
    if estimator.layout not in LAYOUTS:
        raise one_of("layout", estimator.layout, LAYOUTS)
    estimator._form, names = _form(described["form"])
    estimator._scaler = scaler(described["scaler"], estimator._form.features)
    estimator._take(described)
    first = getattr(layer, "children", {}).get("0")
    sizes = (getattr(first, "hidden_size", None), getattr(first, "num_layers", None))
    # Sizes first: those of the file's layer are bounded by the numbers in the file, those of the options by nothing.
    if sizes != (estimator.hidden_size, estimator.num_layers) or layer != estimator._build():
        raise FormatError(f"{path}: its network is not the one that its options describe: {shortened(layer)}")
    if parameters.dtype != float_dtype(estimator.dtype):
        raise FormatError(f"{path}: its numbers are {parameters.dtype}, and its options say {estimator.dtype}")
    _fitted(estimator, described, names)
    seed = int(check_random_state(estimator.random_state).randint(2**31 - 1))  # of what training may come after
    estimator.model_ = Model(layer, seed=seed, dtype=parameters.dtype, parameters=parameters, **machine)
    estimator._made = {"network": layer, "dtype": estimator.dtype, "standardize": estimator.standardize} | machine
    return estimator


def _given(kind: type[Estimator], options: dict[str, Any]) -> dict[str, Any]:
    """The parameters in a file. Raises OptionError for one that this version doesn't know."""
    known = kind().get_params().keys() - set(OF_THE_MACHINE)
    for name in options:
        if name not in known:
            raise OptionError(f"the parameter {shortened(name)!r} is unknown; known: {', '.join(sorted(known))}")
    if isinstance(options.get("class_weight"), list):
        return options | {"class_weight": {label: weight for label, weight in options["class_weight"]}}  # noqa: C416
    return options


def _form(described: dict[str, Any]) -> tuple[Form, tuple[str, ...] | None]:
    """The form of the sequences, and the names of the features, or, of a table, of its columns."""
    features, time, names = (described[name] for name in ("features", "time", "names"))
    for size in (features, 1 if time is None else time):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise DataError(f"form: got {size!r}, wanted a size")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise DataError("form: wanted names that are texts")
    wanted = features if time is None else time
    if (names is not None and len(names) != wanted) or (time is not None and features != 1):
        raise DataError("form: it contradicts itself")
    names = None if names is None else tuple(names)
    return Form(features, time, names if time is None else None), names


def scaler(described: Any, columns: int) -> Scaler:
    """The scaler of so many columns that a file tells of. Raises DataError for what is none."""
    mean, scale = (np.array(part, float) for part in described)
    fits = mean.shape == scale.shape == (columns,)
    if not fits or not np.isfinite(mean).all() or not np.isfinite(scale).all() or not (scale > 0).all():
        raise DataError(f"scaler: wanted {columns} finite means, and as many finite scales above 0")
    return Scaler(mean, scale)


def _fitted(estimator: "SequenceEstimator", described: dict[str, Any], names: tuple[str, ...] | None) -> None:
    """Sets what a fitted estimator tells of itself."""
    form, curve, scores = estimator._form, described["loss_curve"], described["validation_scores"]
    if not isinstance(curve, list) or not all(map(is_number, curve)):
        raise DataError("loss_curve: wanted a list of numbers")
    if scores is not None and not (isinstance(scores, list) and all(score is None or is_number(score) for score in scores)):
        raise DataError("validation_scores: wanted a list of numbers, or null")
    estimator.n_features_in_ = form.features if form.time is None else form.time
    if names is not None:
        estimator.feature_names_in_ = np.array(names, dtype=object)
    estimator.mean_, estimator.scale_ = estimator._scaler
    estimator.n_iter_, estimator.loss_curve_ = len(curve), [float(loss) for loss in curve]
    estimator.validation_scores_ = None if scores is None else [np.nan if s is None else float(s) for s in scores]
    estimator._optimizer = None


def labels_as_json(classes: Array) -> dict[str, Any]:
    """The labels (C,) as JSON. Raises OptionError for labels that JSON can't say."""
    kind = "object" if classes.dtype.kind == "O" else "str" if classes.dtype.kind == "U" else classes.dtype.name
    labels = classes.tolist()
    try:
        labels_from_json({"classes": labels, "labels": kind})
    except (GatewrightError, KeyError, TypeError, ValueError):
        raise OptionError(f"save: got classes of {classes.dtype}, wanted texts, whole numbers, floats or bools") from None
    return {"classes": labels, "labels": kind}


def labels_from_json(described: dict[str, Any]) -> Array:
    """The labels (C,), sorted. Raises DataError, or what NumPy raises, for what is none."""
    labels, kind = described["classes"], described["labels"]
    known = {"object": str, "str": str, "bool": bool}
    known |= dict.fromkeys((f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)), int)
    known |= dict.fromkeys(("float16", "float32", "float64"), float)
    if not isinstance(labels, list) or any(type(label) is not known[kind] for label in labels):
        raise DataError(f"classes: wanted a list of {shortened(kind)}")
    if kind == "str" and len(labels) * max(map(len, labels), default=0) > CHARACTERS:
        raise DataError(f"classes: texts of more than {CHARACTERS:,} characters")
    classes = np.array(labels, dtype=kind)
    if len(classes) < 2 or not np.array_equal(np.unique(classes), classes):
        raise DataError("classes: wanted at least two, sorted, none twice")
    return classes
